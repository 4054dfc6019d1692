import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What caches, compiled code and the test itself may add; a leak of each request's body is far more. */
const MAX_GROWTH_BYTES = 48 * 1024 * 1024;

/** Remembers how much memory is in use after a first warm-up; `check` fails when it has grown since. */
export function checkHeap(): { check(): void } {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  let first: number | undefined;
  return {
    check() {
      assert.ok(typeof gc === "function");
      gc();
      const { heapUsed, external } = process.memoryUsage();
      const used = heapUsed + external;
      first ??= used;
      assert.ok(
        used - first < MAX_GROWTH_BYTES,
        `memory in use grew from ${String(first)} to ${String(used)} bytes`,
      );
    },
  };
}
