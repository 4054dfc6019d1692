import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAlive, parseStat, readEnvironment, readStat, signalGroup } from "./proc.ts";

describe("parseStat()", () => {
  it("is not misled by the command's name", () => {
    const rest = "S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 2658304 222";
    for (const name of ["sleep", "a b", ") R 1 1 (", "((x))"])
      assert.deepEqual(parseStat(`42 (${name}) ${rest}`), {
        pid: 42,
        processGroup: 42,
        startTicks: 98765,
        isZombie: false,
      });
  });

  it("tells the dead", () => {
    const rest = "Z 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
    assert.equal(parseStat(`42 (x) ${rest}`)?.isZombie, true);
  });

  it("gives nothing for what is no stat", () => {
    assert.equal(parseStat(""), undefined);
    assert.equal(parseStat("hello"), undefined);
  });
});

describe("readStat(), isAlive() and readEnvironment()", () => {
  it("know this process, and only with its own start time", () => {
    const stat = readStat(process.pid);
    assert.ok(stat !== undefined);
    assert.equal(stat.pid, process.pid);
    assert.equal(isAlive(stat), true);
    assert.equal(isAlive({ pid: stat.pid, startTicks: stat.startTicks + 1 }), false);
    assert.equal(readEnvironment(process.pid)?.get("PATH"), process.env["PATH"]);
  });

  it("know no process of a pid beyond the kernel's limit", () => {
    const none = 2 ** 22 + 1;
    assert.equal(readStat(none), undefined);
    assert.equal(readEnvironment(none), undefined);
    assert.equal(signalGroup(none, "SIGTERM"), false);
  });
});
