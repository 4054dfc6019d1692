import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeHome, startPortolan } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { hostNetwork, labProcesses, startLab } from "./lab.ts";

const POD = JSON.stringify({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [{ name: "c", command: ["sleep", "infinity"] }] },
});

describe("a lab whose program is killed (kill -9)", { timeout: 110_000 }, () => {
  /** Entries of a folder that may not be there. */
  const namesIn = (dir: string): readonly string[] => (existsSync(dir) ? readdirSync(dir) : []);

  for (const [moment, has] of [
    ["when it begins", (folder: string, _notes: string) => existsSync(join(folder, "up.sock"))],
    ["when its namespaces are made", (_folder: string, notes: string) => namesIn(notes).length > 0],
    ["when its nodes begin", (folder: string) => existsSync(join(folder, "node-1"))],
    ["when its API serves", (folder: string) => existsSync(join(folder, "api.sock"))],
  ] as const) {
    it(`${moment} leaves no process, no file and nothing on the host`, async () => {
      await using home = await makeHome();
      const network = hostNetwork();
      const tmp = join(home.path, "tmp");
      const notes = join(home.env["XDG_STATE_HOME"] ?? "", "portolan/labs");
      const killed = startPortolan(home, "lab up --nodes 1");
      await eventually(moment, () => {
        const [folder] = namesIn(tmp).filter((name) => name.startsWith("portolan-lab-"));
        return folder !== undefined && has(join(tmp, folder), notes);
      });
      process.kill(killed.pid, "SIGKILL");
      await eventually("its processes are gone", () => labProcesses(home).length === 0);
      assert.equal(hostNetwork(), network);
      // Killed before it has started anything, there is nobody to remove its folder but the next one.
      if (moment === "when it begins") {
        await using next = await startLab(home, "--nodes 1");
        assert.match(await next.kubectl("get nodes -o name"), /node-1/);
        assert.equal(namesIn(tmp).length, 1);
      } else {
        assert.deepEqual(namesIn(tmp), []);
        assert.deepEqual(namesIn(notes), []);
      }
    });
  }

  it("with Pods leaves no process, no file and nothing on the host", async () => {
    await using home = await makeHome();
    const network = hostNetwork();
    await using lab = await startLab(home, "--nodes 1");
    await lab.kubectl("apply -f -", POD);
    await lab.kubectl("wait pod/p --for=condition=Ready --timeout=30s");
    assert.ok(labProcesses(home).length > 4);
    process.kill(lab.pid, "SIGKILL");
    await eventually("its processes are gone", () => labProcesses(home).length === 0);
    assert.deepEqual(namesIn(join(home.path, "tmp")), []);
    assert.equal(hostNetwork(), network);
    await using next = await startLab(home, "--nodes 1");
    assert.match(await next.kubectl("get nodes -o name"), /node-1/);
  });
});
