import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { field, int32, list, map, message, string } from "./schema.ts";
import { applyStrategicMerge } from "./strategic-merge.ts";

const env = message("test.v1.Env", "", { name: field(1, string), value: field(2, string) });
const container = message("test.v1.Container", "", {
  name: field(1, string),
  image: field(2, string),
  env: field(3, list(env, { mergeKey: "name" })),
  args: field(4, list(string)),
});
const port = message("test.v1.Port", "", {
  port: field(1, int32),
  protocol: field(2, string),
  name: field(3, string),
});
const volume = message("test.v1.Volume", "", {
  name: field(1, string),
  secret: field(2, map(string)),
  emptyDir: field(3, map(string)),
});
const schema = message("test.v1.Thing", "", {
  labels: field(1, map(string)),
  containers: field(2, list(container, { mergeKey: "name" })),
  ports: field(3, list(port, { mergeKey: "port" })),
  finalizers: field(4, list(string, { mergeKey: "" })),
  args: field(5, list(string)),
  volume: field(6, volume, { retainKeys: true }),
  volumes: field(7, list(volume, { mergeKey: "name" }), { retainKeys: true }),
  name: field(8, string),
  inner: field(9, volume, { inline: true }),
});

type Case = readonly [claim: string, target: unknown, patch: unknown, expected: unknown];

const PATCHED: readonly Case[] = [
  [
    "maps merge",
    { labels: { a: "1", b: "2" } },
    { labels: { b: "3", c: "4" } },
    { labels: { a: "1", b: "3", c: "4" } },
  ],
  [
    "null deletes",
    { labels: { a: "1" }, name: "x" },
    { labels: { a: null }, name: null },
    { labels: {} },
  ],
  [
    "nulls that match nothing vanish",
    {},
    { labels: { a: null, b: "1" }, name: null },
    { labels: { b: "1" } },
  ],
  ["a value of another type replaces", { labels: { a: "1" } }, { labels: "x" }, { labels: "x" }],
  [
    "$patch: replace replaces a map",
    { labels: { a: "1" } },
    { labels: { $patch: "replace", b: "2" } },
    { labels: { b: "2" } },
  ],
  [
    "$patch: delete empties a map",
    { labels: { a: "1" } },
    { labels: { $patch: "delete", b: "2" } },
    { labels: {} },
  ],
  [
    "$patch: delete where nothing is adds nothing",
    { name: "x" },
    { labels: { $patch: "delete" } },
    { name: "x" },
  ],
  ["$patch works at the root", { name: "x" }, { $patch: "replace", labels: {} }, { labels: {} }],
  ["lists without merge key are replaced", { args: ["a", "b"] }, { args: ["c"] }, { args: ["c"] }],
  [
    "lists merge by key",
    {
      containers: [
        { name: "a", image: "1" },
        { name: "b", image: "1" },
      ],
    },
    { containers: [{ name: "b", image: "2" }] },
    {
      containers: [
        { name: "a", image: "1" },
        { name: "b", image: "2" },
      ],
    },
  ],
  [
    "nested lists merge by their own keys",
    {
      containers: [
        {
          name: "a",
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "1" },
          ],
          args: ["p"],
        },
      ],
    },
    { containers: [{ name: "a", env: [{ name: "Y", value: "2" }], args: ["q"] }] },
    {
      containers: [
        {
          name: "a",
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "2" },
          ],
          args: ["q"],
        },
      ],
    },
  ],
  [
    "elements new to the server come first",
    { containers: [{ name: "a" }, { name: "b" }] },
    { containers: [{ name: "c" }, { name: "b", image: "2" }] },
    { containers: [{ name: "c" }, { name: "a" }, { name: "b", image: "2" }] },
  ],
  [
    "a list where there was none is taken over",
    {},
    { ports: [{ port: 2 }, { port: 1, name: null }] },
    { ports: [{ port: 2 }, { port: 1 }] },
  ],
  [
    "$patch: delete takes an element out",
    { ports: [{ port: 1 }, { port: 2 }] },
    { ports: [{ port: 1, $patch: "delete" }] },
    { ports: [{ port: 2 }] },
  ],
  [
    "$patch: delete that matches nothing does nothing",
    { ports: [{ port: 1 }] },
    { ports: [{ port: 9, $patch: "delete" }] },
    { ports: [{ port: 1 }] },
  ],
  [
    "$patch: delete is not added to an absent list",
    {},
    { ports: [{ port: 9, $patch: "delete" }] },
    { ports: [] },
  ],
  [
    "$patch: replace replaces a whole list",
    { ports: [{ port: 1 }, { port: 2 }] },
    { ports: [{ port: 3 }, { $patch: "replace" }, { port: 1, name: "x" }] },
    { ports: [{ port: 3 }, { port: 1, name: "x" }] },
  ],
  [
    "SVC-024: of two protocols on one port the first is patched",
    {
      ports: [
        { port: 53, protocol: "UDP" },
        { port: 53, protocol: "TCP" },
      ],
    },
    { ports: [{ port: 53, name: "dns" }] },
    {
      ports: [
        { port: 53, protocol: "UDP", name: "dns" },
        { port: 53, protocol: "TCP" },
      ],
    },
  ],
  [
    "sets of scalars unite",
    { finalizers: ["a", "b"] },
    { finalizers: ["c", "b"] },
    { finalizers: ["c", "a", "b"] },
  ],
  [
    "$deleteFromPrimitiveList removes",
    { finalizers: ["a", "b", "c"] },
    { "$deleteFromPrimitiveList/finalizers": ["b", "z"] },
    { finalizers: ["a", "c"] },
  ],
  [
    "$deleteFromPrimitiveList of an absent list does nothing",
    {},
    { "$deleteFromPrimitiveList/finalizers": ["b"] },
    {},
  ],
  [
    "$setElementOrder orders what the patch names, servers' own elements keep their place",
    { ports: [{ port: 1 }, { port: 2 }, { port: 3 }] },
    { "$setElementOrder/ports": [{ port: 3 }, { port: 1 }] },
    { ports: [{ port: 2 }, { port: 3 }, { port: 1 }] },
  ],
  [
    "$setElementOrder puts a new element where it says",
    {
      containers: [
        { name: "a", image: "1" },
        { name: "b", image: "1" },
      ],
    },
    {
      "$setElementOrder/containers": [{ name: "a" }, { name: "c" }, { name: "b" }],
      containers: [{ name: "c", image: "9" }],
    },
    {
      containers: [
        { name: "a", image: "1" },
        { name: "c", image: "9" },
        { name: "b", image: "1" },
      ],
    },
  ],
  [
    "$setElementOrder goes with deletions, as kubectl apply sends them",
    { ports: [{ port: 80, name: "a" }, { port: 81 }] },
    {
      "$setElementOrder/ports": [{ port: 80 }],
      ports: [
        { port: 80, name: "b" },
        { $patch: "delete", port: 81 },
      ],
    },
    { ports: [{ port: 80, name: "b" }] },
  ],
  [
    "$setElementOrder works on scalars",
    { finalizers: ["a", "b"] },
    {
      "$setElementOrder/finalizers": ["c", "a"],
      finalizers: ["c"],
      "$deleteFromPrimitiveList/finalizers": ["b"],
    },
    { finalizers: ["c", "a"] },
  ],
  [
    "$setElementOrder of a list that nobody has does nothing",
    {},
    { "$setElementOrder/ports": [{ port: 1 }] },
    {},
  ],
  [
    "a null list beats its $setElementOrder",
    { ports: [{ port: 1 }] },
    { "$setElementOrder/ports": [], ports: null },
    {},
  ],
  [
    "$setElementOrder with a list that is new",
    {},
    { "$setElementOrder/ports": [{ port: 2 }, { port: 1 }], ports: [{ port: 2 }, { port: 1 }] },
    { ports: [{ port: 2 }, { port: 1 }] },
  ],
  [
    "$retainKeys clears the other keys",
    { volume: { name: "v", secret: { s: "1" } } },
    { volume: { $retainKeys: ["name", "emptyDir"], emptyDir: {} } },
    { volume: { name: "v", emptyDir: {} } },
  ],
  [
    "$retainKeys works in list elements",
    { volumes: [{ name: "v", secret: { s: "1" } }] },
    { volumes: [{ name: "v", $retainKeys: ["name", "emptyDir"], emptyDir: {}, secret: null }] },
    { volumes: [{ name: "v", emptyDir: {} }] },
  ],
  [
    "inline fields merge as their own",
    { secret: { a: "1" } },
    { secret: { b: "2" } },
    { secret: { a: "1", b: "2" } },
  ],
  [
    "fields without schema merge as JSON",
    { x: { y: [1], z: 1 } },
    { x: { y: [2] } },
    { x: { y: [2], z: 1 } },
  ],
];

const MALFORMED: readonly (readonly [unknown, unknown, RegExp])[] = [
  [{}, [], /^invalid JSON document$/],
  [{ labels: {} }, { labels: { $patch: "merge" } }, /^unknown patch type: merge in map: /],
  [{ ports: [] }, { ports: [{ port: 1, $patch: "frob" }] }, /^unknown patch type: frob in map: /],
  [
    { ports: [] },
    { ports: [{ port: 1, $patch: "merge" }] },
    /^merging lists cannot yet be specified/,
  ],
  [
    { ports: [] },
    { ports: [{ name: "x" }] },
    /^map: \{"name":"x"\} does not contain declared merge key: port$/,
  ],
  [{ ports: [] }, { ports: ["x"] }, /^a list merged by port may only hold objects$/],
  [
    { volume: {} },
    { volume: { $retainKeys: ["name"], emptyDir: {} } },
    /^invalid patch format of retainKeys$/,
  ],
  [{ volume: {} }, { volume: { $retainKeys: "name" } }, /^invalid patch format of retainKeys$/],
  [{}, { "$setElementOrder/ports": "x" }, /^invalid patch format of setElementOrder list$/],
  [{}, { "$deleteFromPrimitiveList/finalizers": "x" }, /^invalid patch format of primitive list$/],
  [
    { ports: [] },
    { "$setElementOrder/ports": [{ port: 1 }], ports: [{ port: 2 }] },
    /^The order in patch list:\n.*\n doesn't match \$setElementOrder list:\n/,
  ],
];

function patched(target: unknown, patch: unknown): unknown {
  // The test's own literals are objects.
  return applyStrategicMerge(schema, target as Record<string, unknown>, patch);
}

describe("applyStrategicMerge()", () => {
  for (const [claim, target, patch, expected] of PATCHED) {
    it(claim, () => {
      const before = structuredClone([target, patch]);
      assert.deepEqual(patched(target, patch), { kind: "patched", value: expected });
      assert.deepEqual([target, patch], before);
    });
  }

  for (const [target, patch, message] of MALFORMED) {
    it(`refuses ${JSON.stringify(patch)}`, () => {
      const result = applyStrategicMerge(schema, target as Record<string, unknown>, patch);
      assert.equal(result.kind, "malformed");
      assert.match(result.kind === "malformed" ? result.message : "", message);
    });
  }

  const portLists = fc.uniqueArray(
    fc.record(
      { port: fc.integer({ min: 1, max: 6 }), name: fc.constantFrom("x", "y") },
      { noNullPrototype: true },
    ),
    { selector: (p) => p.port },
  );

  it("makes the list that an order and all its elements say, whatever was there", () => {
    fc.assert(
      fc.property(portLists, portLists, (before, after) => {
        const gone = before.filter((p) => !after.some((q) => q.port === p.port));
        const patch = {
          "$setElementOrder/ports": after.map(({ port: p }) => ({ port: p })),
          ports: [...after, ...gone.map(({ port: p }) => ({ port: p, $patch: "delete" }))],
        };
        assert.deepEqual(patched({ ports: before }, patch), {
          kind: "patched",
          value: { ports: after },
        });
      }),
    );
  });

  it("holds each element once after a merge, and the patch's values win", () => {
    fc.assert(
      fc.property(portLists, portLists, (before, after) => {
        const result = patched({ ports: before }, { ports: after });
        const union = new Map([...before, ...after].map((p) => [p.port, p]));
        const byPort = (a: { port: number }, b: { port: number }): number => a.port - b.port;
        // The result of a merge of lists of ports is one.
        const { value } = result as { value: { ports: { port: number }[] } };
        assert.deepEqual(value.ports.toSorted(byPort), [...union.values()].toSorted(byPort));
      }),
    );
  });
});
