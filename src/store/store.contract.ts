import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Entry, Store, StoreEvent } from "./store.ts";
import { CompactedError } from "./store.ts";

/** A store under test, and how to close and open it again over the same data. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  reopen(): Promise<Store>;
}

/** What every store must do; each implementation's test calls this once. */
export function storeContract(name: string, openEmpty: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    it("commit() gives every write of one commit the same, growing revision", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const first = await put(store, "/a/1", "one");
      const result = await store.commit(
        [],
        [
          { kind: "put", key: "/a/2", value: "two" },
          { kind: "put", key: "/a/3", value: "three" },
        ],
      );
      assert.ok(result.kind === "committed");
      assert.ok(result.revision > first);
      const { entries } = await store.range({ prefix: "/a/" });
      assert.deepEqual(
        entries.map((e) => [e.key, e.value, e.createRevision, e.modRevision]),
        [
          ["/a/1", "one", first, first],
          ["/a/2", "two", result.revision, result.revision],
          ["/a/3", "three", result.revision, result.revision],
        ],
      );
      assert.equal(store.revision, result.revision);
    });

    it("commit() writes nothing when one comparison fails, and says what is there", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const revision = await put(store, "/a", "1");
      const result = await store.commit(
        [
          { key: "/a", modRevision: revision },
          { key: "/b", modRevision: 7 },
        ],
        [{ kind: "put", key: "/a", value: "2" }],
      );
      assert.deepEqual(result, { kind: "conflict", key: "/b", current: undefined });
      assert.equal((await store.get("/a"))?.value, "1");
    });

    it("commit() lets exactly one of many concurrent creates of a key win", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          store.commit(
            [{ key: "/one", modRevision: 0 }],
            [{ kind: "put", key: "/one", value: String(i) }],
          ),
        ),
      );
      assert.equal(results.filter((r) => r.kind === "committed").length, 1);
      const winner = results.findIndex((r) => r.kind === "committed");
      assert.equal((await store.get("/one"))?.value, String(winner));
      for (const result of results) {
        if (result.kind === "conflict") assert.equal(result.current?.value, String(winner));
      }
    });

    it("commit() keeps createRevision over updates and renews it after a delete", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const created = await put(store, "/a", "1");
      const updated = await put(store, "/a", "2");
      assert.deepEqual(await store.get("/a"), entry("/a", "2", created, updated));
      await store.commit([], [{ kind: "delete", key: "/a" }]);
      assert.equal(await store.get("/a"), undefined);
      const again = await put(store, "/a", "3");
      assert.deepEqual(await store.get("/a"), entry("/a", "3", again, again));
    });

    it("range() pages by start and limit", async () => {
      await using test = await openEmpty();
      const { store } = test;
      for (const key of ["/a/1", "/a/2", "/a/3", "/b/1"]) await put(store, key, key);
      const page = await store.range({ prefix: "/a/", limit: 2 });
      assert.deepEqual([page.entries.map((e) => e.key), page.more], [["/a/1", "/a/2"], true]);
      const rest = await store.range({ prefix: "/a/", start: "/a/3", limit: 2 });
      assert.deepEqual([rest.entries.map((e) => e.key), rest.more], [["/a/3"], false]);
    });

    it("range() at an old revision gives the state of then", async () => {
      await using test = await openEmpty();
      const { store } = test;
      await put(store, "/a", "1");
      const then = await put(store, "/b", "1");
      await put(store, "/a", "2");
      await store.commit([], [{ kind: "delete", key: "/b" }]);
      await put(store, "/c", "1");
      const { entries, revision } = await store.range({ prefix: "/", revision: then });
      assert.deepEqual(
        entries.map((e) => [e.key, e.value]),
        [
          ["/a", "1"],
          ["/b", "1"],
        ],
      );
      assert.equal(revision, then);
    });

    it("watch() replays from a revision and goes on without gap or repetition", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const start = await put(store, "/a/0", "0");
      await put(store, "/a/1", "1");
      const stop = new AbortController();
      const seen: StoreEvent[] = [];
      const reading = (async () => {
        const watch = store.watch({ prefix: "/a/", afterRevision: start, signal: stop.signal });
        for await (const events of watch) {
          seen.push(...events);
          if (seen.length === 52) stop.abort();
        }
      })();
      await put(store, "/other", "x");
      await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, "/a/2", String(i))));
      await store.commit([], [{ kind: "delete", key: "/a/2" }]);
      await reading;
      const revisions = seen.map((e) => (e.kind === "put" ? e.entry.modRevision : e.revision));
      assert.deepEqual(
        revisions,
        [...new Set(revisions)].sort((a, b) => a - b),
      );
      const last = seen.at(-1);
      assert.ok(last?.kind === "delete");
      assert.equal(last.previous.value, "49");
    });

    it("compact() keeps the present state and refuses older history", async () => {
      await using test = await openEmpty();
      const { store } = test;
      const old = await put(store, "/a", "1");
      await put(store, "/a", "2");
      const now = await put(store, "/b", "1");
      await store.compact(now);
      assert.equal((await store.get("/a"))?.value, "2");
      await assert.rejects(store.range({ prefix: "/", revision: old }), CompactedError);
      const watch = store.watch({
        prefix: "/",
        afterRevision: old,
        signal: new AbortController().signal,
      });
      await assert.rejects(watch[Symbol.asyncIterator]().next(), CompactedError);
    });

    it("holds state, revisions and history over a restart", async () => {
      await using test = await openEmpty();
      const created = await put(test.store, "/a", "1");
      const updated = await put(test.store, "/a", "2");
      const reopened = await test.reopen();
      assert.equal(reopened.revision, updated);
      assert.deepEqual(await reopened.get("/a"), entry("/a", "2", created, updated));
      const watch = reopened.watch({
        prefix: "/",
        afterRevision: created,
        signal: new AbortController().signal,
      });
      const { value } = await watch[Symbol.asyncIterator]().next();
      assert.deepEqual(value, [
        {
          kind: "put",
          entry: entry("/a", "2", created, updated),
          previous: entry("/a", "1", created, created),
        },
      ]);
      assert.ok((await put(reopened, "/a", "3")) > updated);
    });

    it("range() after a restart gives what is there at that moment, the first time too", async () => {
      await using test = await openEmpty();
      for (const key of ["/b/1", "/a/2", "/a/1", "/c"]) await put(test.store, key, "old");
      const keysAndValues = async (store: Store, prefix: string) =>
        (await store.range({ prefix })).entries.map(({ key, value }) => `${key} ${value}`);
      const first = await test.reopen();
      assert.deepEqual(await keysAndValues(first, "/a/"), ["/a/1 old", "/a/2 old"]);
      assert.deepEqual(await keysAndValues(first, "/"), [
        "/a/1 old",
        "/a/2 old",
        "/b/1 old",
        "/c old",
      ]);
      const second = await test.reopen();
      await put(second, "/a/1", "new");
      assert.deepEqual(await keysAndValues(second, "/a/"), ["/a/1 new", "/a/2 old"]);
    });

    it("behaves as a map with revisions under any sequence of commits", async () => {
      const step = fc.record({
        key: fc.constantFrom("/k/a", "/k/b", "/k/c"),
        value: fc.option(fc.string({ maxLength: 8 }), { nil: undefined }),
        stale: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          await using test = await openEmpty();
          const model = new Map<string, { value: string; modRevision: number }>();
          for (const { key, value, stale } of steps) {
            const modRevision = (model.get(key)?.modRevision ?? 0) + (stale ? 1 : 0);
            const result = await test.store.commit(
              [{ key, modRevision }],
              [value === undefined ? { kind: "delete", key } : { kind: "put", key, value }],
            );
            assert.equal(result.kind, stale ? "conflict" : "committed");
            if (result.kind === "conflict") continue;
            if (value === undefined) model.delete(key);
            else model.set(key, { value, modRevision: result.revision });
          }
          const { entries } = await test.store.range({ prefix: "/k/" });
          assert.deepEqual(
            entries.map((e) => [e.key, e.value, e.modRevision]),
            [...model]
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, { value, modRevision }]) => [key, value, modRevision]),
          );
        }),
        { numRuns: 25 },
      );
    });
  });
}

async function put(store: Store, key: string, value: string): Promise<number> {
  const result = await store.commit([], [{ kind: "put", key, value }]);
  if (result.kind !== "committed") throw new Error(`unconditional put of ${key} met a conflict`);
  return result.revision;
}

function entry(key: string, value: string, createRevision: number, modRevision: number): Entry {
  return { key, value, createRevision, modRevision };
}
