import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { SILENT } from "../../test/apiserver/test-server.ts";
import { eventually } from "../../test/e2e/tools.ts";
import { diskUsage, EmptyDirLimits } from "./empty-dir-limits.ts";

const signal = new AbortController().signal;
const KIB = 1024;

describe("limits of emptyDirs", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "portolan-usage-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("count what lies below, a file of several names once, and no link's target", async () => {
    const empty = await diskUsage(dir, signal);
    await mkdir(join(dir, "deep/er"), { recursive: true });
    await writeFile(join(dir, "deep/er/file"), Buffer.alloc(256 * KIB, 1));
    await link(join(dir, "deep/er/file"), join(dir, "again"));
    await symlink(process.execPath, join(dir, "far"));
    const full = await diskUsage(dir, signal);
    assert.ok(full - empty >= 256 * KIB && full - empty < 384 * KIB, `${full} ${empty}`);
    assert.equal(await diskUsage(join(dir, "none"), signal), 0);
  });

  it("tell once of a Pod that has more than it may, and of no other", async () => {
    const told: string[] = [];
    const exceeded = (uid: string, message: string): void => {
      told.push(`${uid}: ${message}`);
    };
    await using limits = new EmptyDirLimits({ log: SILENT, exceeded });
    for (const name of ["a", "b", "c"]) await mkdir(join(dir, name));
    await writeFile(join(dir, "a/file"), Buffer.alloc(64 * KIB, 1));
    await writeFile(join(dir, "b/file"), Buffer.alloc(64 * KIB, 1));
    limits.watch("unlimited", "v", join(dir, "a"), "0");
    limits.watch("within", "v", join(dir, "a"), "10Mi");
    limits.watch("gone", "v", join(dir, "b"), "1Ki");
    limits.forget("gone");
    limits.watch("over", "scratch", join(dir, "b"), "32Ki");
    limits.watch("over", "other", join(dir, "c"), "32Ki");
    await eventually("it is told", () => told.length > 0);
    assert.deepEqual(told, ['over: Usage of EmptyDir volume "scratch" exceeds the limit "32Ki". ']);
  });
});
