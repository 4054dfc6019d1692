import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { THING, thingOf } from "./fixtures.test.ts";
import { mergeValues } from "./merge.ts";

const merged = (live: object, config: object) => {
  const result = mergeValues(THING, thingOf(live), thingOf(config));
  return (result as ReturnType<typeof thingOf>).spec;
};
const tags = (live: string, config: string) =>
  (merged({ tags: live.split("") }, { tags: config.split("") }) as { tags: string[] }).tags.join(
    "",
  );

describe("mergeValues()", () => {
  for (const [what, live, config, result] of [
    ["keeps what only is live", { replicas: 1 }, { paused: true }, { replicas: 1, paused: true }],
    ["sets scalars", { replicas: 1 }, { replicas: 2 }, { replicas: 2 }],
    [
      "merges granular maps",
      { labels: { a: "1", b: "1" } },
      { labels: { b: "2", c: "2" } },
      { labels: { a: "1", b: "2", c: "2" } },
    ],
    [
      "replaces atomic maps",
      { selector: { a: "1" } },
      { selector: { b: "2" } },
      { selector: { b: "2" } },
    ],
    ["replaces atomic messages", { whole: { a: "1" } }, { whole: {} }, { whole: {} }],
    ["replaces atomic lists", { args: ["a", "b"] }, { args: ["c"] }, { args: ["c"] }],
    [
      "keeps a list that the configuration leaves empty",
      { tags: ["a"] },
      { tags: [] },
      { tags: ["a"] },
    ],
    [
      "merges messages",
      { inner: { a: "1" } },
      { inner: { b: "2" } },
      { inner: { a: "1", b: "2" } },
    ],
    [
      "merges items by their keys, with defaults of keys",
      {
        ports: [
          { port: 80, protocol: "TCP", name: "x" },
          { port: 80, protocol: "UDP" },
        ],
      },
      { ports: [{ port: 80, name: "y" }] },
      {
        ports: [
          { port: 80, protocol: "TCP", name: "y" },
          { port: 80, protocol: "UDP" },
        ],
      },
    ],
    [
      "merges what a message keeps undeclared as maps and atomic lists",
      { open: { a: { x: 1 }, l: [1] } },
      { open: { a: { y: 2 }, l: [2] } },
      { open: { a: { x: 1, y: 2 }, l: [2] } },
    ],
  ] as const) {
    it(what, () => assert.deepEqual(merged(live, config), result));
  }

  for (const [live, config, result] of [
    ["ab", "ab", "ab"],
    ["ab", "ba", "ba"],
    ["abc", "bd", "abcd"],
    ["abc", "ca", "bca"],
    ["abcd", "d", "abcd"],
    ["ac", "xaycz", "xaycz"],
    ["axbyc", "cba", "xycba"],
    ["xy", "ab", "xyab"],
    ["", "ab", "ab"],
    ["axb", "ba", "xba"],
    ["abx", "nab", "nabx"],
    ["aba", "ab", "ab"],
    ["aa", "na", "na"],
  ] as const) {
    it(`orders a live ${live} and a configured ${config} as ${result}`, () =>
      assert.equal(tags(live, config), result));
  }

  it("keeps the configuration's order and loses and doubles nothing", () => {
    const letters = fc.uniqueArray(fc.constantFrom(..."abcdefgh".split("")), { maxLength: 8 });
    fc.assert(
      fc.property(letters, letters, (live, config) => {
        const result = tags(live.join(""), config.join("")).split("");
        assert.deepEqual(
          result.filter((one) => config.includes(one)),
          config,
        );
        assert.deepEqual(
          result.filter((one) => !config.includes(one)),
          live.filter((one) => !config.includes(one)),
        );
      }),
    );
  });
});
