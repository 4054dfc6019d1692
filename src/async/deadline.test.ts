import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { DeadlineError, abortable, withDeadline } from "./deadline.ts";

/** A wait that no signal ends. */
const deaf = (): Promise<never> => new Promise(() => undefined);

describe("withDeadline()", () => {
  it("gives what the function gives, and leaves no listener", async () => {
    const { signal } = new AbortController();
    assert.equal(await withDeadline(1_000_000, signal, () => Promise.resolve(7)), 7);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("rejects with DeadlineError even if the function is deaf to its signal", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const waiting = withDeadline(500, undefined, deaf);
    t.mock.timers.tick(500);
    await assert.rejects(
      waiting,
      (error) => error instanceof DeadlineError && /500 ms/.test(error.message),
    );
  });

  it("passes the caller's reason on to the function's signal", async () => {
    const controller = new AbortController();
    let inner: AbortSignal | undefined;
    const waiting = withDeadline(1_000_000, controller.signal, (signal) => {
      inner = signal;
      return deaf();
    });
    controller.abort(new Error("stop"));
    await assert.rejects(waiting, /stop/);
    assert.match(String(inner?.reason), /stop/);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("does not call the function when the signal has aborted", async () => {
    const signal = AbortSignal.abort(new Error("gone"));
    const waiting = withDeadline(1_000, signal, () => assert.fail("was called"));
    await assert.rejects(waiting, /gone/);
  });

  it("rejects as the function does", async () => {
    const waiting = withDeadline(1_000_000, undefined, () => Promise.reject(new Error("own")));
    await assert.rejects(waiting, /own/);
  });
});

describe("abortable()", () => {
  it("leaves no listener whichever comes first", async () => {
    const controller = new AbortController();
    assert.equal(await abortable(controller.signal, Promise.resolve(1)), 1);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    const waiting = abortable(controller.signal, deaf());
    controller.abort(new Error("stop"));
    await assert.rejects(waiting, /stop/);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });
});
