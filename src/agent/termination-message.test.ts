import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { prepareMessage, terminationMessage } from "./termination-message.ts";

const FILE = { name: "c", terminationMessagePolicy: "File" } as const;
const FALLBACK = { name: "c", terminationMessagePolicy: "FallbackToLogsOnError" } as const;

describe("terminationMessage()", () => {
  let dir: string;
  let files: { readonly message: string; readonly log: string };
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "portolan-message-"));
    files = { message: join(dir, "0.message"), log: join(dir, "0.log") };
    await writeFile(files.log, "first\nlast words\n");
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("is what the program wrote to the file that its environment names, up to 4096 bytes", async () => {
    const variables = await prepareMessage(files.message);
    assert.deepEqual(variables, { PORTOLAN_TERMINATION_LOG: files.message });
    assert.equal(await terminationMessage(FILE, files, 1), "");
    await appendFile(files.message, "no such table\n");
    assert.equal(await terminationMessage(FALLBACK, files, 1), "no such table\n");
    assert.equal(await terminationMessage(FILE, files, 0), "no such table\n");
    await appendFile(files.message, "x".repeat(5000));
    assert.equal((await terminationMessage(FILE, files, 0)).length, 4096);
  });

  it("falls back to the log's end where the container asks for it and failed", async () => {
    await prepareMessage(files.message);
    assert.equal(await terminationMessage(FALLBACK, files, 3), "first\nlast words\n");
    assert.equal(await terminationMessage(FALLBACK, files, 0), "");
    assert.equal(await terminationMessage(FILE, files, 3), "");
    await writeFile(files.log, Array.from({ length: 200 }, (_, i) => `${String(i)}\n`).join(""));
    assert.match(await terminationMessage(FALLBACK, files, 3), /^120\n121\n[^]*199\n$/);
    await appendFile(files.log, "y".repeat(3000));
    assert.equal(await terminationMessage(FALLBACK, files, 3), "y".repeat(2048));
  });

  it("is empty where the program has put a pipe or a link in the file's place", async () => {
    execFileSync("mkfifo", [files.message]);
    assert.equal(await terminationMessage(FILE, files, 1), "");
    await rm(files.message);
    await symlink(files.log, files.message);
    assert.equal(await terminationMessage(FILE, files, 1), "");
  });

  it("is empty where there is no file", async () => {
    await rm(files.log);
    assert.equal(await terminationMessage(FALLBACK, files, 3), "");
  });
});
