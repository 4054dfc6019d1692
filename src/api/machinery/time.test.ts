import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatMicroTime, formatTime, parseTimestamp } from "./time.ts";

const CASES: readonly (readonly [string, string, string])[] = [
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"],
  ["2026-01-02t03:04:05z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"],
  ["2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z"],
  ["2026-01-01T01:30:00+02:00", "2025-12-31T23:30:00Z", "2025-12-31T23:30:00.000000Z"],
  ["2024-02-29T00:00:00-00:30", "2024-02-29T00:30:00Z", "2024-02-29T00:30:00.000000Z"],
  ["1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.500000Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"],
];

const MALFORMED = [
  "",
  "now",
  "2026-01-02",
  "2026-01-02T03:04:05",
  "2026-02-29T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-01-01T24:00:00Z",
  "2026-01-01T00:00:60Z",
  "2026-01-01T00:00:00+25:00",
];

describe("parseTimestamp()", () => {
  for (const [text, time, microTime] of CASES) {
    it(`reads ${text}`, () => {
      const parsed = parseTimestamp(text);
      assert.ok(parsed !== undefined);
      assert.equal(formatTime(parsed), time);
      assert.equal(formatMicroTime(parsed), microTime);
    });
  }

  for (const text of MALFORMED) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(parseTimestamp(text), undefined);
    });
  }

  it("is the inverse of formatMicroTime()", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
        fc.integer({ min: 0, max: 999_999 }),
        (seconds, micros) => {
          const time = { seconds, nanos: micros * 1000 };
          assert.deepEqual(parseTimestamp(formatMicroTime(time)), time);
        },
      ),
    );
  });
});
