import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { ContainerLog, tailOffset } from "./container-log.ts";
import type { LogQuery } from "./container-log.ts";

let directory: string;
let file: string;
const never = new AbortController().signal;
const T0 = Date.parse("2026-01-01T00:00:00Z");

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "container-log-"));
  file = join(directory, "0.log");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function read(log: ContainerLog, query: LogQuery = {}, nowMs = T0): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log.read(
    query,
    () => nowMs,
    () => true,
    never,
  ))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("ContainerLog", () => {
  it("reads all, the last lines, and no more bytes than asked", async () => {
    await writeFile(file, "one\ntwo\nthree");
    const log = new ContainerLog(file);
    assert.equal(await read(log), "one\ntwo\nthree");
    assert.equal(await read(log, { tailLines: 0 }), "");
    assert.equal(await read(log, { tailLines: 1 }), "three");
    assert.equal(await read(log, { tailLines: 2 }), "two\nthree");
    assert.equal(await read(log, { tailLines: 9 }), "one\ntwo\nthree");
    assert.equal(await read(log, { limitBytes: 5 }), "one\nt");
  });

  it("is empty before the first line", async () => {
    assert.equal(await read(new ContainerLog(file)), "");
  });

  it("knows when lines were first seen", async () => {
    const log = new ContainerLog(file);
    await appendFile(file, "one\n");
    await log.check(T0);
    await appendFile(file, "two\n");
    await log.check(T0 + 5_000);
    const timestamps = true;
    assert.equal(
      await read(log, { timestamps }, T0 + 9_000),
      "2026-01-01T00:00:00.000Z one\n2026-01-01T00:00:05.000Z two\n",
    );
    assert.equal(await read(log, { sinceMs: T0 + 1 }, T0 + 9_000), "two\n");
    assert.equal(await read(log, { sinceMs: T0 + 6_000 }, T0 + 9_000), "");
  });

  it("is cut when too long, keeping what was, and reads on across the cut", async () => {
    const log = new ContainerLog(file, 10);
    await appendFile(file, "one\ntwo\nthree\n");
    await log.check(T0);
    await appendFile(file, "four\n");
    assert.equal(await read(log), "one\ntwo\nthree\nfour\n");
    assert.equal(await read(log, { tailLines: 1 }), "four\n");
    assert.equal(await read(log, { tailLines: 2 }), "three\nfour\n");
  });

  it("is followed across writes and cuts until the container has ended", async () => {
    const log = new ContainerLog(file, 10);
    await appendFile(file, "one\n");
    let hasEnded = false;
    const steps = [
      () => appendFile(file, "two\n"),
      async () => {
        await appendFile(file, "three\n");
        // Waits until the follower has read it: the cut itself may lose what nobody has read.
      },
      async () => {
        await log.check(T0);
        await appendFile(file, "four\n");
        hasEnded = true;
      },
    ];
    let text = "";
    for await (const chunk of log.read(
      { follow: true },
      () => T0,
      () => hasEnded,
      never,
    )) {
      text += Buffer.from(chunk).toString();
      await steps.shift()?.();
    }
    assert.equal(text, "one\ntwo\nthree\nfour\n");
  });

  it("stops being followed when nobody reads any more", async () => {
    await appendFile(file, "one\n");
    const gone = new AbortController();
    const reading = async (): Promise<void> => {
      const chunks = new ContainerLog(file).read(
        { follow: true },
        () => T0,
        () => false,
        gone.signal,
      );
      for await (const _ of chunks) gone.abort(new Error("gone"));
    };
    await assert.rejects(reading(), /gone/);
  });
});

describe("tailOffset()", () => {
  it("begins where the last lines do, whatever the text", async () => {
    const texts = fc.array(fc.constantFrom("", "a", "bc"), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(texts, fc.boolean(), fc.nat(10), async (lines, isClosed, count) => {
        const text = lines.join("\n") + (isClosed && lines.length > 0 ? "\n" : "");
        await writeFile(file, text);
        const { offset } = await tailOffset(file, text.length, count);
        const all = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
        assert.equal(text.slice(offset), count === 0 ? "" : all.slice(-count).join(""));
      }),
      { numRuns: 60 },
    );
  });
});
