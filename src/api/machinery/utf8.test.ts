import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

describe("UTF-8", () => {
  it("is written as the platform writes it, surrogates out of place included", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.deepEqual(encodeUtf8(text), new Uint8Array(Buffer.from(text)));
      }),
    );
    assert.deepEqual(encodeUtf8("a\ud800b"), new Uint8Array(Buffer.from("a\ufffdb")));
  });

  it("is read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(isWellFormed(text));
        assert.equal(decodeUtf8(encodeUtf8(text)), text);
      }),
    );
  });

  it("reads long texts", () => {
    const text = "aé€😀".repeat(5000);
    assert.equal(decodeUtf8(encodeUtf8(text)), text);
  });

  it("puts U+FFFD for what is no UTF-8, and never throws", () => {
    for (const bytes of [
      [0xff],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xe2, 0x82],
      [0xf5, 0x80, 0x80, 0x80],
    ]) {
      assert.match(decodeUtf8(Uint8Array.from(bytes)), /^\ufffd+$/);
    }
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.equal(isWellFormed(decodeUtf8(bytes)), true);
      }),
    );
  });
});

describe("base64", () => {
  it("is written as the platform writes it, and read back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = encodeBase64(bytes);
        assert.equal(text, Buffer.from(bytes).toString("base64"));
        assert.deepEqual(decodeBase64(text), bytes);
      }),
    );
  });

  it("is refused where it is malformed", () => {
    for (const text of ["YQ", "YQ=", "Y===", "Y*==", "YQ==YQ==", " YQ=="]) {
      assert.equal(decodeBase64(text), undefined, text);
    }
  });
});

/** Whether no surrogate stands alone; encodeURIComponent refuses exactly those. */
function isWellFormed(text: string): boolean {
  try {
    return encodeURIComponent(text) !== "" || text === "";
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return false;
  }
}
