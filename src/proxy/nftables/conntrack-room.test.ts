import assert from "node:assert/strict";
import { it } from "node:test";
import { conntrackLevel } from "./conntrack-room.ts";

it("calls the table full when packets are dropped or no room is left, nearly so from nine tenths, until a fifth is free", () => {
  for (const [before, count, dropped, after] of [
    ["room", 899, 0, "room"],
    ["room", 900, 0, "nearly"],
    ["nearly", 999, 0, "nearly"],
    ["nearly", 1000, 0, "full"],
    ["nearly", 990, 3, "full"],
    // Dropped for another reason: two packets of one new connection that met.
    ["room", 500, 3, "room"],
    ["full", 850, 0, "full"],
    ["full", 799, 0, "room"],
    ["nearly", 850, 0, "nearly"],
    ["nearly", 799, 0, "room"],
  ] as const) {
    assert.equal(conntrackLevel(before, { count, max: 1000, dropped }), after, String(count));
  }
  assert.equal(conntrackLevel("room", { count: 5_000_000, max: 0, dropped: 0 }), "room");
});
