import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { hostPathProblem, subPathOf } from "./host-path.ts";

let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "portolan-path-")));
  await writeFile(join(dir, "file"), "");
});
afterEach(() => rm(dir, { recursive: true }));

describe("hostPathProblem()", () => {
  it("takes what is of its type", async () => {
    const at = (name: string): string => join(dir, name);
    for (const [path, type] of [
      [dir, ""],
      [dir, "Directory"],
      [at("file"), "File"],
      ["/dev/null", "CharDevice"],
      [at("new/folder"), "DirectoryOrCreate"],
      [at("new-file"), "FileOrCreate"],
    ] as const)
      assert.equal(await hostPathProblem(path, type), undefined, type);
    assert.ok((await stat(at("new/folder"))).isDirectory());
    assert.ok((await stat(at("new-file"))).isFile());
  });

  it("tells what is not", async () => {
    for (const [path, type, problem] of [
      [join(dir, "none"), "", /ENOENT/],
      [join(dir, "file"), "Directory", /is not a directory/],
      [dir, "File", /is not a file/],
      [dir, "Socket", /is not a socket/],
      [dir, "BlockDevice", /is not a block device/],
      [dir, "Folder", /hostPath has no type "Folder"/],
    ] as const)
      assert.match((await hostPathProblem(path, type)) ?? "", problem);
  });
});

describe("subPathOf()", () => {
  it("gives what is there, and makes a folder that is not", async () => {
    assert.equal(await subPathOf(dir, "file", false), join(dir, "file"));
    assert.equal(await subPathOf(dir, "a/b", true), join(dir, "a/b"));
    assert.ok((await stat(join(dir, "a/b"))).isDirectory());
    await assert.rejects(subPathOf(dir, "none", false), /is not in the volume/);
  });

  it("refuses what leads out, by name or by a link, and makes nothing there", async () => {
    const outside = await mkdtemp(join(tmpdir(), "portolan-outside-"));
    try {
      await mkdir(join(dir, "in"));
      await symlink(outside, join(dir, "in/link"));
      for (const path of ["../x", "/etc", "in/../../x", "in/link", "in/link/deeper"])
        await assert.rejects(subPathOf(dir, path, true), /volume/, path);
      await assert.rejects(stat(join(outside, "deeper")), /ENOENT/);
    } finally {
      await rm(outside, { recursive: true });
    }
  });
});
