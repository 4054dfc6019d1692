import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogLevel, Logger } from "./log.ts";
import { createLogger } from "./logger.ts";

function record(format: "text" | "json", level: LogLevel, use: (log: Logger) => void): string[] {
  const lines: string[] = [];
  const now = (): Date => new Date("2026-03-01T10:00:00.000Z");
  use(createLogger({ write: (line) => lines.push(line), level, format, now }));
  return lines;
}

describe("createLogger()", () => {
  it("writes time, level, event and fields as text", () => {
    const lines = record("text", "info", (log) => {
      log
        .with({ component: "dns" })
        .warn("slices written", { service: "default/web", added: 2, no: undefined });
    });
    assert.deepEqual(lines, [
      "2026-03-01T10:00:00.000Z WARN  slices written component=dns service=default/web added=2",
    ]);
  });

  it("writes one JSON object a line, and lets no field hide the event", () => {
    const [line] = record("json", "info", (log) => {
      log.info("started", { event: "other", ports: [1, 2] });
    });
    assert.deepEqual(JSON.parse(line ?? ""), {
      time: "2026-03-01T10:00:00.000Z",
      level: "info",
      event: "started",
      event_: "other",
      ports: [1, 2],
    });
  });

  it("drops what is below its level", () => {
    const lines = record("text", "warn", (log) => {
      log.debug("a");
      log.info("b");
      log.error("c");
    });
    assert.deepEqual(lines, ["2026-03-01T10:00:00.000Z ERROR c"]);
  });

  it("quotes what would not read as one word, so that a line stays one line", () => {
    const [line] = record("text", "info", (log) => {
      log.info("x", { a: "two words", b: "line\nbreak", c: "", d: 'k="v"', e: { f: "g h" } });
    });
    assert.equal(
      line?.slice(33),
      String.raw`a="two words" b="line\nbreak" c="" d="k=\"v\"" e="{\"f\":\"g h\"}"`,
    );
  });

  it("writes an error as its message, code and causes", () => {
    const cause = Object.assign(new Error("connect refused"), { code: "ECONNREFUSED" });
    const [line] = record("text", "info", (log) => {
      log.info("x", { error: new Error("no answer", { cause }) });
    });
    assert.match(line ?? "", /error="no answer: connect refused \(ECONNREFUSED\)"$/);
  });

  it("never throws, whatever the fields hold", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const bad = { toJSON: () => assert.fail("as a badly written class might") };
    for (const format of ["text", "json"] as const) {
      const lines = record(format, "info", (log) => {
        log.info("x", { circle, bad, big: 10n, fn: () => 1, symbol: Symbol("s"), nothing: null });
      });
      assert.equal(lines.length, 1);
    }
  });
});
