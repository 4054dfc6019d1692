import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { reasonOf, sleep } from "./sleep.ts";

describe("sleep()", () => {
  it("rejects with the signal's reason and leaves no listener", async () => {
    const controller = new AbortController();
    const sleeping = sleep(1_000_000, controller.signal);
    assert.equal(getEventListeners(controller.signal, "abort").length, 1);
    controller.abort(new Error("stop"));
    await assert.rejects(sleeping, /^Error: stop$/);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("rejects at once with a signal that has aborted", async () => {
    await assert.rejects(sleep(1_000_000, AbortSignal.abort(new Error("gone"))), /gone/);
  });

  it("resolves after its time and leaves no listener", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { signal } = new AbortController();
    const sleeping = sleep(1_000, signal);
    t.mock.timers.tick(1_000);
    await sleeping;
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

describe("reasonOf()", () => {
  it("makes an Error of what is none", () => {
    assert.equal(reasonOf(AbortSignal.abort("bye")).cause, "bye");
  });
});
