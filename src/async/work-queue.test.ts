import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import fc from "fast-check";
import { WorkQueue } from "./work-queue.ts";

const never = new AbortController().signal;

function makeQueue(): WorkQueue<string> {
  return new WorkQueue({ backoff: { baseMs: 10, maxMs: 1000 }, random: () => 0 });
}

describe("WorkQueue", () => {
  it("gives keys in the order they came, each once however often it was added", async () => {
    using queue = makeQueue();
    for (const key of ["a", "b", "a", "c", "a"]) queue.add(key);
    assert.equal(queue.depth, 3);
    const got = [await queue.get(never), await queue.get(never), await queue.get(never)];
    assert.deepEqual(got, ["a", "b", "c"]);
  });

  it("gives keys of a higher rank first, of one rank in the order they came", async () => {
    const ranks = new Map([
      ["urgent", 5],
      ["later", -1],
    ]);
    using queue = new WorkQueue({
      backoff: { baseMs: 10, maxMs: 1000 },
      random: () => 0,
      rank: (key) => ranks.get(key) ?? 0,
    });
    for (const key of ["later", "a", "b", "urgent"]) queue.add(key);
    const got: string[] = [];
    while (queue.depth > 0) {
      const key = await queue.get(never);
      got.push(key);
      queue.done(key);
    }
    assert.deepEqual(got, ["urgent", "a", "b", "later"]);
  });

  it("gives a key added during its work again only after done()", async () => {
    using queue = makeQueue();
    queue.add("a");
    await queue.get(never);
    queue.add("a");
    queue.add("b");
    assert.equal(await queue.get(never), "b");
    queue.done("a");
    assert.equal(await queue.get(never), "a");
  });

  it("hands an added key to whoever waits, first come first served", async () => {
    using queue = makeQueue();
    const [first, second] = [queue.get(never), queue.get(never)];
    queue.add("a");
    queue.add("b");
    assert.deepEqual([await first, await second], ["a", "b"]);
  });

  it("gives a key once that is added several times in one go, though somebody waits for it", async () => {
    using queue = makeQueue();
    const waiting = queue.get(never);
    queue.add("a");
    queue.add("a");
    queue.done(await waiting);
    assert.equal(queue.depth, 0);
  });

  it("gives a key to the next when whom it was meant for aborts at that moment", async () => {
    using queue = makeQueue();
    const controller = new AbortController();
    const [first, second] = [queue.get(controller.signal), queue.get(never)];
    queue.add("a");
    controller.abort(new Error("stop"));
    await assert.rejects(first, /stop/);
    assert.equal(await second, "a");
  });

  it("rejects a waiting get() with the signal's reason, and loses no key to it", async () => {
    using queue = makeQueue();
    const controller = new AbortController();
    const waiting = queue.get(controller.signal);
    controller.abort(new Error("stop"));
    await assert.rejects(waiting, /stop/);
    queue.add("a");
    assert.equal(await queue.get(never), "a");
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("adds a key after a delay; of several the one that ends first counts", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    using queue = makeQueue();
    queue.addAfter("a", 1000);
    queue.addAfter("a", 50);
    queue.addAfter("a", 500);
    t.mock.timers.tick(49);
    assert.equal(queue.depth, 0);
    t.mock.timers.tick(1);
    assert.equal(queue.depth, 1);
  });

  it("waits longer with each failure until the key is forgotten", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    using queue = makeQueue();
    const retriesAfter = async (ms: number): Promise<void> => {
      queue.retry("a");
      t.mock.timers.tick(ms - 1);
      assert.equal(queue.depth, 0);
      t.mock.timers.tick(1);
      assert.equal(queue.depth, 1);
      queue.done(await queue.get(never));
    };
    for (const ms of [5, 10, 20]) await retriesAfter(ms);
    assert.equal(queue.failuresOf("a"), 3);
    queue.forget("a");
    await retriesAfter(5);
  });

  it("says when it is idle, not counting delayed keys", async () => {
    using queue = makeQueue();
    await queue.idle();
    queue.add("a");
    queue.addAfter("b", 1_000_000);
    let isIdle = false;
    const idle = queue.idle().then(() => {
      isIdle = true;
    });
    const key = await queue.get(never);
    assert.equal(isIdle, false);
    queue.done(key);
    await idle;
  });

  it("drops everything at disposal and takes nothing more", async () => {
    const queue = makeQueue();
    queue.add("a");
    queue.addAfter("b", 1_000_000);
    queue[Symbol.dispose]();
    queue.add("c");
    queue.retry("d");
    assert.equal(queue.depth, 0);
    await queue.idle();
  });

  it("throws when done() is called for a key that nobody works on", () => {
    using queue = makeQueue();
    queue.add("a");
    assert.throws(() => {
      queue.done("a");
    }, /done\("a"\)/);
  });

  it("tells its observer of every step", async () => {
    const steps: string[] = [];
    let now = 0;
    using queue = new WorkQueue<string>({
      backoff: { baseMs: 10, maxMs: 1000 },
      random: () => 0,
      now: () => now,
      observer: {
        added: () => steps.push("added"),
        started: (ms) => steps.push(`waited ${String(ms)}`),
        finished: (ms) => steps.push(`worked ${String(ms)}`),
        retried: () => steps.push("retried"),
      },
    });
    queue.add("a");
    queue.add("a");
    now = 3;
    const key = await queue.get(never);
    now = 10;
    assert.equal(queue.longestActiveMs, 7);
    queue.retry(key);
    queue.done(key);
    assert.deepEqual(steps, ["added", "waited 3", "retried", "worked 7"]);
  });

  it("works on every added key and never on one twice at once, in whatever order things happen", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("add" as const), key: fc.constantFrom("a", "b", "c", "d") }),
      fc.record({ kind: fc.constant("get" as const) }),
      fc.record({ kind: fc.constant("done" as const), nth: fc.nat(3) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        using queue = makeQueue();
        const active: string[] = [];
        /** Keys added since their work last began: what the queue owes. */
        const owed = new Set<string>();
        for (const s of steps) {
          if (s.kind === "add") {
            queue.add(s.key);
            owed.add(s.key);
          } else if (s.kind === "done" && active.length > 0) {
            const [key] = active.splice(s.nth % active.length, 1);
            if (key !== undefined) queue.done(key);
          } else if (s.kind === "get" && [...owed].some((key) => !active.includes(key))) {
            const key = await queue.get(never);
            assert.ok(!active.includes(key), `${key} was given out twice`);
            assert.ok(owed.delete(key), `${key} was given out and not added`);
            active.push(key);
          }
          assert.equal(queue.depth, owed.size);
          assert.equal(queue.active, active.length);
        }
      }),
    );
  });
});
