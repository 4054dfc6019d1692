import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Caller } from "./caller.ts";

describe("Caller", () => {
  it("aborts the signal that was asked for before the caller went", () => {
    const caller = new Caller();
    const { signal } = caller;
    assert.equal(caller.isGone, false);
    caller.abort(new Error("first"));
    caller.abort(new Error("second"));
    assert.equal(caller.isGone, true);
    assert.match(String(signal.reason), /first/);
  });

  it("gives an aborted signal, always the same, after the caller went", () => {
    const caller = new Caller();
    caller.abort(new Error("gone"));
    assert.equal(caller.signal.aborted, true);
    assert.match(String(caller.signal.reason), /gone/);
    assert.equal(caller.signal, caller.signal);
  });
});
