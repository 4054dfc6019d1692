import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { writeAtomically } from "./atomic-files.ts";
import type { VolumeFile } from "./volume-files.ts";

describe("writeAtomically()", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "portolan-files-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const files = (contents: Readonly<Record<string, string>>): ReadonlyMap<string, VolumeFile> =>
    new Map(
      Object.entries(contents).map(([path, text]) => [
        path,
        { content: Buffer.from(text), mode: 0o640 },
      ]),
    );
  const visible = async (): Promise<readonly string[]> =>
    (await readdir(dir)).filter((name) => !name.startsWith("..")).toSorted();

  it("replaces all files by one link, and leaves none of the old ones", async () => {
    await writeAtomically(dir, files({ a: "1", "deep/b": "2", gone: "3" }));
    assert.deepEqual(await visible(), ["a", "deep", "gone"]);
    assert.equal(await readlink(join(dir, "a")), "..data/a");
    assert.equal((await stat(join(dir, "deep/b"))).mode & 0o777, 0o640);
    const before = await readlink(join(dir, "..data"));
    await writeAtomically(dir, files({ a: "new", "deep/c": "4" }));
    assert.notEqual(await readlink(join(dir, "..data")), before);
    assert.deepEqual(await visible(), ["a", "deep"]);
    assert.equal(await readFile(join(dir, "a"), "utf8"), "new");
    assert.deepEqual(await readdir(join(dir, "deep")), ["c"]);
    assert.equal((await readdir(dir)).filter((name) => name.startsWith("..gen")).length, 1);
  });

  it("takes over a folder with plain files and what a killed writer left", async () => {
    await writeFile(join(dir, "a"), "old");
    await writeFile(join(dir, "..data_tmp"), "");
    await writeAtomically(dir, files({ a: "1" }));
    assert.equal(await readFile(join(dir, "a"), "utf8"), "1");
    assert.equal((await readdir(dir)).length, 3);
  });
});
