import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { agreedRanges, DataDirError, openDataDir, readRanges, writeRanges } from "./data-dir.ts";
import { rangesOfSlot } from "./loopback-ranges.ts";

it("openDataDir() holds a folder against a second opener and says who has it", async () => {
  await using parent = await temporaryFolder();
  const path = join(parent.path, "state");
  const first = await openDataDir(path);
  await assert.rejects(openDataDir(path), (error) => {
    assert.ok(error instanceof DataDirError);
    assert.match(error.message, new RegExp(`in use by pid ${String(process.pid)}`));
    return true;
  });
  await first[Symbol.asyncDispose]();
  await using again = await openDataDir(path);
  assert.equal((await stat(again.path)).mode & 0o777, 0o700);
});

it("openDataDir() removes a temporary folder at the end", async () => {
  const dir = await openDataDir(undefined);
  await writeFile(join(dir.path, "file"), "");
  await dir[Symbol.asyncDispose]();
  await assert.rejects(stat(dir.path));
});

it("openDataDir() says what to do when the place cannot be written", async () => {
  await using parent = await temporaryFolder();
  await writeFile(join(parent.path, "file"), "");
  await assert.rejects(
    openDataDir(join(parent.path, "file", "state")),
    /cannot be written \(ENOTDIR\); choose another/,
  );
});

it("openDataDir() refuses a folder of somebody else", {
  skip: process.getuid?.() === 0 ? "root may write everywhere" : false,
}, async () => {
  await using parent = await temporaryFolder();
  await chmod(parent.path, 0o500);
  await assert.rejects(openDataDir(join(parent.path, "state")), /EACCES/);
  await chmod(parent.path, 0o700);
});

it("readRanges() gives back what writeRanges() wrote, and nothing for a new folder", async () => {
  await using folder = await temporaryFolder();
  assert.deepEqual(await readRanges(folder.path), {});
  await writeRanges(folder.path, rangesOfSlot(3));
  assert.deepEqual(await readRanges(folder.path), rangesOfSlot(3));
  await writeFile(join(folder.path, "instance.json"), "{");
  await assert.rejects(readRanges(folder.path), /instance\.json is not JSON; remove it/);
});

it("agreedRanges() refuses a range other than the one the folder was made with", () => {
  const stored = rangesOfSlot(1);
  assert.deepEqual(agreedRanges("/d", stored, {}), stored);
  assert.deepEqual(agreedRanges("/d", stored, { podCidr: stored.podCidr }), stored);
  assert.throws(
    () => agreedRanges("/d", stored, { podCidr: rangesOfSlot(2).podCidr }),
    /was made with podCidr 127\.113\.0\.0\/16, not 127\.114\.0\.0\/16/,
  );
});

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "portolan-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
