import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findProgram } from "./program.ts";
import type { Program } from "./program.ts";

describe("findProgram()", () => {
  let root: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), "portolan-root-"));
    await mkdir(join(root, "scripts/deep"), { recursive: true });
    await mkdir(join(root, "tools"));
    await writeFile(join(root, "scripts/run"), "#!/bin/sh\n");
    await chmod(join(root, "scripts/run"), 0o755);
    await writeFile(join(root, "scripts/text"), "");
    // A ConfigMap's file is a link to a link; an absolute one means the root that it is in.
    await symlink("/scripts", join(root, "tools/all"));
    await symlink("all/run", join(root, "tools/linked"));
    await symlink("/bin/sh", join(root, "tools/outside"));
    await symlink("../../../../scripts/run", join(root, "tools/above"));
    await symlink("circle", join(root, "tools/circle"));
  });
  after(() => rm(root, { recursive: true }));

  const find = (name: string, workingDir = "/", path = ""): Promise<Program> =>
    findProgram(name, { path, workingDir, root });
  const found = (path: string): Program => ({ kind: "found", path });
  const failed = (message: string): Program => ({ kind: "failed", message });

  it("finds a program of another root by its path there, through that root's links", async () => {
    assert.deepEqual(await find("/scripts/run"), found("/scripts/run"));
    assert.deepEqual(await find("/tools/linked"), found("/tools/linked"));
    assert.deepEqual(await find("/tools/above"), found("/tools/above"));
    assert.deepEqual(await find("./run", "/scripts"), found("/scripts/run"));
    assert.deepEqual(await find("../run", "/tools/all/deep"), found("/tools/all/run"));
  });

  it("looks a name up in PATH, in whose order it is and with relative parts", async () => {
    assert.deepEqual(await find("run", "/", "/none:/tools/all:/scripts"), found("/tools/all/run"));
    assert.deepEqual(await find("run", "/scripts", "/none::/x"), found("/scripts/run"));
    assert.deepEqual(await find("run", "/tools", "all"), found("/tools/all/run"));
    assert.deepEqual(
      await find("text", "/", "/scripts"),
      failed('exec: "text": executable file not found in $PATH (/scripts)'),
    );
  });

  it("tells what is wrong in a container runtime's words", async () => {
    const stat = (name: string): Program =>
      failed(`exec: "${name}": stat ${name}: no such file or directory`);
    for (const name of ["/scripts/no", "/scripts/run/x", "/tools/outside", "/tools/circle"])
      assert.deepEqual(await find(name), stat(name));
    assert.deepEqual(
      await find("/scripts/text"),
      failed('exec: "/scripts/text": permission denied'),
    );
    assert.deepEqual(await find("/scripts/deep"), failed('exec: "/scripts/deep": is a directory'));
    assert.deepEqual(
      await find("/scripts/run", "/none"),
      failed('chdir to cwd ("/none") failed: no such file or directory'),
    );
    assert.deepEqual(
      await find("/scripts/run", "/scripts/run"),
      failed('chdir to cwd ("/scripts/run") failed: not a directory'),
    );
  });

  it("finds this machine's own programs where there is no other root", async () => {
    const own = { path: "/usr/bin:/bin", workingDir: "/", root: "" };
    assert.equal((await findProgram("sh", own)).kind, "found");
    assert.deepEqual(await findProgram("/bin/sh", own), found("/bin/sh"));
  });
});
