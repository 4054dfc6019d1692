import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FairQueue } from "./fair-queue.ts";

const BOUNDS = { running: 4, runningPerUser: 3, waitingPerUser: 5, waiting: 100 };

describe("FairQueue", () => {
  it("lets a user have no more turns than its share, and others the rest", () => {
    const queue = new FairQueue<string>(BOUNDS);
    const enter = (user: string, ticket: string) => queue.enter(user, () => ticket).kind;
    assert.deepEqual(
      ["a1", "a2", "a3", "a4", "b1"].map((ticket) => enter(ticket[0] ?? "", ticket)),
      ["now", "now", "now", "waiting", "now"],
    );
    assert.equal(queue.running, 4);
  });

  it("gives a free turn to who has the fewest, however many others wait", () => {
    const queue = new FairQueue<string>(BOUNDS);
    for (let i = 0; i < 8; i++) queue.enter("noisy", () => `noisy ${String(i)}`);
    queue.enter("x", () => "x");
    assert.equal(queue.enter("quiet", () => "quiet").kind, "waiting");
    assert.equal(queue.leave("noisy"), "quiet");
    assert.equal(queue.leave("noisy"), "noisy 3");
  });

  it("refuses one user's too many, and nobody else's", () => {
    const queue = new FairQueue<string>(BOUNDS);
    const kinds = Array.from({ length: 10 }, () => queue.enter("noisy", () => "").kind);
    assert.equal(kinds.filter((kind) => kind === "refused").length, 2);
    assert.equal(queue.enter("quiet", () => "").kind, "now");
  });

  it("forgets who gives up, and gives its turn to nobody", () => {
    const queue = new FairQueue<string>({ ...BOUNDS, running: 1 });
    queue.enter("a", () => "a1");
    queue.enter("a", () => "a2");
    assert.ok(queue.withdraw("a", "a2"));
    assert.ok(!queue.withdraw("a", "a2"));
    assert.equal(queue.leave("a"), undefined);
    assert.throws(() => queue.leave("a"), /a turn that it does not have/);
  });

  it("keeps its bounds, and lets nobody wait for a turn that is free", () => {
    const steps = fc.array(
      fc.record({ user: fc.constantFrom("a", "b", "c"), enters: fc.boolean() }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(steps, (plan) => {
        const queue = new FairQueue<string>(BOUNDS);
        const running = new Map<string, number>();
        const add = (user: string, n: number) => running.set(user, (running.get(user) ?? 0) + n);
        for (const { user, enters } of plan) {
          if (enters) {
            if (queue.enter(user, () => user).kind === "now") add(user, 1);
          } else if ((running.get(user) ?? 0) > 0) {
            add(user, -1);
            const next = queue.leave(user);
            if (next !== undefined) add(next, 1);
          }
          const counts = [...running.values()];
          const sum = counts.reduce((a, b) => a + b, 0);
          assert.equal(queue.running, sum);
          assert.ok(sum <= BOUNDS.running && counts.every((n) => n <= BOUNDS.runningPerUser));
          // Whoever waits has its share, or all turns are taken.
          const idle = counts.length > 0 && sum < BOUNDS.running && queue.waiting > 0;
          assert.ok(!idle || counts.some((n) => n === BOUNDS.runningPerUser));
        }
      }),
    );
  });
});
