import assert from "node:assert/strict";
import { it } from "node:test";
import { every } from "./every.ts";

it("every() does one after the other, and its end waits for the one under way", async () => {
  let running = 0;
  let most = 0;
  let done = 0;
  let reachThird = (): void => undefined;
  const third = new Promise<void>((resolve) => (reachThird = resolve));
  const looking = every(1, async (signal) => {
    running += 1;
    most = Math.max(most, running);
    if (done === 2) {
      reachThird();
      // Goes on until the end is wanted.
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    }
    running -= 1;
    done += 1;
  });
  await third;
  await looking[Symbol.asyncDispose]();
  assert.deepEqual([done, most, running], [3, 1, 0]);
});

it("every() that ends while it waits does nothing more", async () => {
  let done = 0;
  const looking = every(1_000_000, () => {
    done += 1;
    return Promise.resolve();
  });
  await looking[Symbol.asyncDispose]();
  assert.equal(done, 0);
});
