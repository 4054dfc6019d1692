import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { failure } from "../api/machinery/status.ts";
import { createLogger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { startReconciler } from "./reconcile.ts";
import type { ReconcileResult, Reconciler } from "./reconcile.ts";

const done: ReconcileResult = { kind: "done" };

/** A promise and the way to fulfil it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

function start(
  reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>,
  more: { concurrency?: number; metrics?: Metrics; logged?: string[] } = {},
): Reconciler<string> {
  const { logged = [], ...options } = more;
  const write = (line: string): void => {
    logged.push(line.slice(25));
  };
  const log = createLogger({ write, level: "info", format: "text", now: () => new Date(0) });
  return startReconciler<string>({ name: "test", reconcile, log, random: () => 0, ...options });
}

describe("startReconciler()", () => {
  it("reconciles a key once however often it was queued", async () => {
    const seen: string[] = [];
    await using reconciler = start((key) => {
      seen.push(key);
      return Promise.resolve(done);
    });
    for (const key of ["a", "b", "a", "a"]) reconciler.enqueue(key);
    await reconciler.idle();
    assert.deepEqual(seen, ["a", "b"]);
  });

  it("reconciles a key again that changed meanwhile, and never twice at once", async () => {
    const [first, started] = [gate(), gate()];
    let running = 0;
    let runs = 0;
    await using reconciler = start(
      async () => {
        running += 1;
        runs += 1;
        assert.equal(running, 1);
        started.open();
        await first.opened;
        running -= 1;
        return done;
      },
      { concurrency: 4 },
    );
    reconciler.enqueue("a");
    await started.opened;
    reconciler.enqueue("a");
    first.open();
    await reconciler.idle();
    assert.equal(runs, 2);
  });

  it("works on as many keys at once as it may", async () => {
    const all = gate();
    let running = 0;
    await using reconciler = start(
      async () => {
        running += 1;
        if (running === 3) all.open();
        await all.opened;
        return done;
      },
      { concurrency: 3 },
    );
    for (const key of ["a", "b", "c"]) reconciler.enqueue(key);
    await reconciler.idle();
    assert.equal(running, 3);
  });

  it("tries again what failed, warns of the first failure only, and counts", async () => {
    const fourth = gate();
    const logged: string[] = [];
    const metrics = new Metrics();
    let runs = 0;
    await using reconciler = start(
      (key) => {
        runs += 1;
        if (runs < 4) return Promise.reject(new Error(`no ${key} yet`));
        fourth.open();
        return Promise.resolve(done);
      },
      { logged, metrics },
    );
    reconciler.enqueue("a");
    await fourth.opened;
    await reconciler.idle();
    assert.deepEqual(logged, [
      'WARN  reconcile failed reconciler=test key=a failures=0 error="no a yet"',
    ]);
    assert.match(metrics.render(), /workqueue_retries_total\{name="test"\} 3/);
    assert.match(metrics.render(), /workqueue_depth\{name="test"\} 0/);
  });

  it("tries again after a conflict without a word", async () => {
    const second = gate();
    const logged: string[] = [];
    let runs = 0;
    await using reconciler = start(
      () => {
        runs += 1;
        if (runs === 1) return Promise.reject(failure(409, "Conflict", "was changed"));
        second.open();
        return Promise.resolve(done);
      },
      { logged },
    );
    reconciler.enqueue("a");
    await second.opened;
    assert.deepEqual(logged, []);
  });

  it("looks again after the time that the reconcile asked for", async () => {
    const second = gate();
    let runs = 0;
    await using reconciler = start(() => {
      runs += 1;
      if (runs === 1) return Promise.resolve({ kind: "again", afterMs: 1 });
      second.open();
      return Promise.resolve(done);
    });
    reconciler.enqueue("a");
    await second.opened;
    assert.equal(runs, 2);
  });

  it("aborts and awaits what runs when disposed, and starts nothing more", async () => {
    const started = gate();
    const steps: string[] = [];
    const logged: string[] = [];
    const reconciler = start(
      async (key, signal) => {
        steps.push(`start ${key}`);
        started.open();
        await new Promise((resolve) => {
          signal.addEventListener("abort", resolve);
        });
        steps.push(`end ${key}`);
        throw signal.reason;
      },
      { logged },
    );
    reconciler.enqueue("a");
    reconciler.enqueue("b");
    await started.opened;
    await reconciler[Symbol.asyncDispose]();
    reconciler.enqueue("c");
    assert.deepEqual(steps, ["start a", "end a"]);
    assert.deepEqual(logged, []);
  });
});
