import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatLocal, nextDue, parseCron } from "./cron-schedule.ts";
import type { CronSchedule, OffsetAt } from "./cron-schedule.ts";

const UTC: OffsetAt = () => 0;

function scheduleOf(text: string): CronSchedule {
  const parsed = parseCron(text);
  if (parsed.kind === "malformed") throw new Error(parsed.message);
  return parsed.schedule;
}

function problemOf(text: string): string {
  const parsed = parseCron(text);
  return parsed.kind === "malformed" ? parsed.message : "";
}

/** The next times after a time, in UTC unless another zone is given. */
function due(text: string, after: string, count = 1, offsetAt = UTC): readonly string[] {
  const times: string[] = [];
  let at = Date.parse(after);
  for (let i = 0; i < count; i++) {
    const next = nextDue(scheduleOf(text), at, offsetAt);
    if (next === undefined) return [...times, "never"];
    times.push(formatLocal(next, offsetAt));
    at = next;
  }
  return times;
}

/** Clocks go from +01:00 to +02:00 at 01:00 UTC on 29 March 2026 and back on 25 October. */
function berlin(ms: number): number {
  const isSummer = ms >= Date.UTC(2026, 2, 29, 1) && ms < Date.UTC(2026, 9, 25, 1);
  return (isSummer ? 2 : 1) * 3_600_000;
}

describe("parseCron()", () => {
  it("says what is wrong, in the words of the library that Kubernetes uses", () => {
    const cases = [
      ["", "empty spec string"],
      ["* * * *", "expected exactly 5 fields, found 4: [* * * *]"],
      ["@often", "unrecognized descriptor: @often"],
      ["@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'],
      ["60 * * * *", "end of range (60) above maximum (59): 60"],
      ["* * 0 * *", "beginning of range (0) below minimum (1): 0"],
      ["* * * * 7", "end of range (7) above maximum (6): 7"],
      ["5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"],
      ["*/0 * * * *", "step of range should be a positive number: */0"],
      ["1/2/3 * * * *", "too many slashes: 1/2/3"],
      ["1-2-3 * * * *", "too many hyphens: 1-2-3"],
      ["x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ] as const;
    for (const [text, problem] of cases) assert.equal(problemOf(text), problem, text);
  });
});

describe("nextDue()", () => {
  const after = "2026-01-01T00:00:00Z"; // A Thursday.
  const cases = [
    ["*/15 * * * *", ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]],
    ["5/20 3 * * *", ["2026-01-01T03:05:00Z", "2026-01-01T03:25:00Z"]],
    ["0 9-17/4 * * MON-FRI", ["2026-01-01T09:00:00Z", "2026-01-01T13:00:00Z"]],
    ["0 0 * feb,Mar ?", ["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"]],
    ["30 4 1 * *", ["2026-01-01T04:30:00Z", "2026-02-01T04:30:00Z"]],
    ["0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]],
    ["0 0 31 2 *", ["never"]],
    ["@hourly", ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]],
    ["@weekly", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["@every 1h30m", ["2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"]],
    // Of two days that are both restricted one is enough; a star with a step restricts.
    ["0 0 15 * sat", ["2026-01-03T00:00:00Z", "2026-01-10T00:00:00Z", "2026-01-15T00:00:00Z"]],
    ["0 0 */30 * sat", ["2026-01-03T00:00:00Z", "2026-01-10T00:00:00Z"]],
    ["0 0 13 * fri", ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]],
  ] as const;
  for (const [text, times] of cases) {
    it(`gives the times of ${text}`, () => {
      assert.deepEqual(due(text, after, times.length), times);
    });
  }

  it("follows the clocks of a zone: what they skip is not run, what they repeat is", () => {
    assert.deepEqual(due("30 2 * * *", "2026-03-28T12:00:00Z", 1, berlin), [
      "2026-03-30T02:30:00+02:00",
    ]);
    assert.deepEqual(due("0 0 * * *", "2026-03-28T12:00:00Z", 2, berlin), [
      "2026-03-29T00:00:00+01:00",
      "2026-03-30T00:00:00+02:00",
    ]);
    assert.deepEqual(due("30 2 * * *", "2026-10-24T12:00:00Z", 3, berlin), [
      "2026-10-25T02:30:00+02:00",
      "2026-10-25T02:30:00+01:00",
      "2026-10-26T02:30:00+01:00",
    ]);
    assert.deepEqual(due("0 0 * * *", "2026-10-24T23:00:00Z", 1, berlin), [
      "2026-10-26T00:00:00+01:00",
    ]);
  });

  const field = (least: number, most: number) =>
    fc.oneof(
      fc.constant("*"),
      fc.integer({ min: least, max: most }).map(String),
      fc.integer({ min: 1, max: 20 }).map((step) => `*/${String(step)}`),
    );

  it("gives the very first time that the fields have, whatever the clocks do", () => {
    const near = fc.oneof(
      fc.integer({ min: Date.UTC(2026, 2, 27), max: Date.UTC(2026, 2, 31) }),
      fc.integer({ min: Date.UTC(2026, 9, 23), max: Date.UTC(2026, 9, 27) }),
    );
    fc.assert(
      fc.property(field(0, 59), field(0, 23), field(0, 6), near, (minute, hour, day, afterMs) => {
        const schedule = scheduleOf(`${minute} ${hour} * * ${day}`);
        if (schedule.kind === "every") return;
        const { minutes, hours, daysOfWeek } = schedule.fields;
        const isDue = (ms: number): boolean => {
          const local = new Date(ms + berlin(ms));
          return (
            minutes.has(local.getUTCMinutes()) &&
            hours.has(local.getUTCHours()) &&
            daysOfWeek.has(local.getUTCDay())
          );
        };
        let first = (Math.floor(afterMs / 60_000) + 1) * 60_000;
        while (!isDue(first)) first += 60_000;
        assert.equal(nextDue(schedule, afterMs, berlin), first);
      }),
      { numRuns: 60 },
    );
  });
});
