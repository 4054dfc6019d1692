import assert from "node:assert/strict";
import { access, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { labNamed, runningLab, thisProcess, writeLabState } from "./state.ts";
import type { LabState } from "./state.ts";

describe("the note of a lab", () => {
  let states: string;
  let labDir: string;

  before(async () => {
    states = await mkdtemp(join(tmpdir(), "portolan-states-"));
    labDir = join(states, "lab");
  });
  after(() => rm(states, { recursive: true }));

  function state(name: string, up = thisProcess()): LabState {
    const kubeconfig = join(labDir, "kubeconfig");
    const space = { unsharePid: 1, hasUserNamespace: true, holders: {} };
    return { name, up, dir: labDir, kubeconfig, ...space };
  }

  it("is that of a lab that runs", async () => {
    await writeLabState(states, state("here"));
    assert.deepEqual(await labNamed(states, "here"), state("here"));
    await assert.rejects(labNamed(states, "none"), /no lab "none" is running/);
  });

  it("goes with its folder when another process has the lab's id by now", async () => {
    await mkdir(labDir);
    await writeLabState(states, state("gone", { pid: process.pid, startTicks: 1 }));
    assert.equal(await runningLab(states, "gone"), undefined);
    await assert.rejects(access(labDir), /ENOENT/);
    assert.ok(!(await readdir(states)).includes("gone.json"));
  });

  it("is not replaced by that of a lab that is started at the same time", async () => {
    const first = state("twice");
    await writeLabState(states, first);
    await assert.rejects(
      writeLabState(states, { ...first, unsharePid: 2 }),
      /another lab twice was started at the same time/,
    );
    assert.deepEqual(await labNamed(states, "twice"), first);
    assert.deepEqual(
      (await readdir(states)).filter((file) => file.startsWith("twice")),
      ["twice.json"],
    );
  });
});
