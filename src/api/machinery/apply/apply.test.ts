import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { applyConfig } from "./apply.ts";
import type { Applied, ApplyRequest } from "./apply.ts";
import { describeConflicts } from "./conflict-text.ts";
import { thingOf, writingOf } from "./fixtures.test.ts";
import type { Owner } from "./owners.ts";
import { recordUpdate } from "./ownership.ts";
import { pathsOf } from "./path-set.ts";
import { pathText } from "./path-element.ts";

type Thing = ReturnType<typeof thingOf>;

/** An object's life: each step is a write by somebody. */
class Story {
  object: Thing | undefined;
  owners: readonly Owner[] = [];

  apply(manager: string, spec: object, more: Partial<ApplyRequest> = {}): Applied {
    const request = { ...writingOf(manager), force: false, ...more };
    const applied = applyConfig(request, this.object, thingOf(spec), this.owners);
    if (applied.kind === "applied") {
      this.object = applied.object as Thing;
      this.owners = applied.owners;
    }
    return applied;
  }

  update(manager: string, spec: object, time = "2026-01-01T00:00:00Z"): void {
    const next = thingOf(spec);
    this.owners = recordUpdate(writingOf(manager, { time }), this.object, next, this.owners);
    this.object = next;
  }

  owns(manager: string): readonly string[] {
    return this.owners
      .filter((owner) => owner.manager === manager)
      .flatMap(({ fields }) => pathsOf(fields).map(pathText))
      .map((path) => path.replace(".spec", ""));
  }
}

const messageOf = (applied: Applied) =>
  applied.kind === "conflicts" ? describeConflicts(applied.conflicts).message : applied.kind;

describe("applyConfig()", () => {
  it("creates: the applier owns what it says, not the objects and lists around it", () => {
    const story = new Story();
    story.apply("a", {
      replicas: 1,
      labels: { x: "1" },
      ports: [{ port: 80 }],
      args: ["x"],
      inner: {},
      tags: ["t"],
      paused: null,
    });
    assert.deepEqual(story.owns("a"), [
      ".args",
      ".inner",
      ".labels.x",
      ".paused",
      '.ports[port=80,protocol="TCP"]',
      '.ports[port=80,protocol="TCP"].port',
      ".replicas",
      '.tags[="t"]',
    ]);
  });

  it("owns keys of maps with what is in them", () => {
    const story = new Story();
    story.apply("a", { open: { k: { x: 1 } } });
    assert.deepEqual(story.owns("a"), [".open.k", ".open.k.x"]);
  });

  it("refuses to change what another applier set, and says whose it is", () => {
    const story = new Story();
    story.apply("a", { replicas: 1, inner: { a: "1" } });
    assert.equal(
      messageOf(story.apply("b", { replicas: 2 })),
      'Apply failed with 1 conflict: conflict with "a": .spec.replicas',
    );
    assert.equal(
      messageOf(story.apply("b", { replicas: 2, inner: { a: "2" } })),
      'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.inner.a\n- .spec.replicas',
    );
    assert.deepEqual(story.object?.spec, { replicas: 1, inner: { a: "1" } });
  });

  it("names the version of an updater, and a subresource", () => {
    const story = new Story();
    story.apply("x", { args: [] });
    story.update("u", { args: [], replicas: 1 });
    assert.equal(
      messageOf(story.apply("b", { replicas: 2 })),
      'Apply failed with 1 conflict: conflict with "u" using t/v1: .spec.replicas',
    );
    story.owners = story.owners.map((owner) => ({ ...owner, subresource: "scale" }));
    assert.equal(
      messageOf(story.apply("b", { replicas: 2 })),
      'Apply failed with 1 conflict: conflict with "u" with subresource "scale" using t/v1: .spec.replicas',
    );
  });

  it("gives one cause for each field", () => {
    const story = new Story();
    story.apply("a", { replicas: 1 });
    const applied = story.apply("b", { replicas: 2 });
    assert.ok(applied.kind === "conflicts");
    assert.deepEqual(describeConflicts(applied.conflicts).causes, [
      { reason: "FieldManagerConflict", message: 'conflict with "a"', field: ".spec.replicas" },
    ]);
  });

  it("takes fields by force: they are no longer the other's", () => {
    const story = new Story();
    story.apply("a", { replicas: 1, paused: true });
    story.apply("b", { replicas: 2 }, { force: true });
    assert.deepEqual(story.object?.spec, { replicas: 2, paused: true });
    assert.deepEqual(story.owns("a"), [".paused"]);
    assert.deepEqual(story.owns("b"), [".replicas"]);
  });

  it("shares a field whose value is the same", () => {
    const story = new Story();
    story.apply("a", { replicas: 1 });
    assert.equal(story.apply("b", { replicas: 1 }).kind, "applied");
    assert.deepEqual(story.owns("a"), [".replicas"]);
    assert.deepEqual(story.owns("b"), [".replicas"]);
    story.apply("a", { inner: {} });
    assert.deepEqual(story.object?.spec, { replicas: 1, inner: {} });
    assert.deepEqual(story.owns("a"), [".inner"]);
    story.apply("b", { paused: true });
    assert.deepEqual(story.object?.spec, { inner: {}, paused: true });
  });

  for (const [what, before, after, left] of [
    ["a scalar", { replicas: 1, paused: true }, { paused: true }, { paused: true }],
    [
      "a key of a map",
      { labels: { a: "1", b: "1" } },
      { labels: { b: "1" } },
      { labels: { b: "1" } },
    ],
    ["a whole map", { replicas: 1, labels: { a: "1" } }, { replicas: 1 }, { replicas: 1 }],
    ["an atomic list", { replicas: 1, args: ["a"] }, { replicas: 1 }, { replicas: 1 }],
    ["an item of a set", { tags: ["a", "b"] }, { tags: ["b"] }, { tags: ["b"] }],
    [
      "an item by its keys",
      { ports: [{ port: 1 }, { port: 2, name: "b" }] },
      { ports: [{ port: 1 }] },
      { ports: [{ port: 1 }] },
    ],
    [
      "a field of an item",
      { ports: [{ port: 1, name: "a" }] },
      { ports: [{ port: 1 }] },
      { ports: [{ port: 1 }] },
    ],
    ["a message", { replicas: 1, inner: { a: "1" } }, { replicas: 1 }, { replicas: 1 }],
  ] as const) {
    it(`takes away ${what} that it sets no more and nobody else owns`, () => {
      const story = new Story();
      story.apply("a", before);
      story.apply("a", after);
      assert.deepEqual(story.object?.spec, left);
      const fresh = new Story();
      fresh.apply("a", after);
      assert.deepEqual(story.owns("a"), fresh.owns("a"));
    });
  }

  it("leaves what another owns in a map or item that it gives up", () => {
    const story = new Story();
    story.apply("a", { labels: { a: "1" }, ports: [{ port: 1, name: "x" }] });
    story.apply("b", { labels: { b: "2" }, ports: [{ port: 1 }] });
    story.apply("a", { replicas: 1 });
    assert.deepEqual(story.object?.spec, {
      labels: { b: "2" },
      ports: [{ port: 1 }],
      replicas: 1,
    });
  });

  it("takes what nobody owns with the item that it hung on", () => {
    const story = new Story();
    story.apply("a", { ports: [{ port: 1 }, { port: 2 }] });
    // The server filled in a default after the apply; it is nobody's.
    story.object = thingOf({
      ports: [
        { port: 1, protocol: "TCP" },
        { port: 2, protocol: "TCP" },
      ],
    });
    story.apply("a", { ports: [{ port: 2 }] });
    assert.deepEqual(story.object?.spec, { ports: [{ port: 2, protocol: "TCP" }] });
  });

  it("takes a whole message with what nobody owned in it, and only its own from one that it keeps", () => {
    const story = new Story();
    story.apply("a", { replicas: 1, inner: { a: "1" } });
    story.object = thingOf({ replicas: 1, inner: { a: "1", b: "default" } });
    story.apply("a", { replicas: 1 });
    assert.deepEqual(story.object?.spec, { replicas: 1 });

    const ports = [{ port: 1, name: "x" }];
    story.apply("a", { replicas: 1, ports });
    story.object = thingOf({ replicas: 1, ports: [{ port: 1, name: "x", protocol: "TCP" }] });
    story.apply("a", { replicas: 1, ports: [{ port: 1 }] });
    assert.deepEqual(story.object?.spec, { replicas: 1, ports: [{ port: 1, protocol: "TCP" }] });
  });

  it("keeps its entry, with its time, when it says the same again", () => {
    const story = new Story();
    story.apply("a", { replicas: 1 });
    const before = story.owners;
    story.apply("a", { replicas: 1 }, { time: "2027-01-01T00:00:00Z" });
    assert.deepEqual(story.owners, before);
  });

  it("is the same applier in whatever version it applies", () => {
    const story = new Story();
    story.apply("a", { replicas: 1 });
    story.apply("a", { replicas: 2 }, { apiVersion: "t/v2" });
    assert.deepEqual(
      story.owners.map(({ manager, apiVersion }) => [manager, apiVersion]),
      [["a", "t/v2"]],
    );
  });

  it("counts what was there before the first apply as somebody's", () => {
    const story = new Story();
    story.object = thingOf({ replicas: 1, labels: { a: "1" } });
    assert.equal(
      messageOf(story.apply("a", { replicas: 2 })),
      'Apply failed with 1 conflict: conflict with "before-first-apply" using t/v1: .spec.replicas',
    );
    story.apply("a", { replicas: 1 });
    assert.deepEqual(story.owns("before-first-apply"), [".labels", ".labels.a", ".replicas"]);
  });

  it("owns nothing of what the way it is written does not reach", () => {
    const story = new Story();
    story.apply("a", { replicas: 1 }, { ignored: { "f:spec": {} } });
    assert.deepEqual(story.owners, []);
  });

  it("an update takes from an applier what it changes, and what it removes", () => {
    const story = new Story();
    story.apply("a", { replicas: 1, paused: true, labels: { x: "1" } });
    story.update("u", { replicas: 2, labels: { x: "1" } });
    assert.deepEqual(story.owns("a"), [".labels.x"]);
    assert.deepEqual(story.owns("u"), [".replicas"]);
  });

  it("gives a field back to an applier only by force", () => {
    const story = new Story();
    story.apply("a", { replicas: 1, paused: true });
    story.update("u", { replicas: 2, paused: true });
    assert.match(messageOf(story.apply("a", { replicas: 1, paused: true })), /"u" using t\/v1/);
    story.apply("a", { replicas: 1, paused: true }, { force: true });
    assert.deepEqual(story.owns("u"), []);
  });
});

const scalars = fc.record(
  {
    replicas: fc.integer({ min: 1, max: 2 }),
    paused: fc.boolean(),
    args: fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 2 }),
    tags: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
    labels: fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("1", "2"), {
      minKeys: 1,
      noNullPrototype: true,
    }),
    inner: fc.record(
      { a: fc.constantFrom("1", "2"), b: fc.constantFrom("1", "2") },
      { requiredKeys: ["a"], noNullPrototype: true },
    ),
    ports: fc.uniqueArray(
      fc.record(
        { port: fc.integer({ min: 1, max: 3 }), name: fc.constantFrom("x", "y") },
        { requiredKeys: ["port"], noNullPrototype: true },
      ),
      { minLength: 1, selector: ({ port }) => port },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

describe("laws of apply", () => {
  it("applying again what was applied changes nothing", () => {
    fc.assert(
      fc.property(fc.array(scalars, { maxLength: 3 }), scalars, (history, spec) => {
        const story = new Story();
        for (const [i, one] of history.entries()) story.apply(`m${i % 2}`, one, { force: true });
        story.apply("a", spec, { force: true });
        const { object, owners } = story;
        assert.equal(story.apply("a", spec).kind, "applied");
        assert.deepEqual(story.object, object);
        assert.deepEqual(story.owners, owners);
      }),
    );
  });

  it("what one applier alone applies last is all that there is", () => {
    fc.assert(
      fc.property(scalars, scalars, (first, last) => {
        const story = new Story();
        story.apply("a", first);
        story.apply("a", last);
        const fresh = new Story();
        fresh.apply("a", last);
        assert.deepEqual(
          pathsOf(story.owners[0]?.fields ?? {}),
          pathsOf(fresh.owners[0]?.fields ?? {}),
        );
        assert.deepEqual(normal(story.object), normal(fresh.object));
      }),
    );
  });

  it("appliers of disjoint fields never conflict, and both have their way", () => {
    fc.assert(
      fc.property(scalars, scalars, scalars, (a, b, c) => {
        const mine = ({ replicas, tags, labels }: typeof a) => defined({ replicas, tags, labels });
        const yours = ({ paused, args, inner, ports }: typeof a) =>
          defined({ paused, args, inner, ports });
        const story = new Story();
        for (const [manager, spec] of [
          ["me", mine(a)],
          ["you", yours(b)],
          ["me", mine(c)],
          ["you", yours(c)],
        ] as const) {
          assert.equal(story.apply(manager, spec).kind, "applied");
        }
        assert.deepEqual(normal(story.object), normal(thingOf({ ...mine(c), ...yours(c) })));
      }),
    );
  });

  it("an applied configuration holds, whoever was there before", () => {
    fc.assert(
      fc.property(scalars, scalars, scalars, (a, b, c) => {
        const story = new Story();
        story.apply("a", a);
        story.update("u", b);
        story.apply("a", c, { force: true });
        const again = story.object;
        story.apply("b", c);
        assert.deepEqual(normal(story.object), normal(again));
      }),
    );
  });
});

function defined(spec: object): object {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

/** Where nothing is left of a spec, it may be gone. */
function normal(object: Thing | undefined): unknown {
  return { ...object, spec: object?.spec ?? {} };
}
