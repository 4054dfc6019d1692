import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { OWN_WRITE_TTL_MS, OwnWrites } from "./own-writes.ts";

function object(name: string, version: number, uid = name): KubernetesObject {
  const metadata = { name, uid, resourceVersion: String(version), generation: version };
  return { apiVersion: "v1", kind: "Thing", metadata };
}

/** A cache as the watch fills it, and the reader's view of it. All objects are of one group. */
function setUp() {
  const cache = new Map<ObjectKey, KubernetesObject>();
  const clock = { ms: 0 };
  const own = new OwnWrites<KubernetesObject>(
    cache,
    () => "group",
    () => clock.ms,
  );
  return {
    own,
    clock,
    /** The watch brings this version of the name, or its end. */
    watch: (name: string, after: KubernetesObject | undefined): boolean => {
      const key = keyOf(object(name, 0));
      const before = cache.get(key);
      if (after === undefined) cache.delete(key);
      else cache.set(key, after);
      return own.observe({ key, before, after });
    },
    view: (): string =>
      own
        .view("group", [...cache.values()])
        .map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion ?? ""}`)
        .toSorted()
        .join(),
  };
}

describe("OwnWrites", () => {
  it("EPS-017: shows a create, an update and a delete before the watch does", () => {
    const { own, watch, view } = setUp();
    watch("a", object("a", 1));
    own.wrote(object("b", 2));
    own.wrote(object("a", 3));
    assert.equal(view(), "a@3,b@2");
    assert.ok(own.isWaiting("group"));
    own.deleted(object("a", 3));
    assert.equal(view(), "b@2");
  });

  it("is silent again once the watch has shown the writes, and knows them for its own", () => {
    const { own, watch, view } = setUp();
    own.wrote(object("a", 1));
    assert.equal(watch("a", object("a", 1)), true);
    assert.equal(own.isWaiting("group"), false);
    assert.equal(watch("a", object("a", 2)), false);
    assert.equal(view(), "a@2");
    own.deleted(object("a", 2));
    assert.equal(watch("a", undefined), true);
    assert.equal(own.isWaiting("group"), false);
  });

  it("does not wait for a write that the watch showed before its answer came", () => {
    const { own, watch, view } = setUp();
    watch("a", object("a", 2));
    own.wrote(object("a", 1));
    own.wrote(object("a", 2));
    assert.equal(own.isWaiting("group"), false);
    assert.equal(view(), "a@2");
  });

  it("ignores older versions that come after its write, and believes newer ones", () => {
    const { own, watch, view } = setUp();
    own.wrote(object("a", 3));
    assert.equal(watch("a", object("a", 2)), false);
    assert.equal(view(), "a@3");
    assert.equal(watch("a", object("a", 4)), false);
    assert.equal(view(), "a@4");
  });

  it("gives up what the watch never shows, and what was refused", () => {
    const { own, clock, view } = setUp();
    own.wrote(object("a", 1));
    own.wrote(object("b", 1));
    own.forget(object("b", 1));
    assert.equal(view(), "a@1");
    clock.ms = OWN_WRITE_TTL_MS + 1;
    assert.equal(view(), "");
    assert.equal(own.isWaiting("group"), false);
  });

  it("keeps apart objects of one name and different uids", () => {
    const { own, watch, view } = setUp();
    watch("a", object("a", 1, "old"));
    own.deleted(object("a", 1, "old"));
    assert.equal(view(), "");
    watch("a", object("a", 5, "new"));
    assert.equal(view(), "a@5");
    assert.equal(own.isWaiting("group"), false);
  });

  it("knows a write whose answer comes after the watch brought it", () => {
    const { own, watch, view } = setUp();
    own.begin("group");
    assert.equal(watch("a", object("a", 1)), true);
    own.wrote(object("a", 1));
    assert.equal(own.end("group"), false);
    own.begin("group");
    assert.equal(watch("a", undefined), true);
    own.deleted(object("a", 1));
    assert.equal(own.end("group"), false);
    assert.equal(view(), "");
    assert.equal(own.isWaiting("group"), false);
  });

  it("tells after its writes that others changed something meanwhile", () => {
    const { own, watch } = setUp();
    own.begin("group");
    assert.equal(watch("a", object("a", 1)), true);
    assert.equal(watch("a", object("a", 2)), true);
    own.wrote(object("a", 1));
    assert.equal(own.end("group"), true);
    assert.equal(watch("a", object("a", 3)), false);
    own.begin("group");
    assert.equal(watch("a", undefined), true);
    assert.equal(own.end("group"), true);
  });

  it("holds nothing that another group hears of as well", () => {
    const cache = new Map<ObjectKey, KubernetesObject>();
    const own = new OwnWrites<KubernetesObject>(cache, ({ metadata }) => metadata.uid);
    own.begin("g2");
    const [before, after] = [object("a", 1, "g1"), object("a", 2, "g2")];
    assert.equal(own.observe({ key: keyOf(after), before, after }), false);
    assert.equal(own.end("g2"), false);
  });
});
