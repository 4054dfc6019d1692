import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { THING, thingOf } from "./fixtures.test.ts";
import { LAST_APPLIED, lastAppliedFields, withLastApplied } from "./last-applied.ts";
import { pathText } from "./path-element.ts";
import { pathsOf } from "./path-set.ts";

const noted = (config: unknown) => ({
  annotations: { [LAST_APPLIED]: typeof config === "string" ? config : JSON.stringify(config) },
});
const allowed = (live: object) =>
  pathsOf(lastAppliedFields(THING, "t/v1", live))
    .map(pathText)
    .filter((path) => path.startsWith(".spec"));

describe("lastAppliedFields()", () => {
  it("are those that still are as client-side apply set them", () => {
    const config = thingOf({ replicas: 1, paused: true, labels: { a: "1" } });
    const live = thingOf({ replicas: 2, paused: true, labels: { b: "1" } }, noted(config));
    assert.deepEqual(allowed(live), [".spec.paused"]);
  });

  for (const [what, note] of [
    ["no JSON", "{"],
    ["no object", "[]"],
    ["another version", { ...thingOf({ replicas: 1 }), apiVersion: "t/v2" }],
    ["undeclared fields", thingOf({ replicas: 1, nope: 1 })],
  ] as const) {
    it(`are none of a note with ${what}`, () =>
      assert.deepEqual(allowed(thingOf({ replicas: 1 }, noted(note))), []));
  }

  it("are none without a note", () => assert.deepEqual(allowed(thingOf({ replicas: 1 })), []));
});

describe("withLastApplied()", () => {
  it("notes the configuration as Go writes it, without the note itself", () => {
    const config = thingOf(
      { labels: { b: "<", a: "1" } },
      { annotations: { [LAST_APPLIED]: "x", k: "v" } },
    );
    const live = thingOf({}, noted({}));
    const result = withLastApplied(live, config) as typeof live & {
      metadata: { annotations: Record<string, string> };
    };
    assert.equal(
      result.metadata.annotations[LAST_APPLIED],
      `{"apiVersion":"t/v1","kind":"Thing","metadata":{"annotations":{"k":"v"},"name":"a"},"spec":{"labels":{"a":"1","b":"\\u003c"}}}\n`,
    );
  });

  it("starts no note", () => {
    const live = thingOf({});
    assert.equal(withLastApplied(live, thingOf({})), live);
  });
});
