import assert from "node:assert/strict";
import { it } from "node:test";
import { loadLibc } from "./libc.ts";

it("calls a function of the C library and sees its error number", async () => {
  const load = await loadLibc();
  assert.ok(load.kind === "loaded", load.kind === "missing" ? load.reason : "");
  assert.equal(load.libc.func("int getpid()")(), process.pid);
  assert.equal(load.libc.func("int close(int fd)")(-1), -1);
  assert.equal(load.libc.errno(), 9 /* EBADF */);
});
