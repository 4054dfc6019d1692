import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeOpenApiV2 } from "./openapi-v2-protobuf.ts";

/** Bytes as a person can check them against OpenAPIv2.proto: tag, length, content. */
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("encodeOpenApiV2()", () => {
  it("writes version, info, an empty list of paths and the definitions", () => {
    const document = { swagger: "2.0", info: { title: "T", version: "1" }, definitions: {} };
    assert.equal(
      hex(encodeOpenApiV2(document)),
      "0a03322e30" + "12060a0154120131" + "4200" + "4a00",
    );
  });

  it("writes each keyword of a schema in its field", () => {
    const schema = {
      type: "object",
      required: ["a"],
      properties: { a: { type: "array", items: { $ref: "#/definitions/B" } } },
      additionalProperties: { type: "string" },
      "x-k": [{ kind: "A" }],
    };
    const bytes = encodeOpenApiV2({ definitions: { A: schema } });
    const text = hex(bytes);
    const utf8 = (value: string): string => hex(Buffer.from(value));
    const tagged = (tag: string, content: string): string =>
      tag + (content.length / 2).toString(16).padStart(2, "0") + content;
    const typeOf = (name: string): string => tagged("b201", tagged("0a", utf8(name)));
    for (const expected of [
      tagged("9a01", utf8("a")),
      tagged("aa01", tagged("0a", typeOf("string"))),
      typeOf("object"),
      tagged("ba01", tagged("0a", tagged("0a", utf8("#/definitions/B")))),
      tagged("0a", utf8("x-k")) + tagged("12", tagged("12", utf8('[{"kind":"A"}]\n'))),
    ])
      assert.ok(text.includes(expected), `${text} has no ${expected}`);
  });
});
