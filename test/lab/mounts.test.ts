import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

const PROGRAMS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: programs}
data:
  run.sh: "#!/bin/sh\\npwd\\necho $1\\n: > /tmp/$1\\nexec /bin/sleep infinity\\n"
  say: "#!/bin/sh\\necho $@\\n"
${program("absolute", "command: [/scripts/run.sh, absolute]")}
${program("relative", "command: [./run.sh, relative]")}
${program("named", "command: [run.sh, named], env: [{name: PATH, value: /scripts}]")}
${program("linked", "command: [../scripts/..data/run.sh, linked]")}
${program("absent", "command: [/scripts/none]")}
${program("plain", "command: [/plain/run.sh]")}
${program("unnamed", "command: [run.sh], env: [{name: PATH, value: /plain}]")}
${program("nowhere", "command: [run.sh], workingDir: /scripts/none")}
`;

/** A Pod that has programs in volumes, and is ready when its own has begun. */
function program(name: string, container: string): string {
  return `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  volumes:
    - {name: scripts, configMap: {name: programs, defaultMode: 0755}}
    - {name: plain, configMap: {name: programs}}
    - {name: tmp, emptyDir: {}}
  containers:
    - name: c
      readinessProbe: {exec: {command: [/usr/bin/test, -e, /tmp/${name}]}}
      volumeMounts:
        - {name: scripts, mountPath: /scripts}
        - {name: plain, mountPath: /plain}
        - {name: tmp, mountPath: /tmp}
      ${container.includes("workingDir") ? "" : "workingDir: /scripts"}
      ${container.replaceAll(", env:", "\n      env:").replaceAll(", workingDir:", "\n      workingDir:")}
`;
}

const mounting = (host: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: deep}
spec:
  volumes: [{name: host, hostPath: {path: ${host}}}]
  containers:
    - name: c
      command: [sleep, infinity]
      volumeMounts:
        - {name: host, mountPath: /above, readOnly: true}
        - {name: host, mountPath: /all, readOnly: true, recursiveReadOnly: Enabled}
        - {name: host, mountPath: /maybe, readOnly: true, recursiveReadOnly: IfPossible}
`;

/** Two containers, of which the second may mount on the node. */
const following = (host: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: following}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: host, hostPath: {path: ${host}}}, {name: memory, emptyDir: {medium: Memory}}]
  containers:
    - name: sees
      command: [sleep, infinity]
      volumeMounts:
        - {name: host, mountPath: /follows, mountPropagation: HostToContainer}
        - {name: host, mountPath: /plain}
        - {name: memory, mountPath: /memory, mountPropagation: HostToContainer}
    - name: mounts
      command: [sleep, infinity]
      securityContext: {privileged: true}
      volumeMounts:
        - {name: host, mountPath: /both, mountPropagation: Bidirectional}
        - {name: memory, mountPath: /memory, mountPropagation: Bidirectional}
`;

describe("what a lab's containers mount", { timeout: 110_000 }, () => {
  let home: Home;
  let lab: Lab;
  let host: string;

  before(async () => {
    home = await makeHome();
    host = await mkdtemp(join(tmpdir(), "portolan-host-"));
    await mkdir(join(host, "below"));
    lab = await startLab(home, "--nodes 1");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
    await rm(host, { recursive: true, force: true });
  });

  it("may hold its programs: found by path, by PATH and from a working directory that lies in them", async () => {
    await lab.kubectl("apply -f -", PROGRAMS);
    const names = ["absolute", "relative", "named", "linked"];
    for (const name of names)
      await lab.kubectl(`wait pod/${name} --for=condition=Ready --timeout=30s`);
    for (const name of names)
      assert.equal(await lab.kubectl(`logs ${name}`), `/scripts\n${name}\n`, name);
    const here = ["exec", "absolute", "--"];
    assert.equal(await lab.kubectl([...here, "./say", "a", "b"]), "a b\n");
    assert.equal(await lab.kubectl(["exec", "named", "--", "say", "it"]), "it\n");
  });

  it("tells of a program that is not there, or is none, in a container runtime's words", async () => {
    const said = async (name: string): Promise<string> =>
      lab.kubectl([
        "get",
        "pod",
        name,
        "-o",
        "jsonpath={.status.containerStatuses[0].state.waiting['reason','message']}",
      ]);
    const wanted = {
      absent:
        'CreateContainerError exec: "/scripts/none": stat /scripts/none: no such file or directory',
      plain: 'CreateContainerError exec: "/plain/run.sh": permission denied',
      unnamed: 'CreateContainerError exec: "run.sh": executable file not found in $PATH (/plain)',
      nowhere:
        'CreateContainerError chdir to cwd ("/scripts/none") failed: no such file or directory',
    };
    for (const [name, text] of Object.entries(wanted)) {
      await eventually(`${name} is told`, async () => (await said(name)) === text);
      const events = await lab.kubectl([
        "get",
        "events",
        "--field-selector",
        `involvedObject.name=${name},reason=Failed`,
        "-o",
        "jsonpath={.items[0].message}",
      ]);
      assert.equal(events, `Error: ${text.slice(text.indexOf(" ") + 1)}`);
    }
  });

  it("is read-only with what is mounted below it, where that is asked for", async () => {
    await lab.exec("node-1", "mount", "-t", "tmpfs", "tmpfs", join(host, "below"));
    await lab.kubectl("apply -f -", mounting(host));
    await lab.kubectl("wait pod/deep --for=condition=Ready --timeout=30s");
    const touch = (path: string): Promise<string> =>
      lab.kubectl(["exec", "deep", "--", "sh", "-c", `touch ${path}/x 2>&1; true`]);
    assert.match(await touch("/above"), /Read-only file system/);
    // As everywhere: a mount below keeps its own way.
    assert.equal(await touch("/above/below"), "");
    for (const path of ["/all", "/all/below", "/maybe", "/maybe/below"])
      assert.match(await touch(path), /Read-only file system/, path);
  });

  it("follows later mounts of the node, and the node its own, where that is asked for", async () => {
    const mountsOfNode = (): Promise<string> =>
      lab.exec("node-1", "findmnt", "--raw", "--noheadings", "--output", "TARGET,PROPAGATION");
    for (const name of ["late", "own", "mine"]) await mkdir(join(host, name));
    const before = await mountsOfNode();
    await lab.kubectl("apply -f -", following(host));
    await lab.kubectl("wait pod/following --for=condition=Ready --timeout=30s");
    assert.equal(await mountsOfNode(), before);
    const sh = (container: string, script: string): Promise<string> =>
      lab.kubectl(["exec", "following", "-c", container, "--", "sh", "-c", script]);
    const mount = (path: string): string => `mount -t tmpfs tmpfs ${path} && touch ${path}/file`;

    await lab.exec("node-1", "sh", "-c", mount(join(host, "late")));
    assert.equal(
      await sh("sees", "ls /follows/late /plain/late"),
      "/follows/late:\nfile\n\n/plain/late:\n",
    );
    assert.equal(await sh("mounts", "ls /both/late"), "file\n");

    await sh("mounts", mount("/both/own"));
    assert.equal(await lab.exec("node-1", "ls", join(host, "own")), "file\n");
    assert.equal(
      await sh("sees", "ls /follows/own /plain/own"),
      "/follows/own:\nfile\n\n/plain/own:\n",
    );

    await sh("sees", mount("/follows/mine"));
    assert.equal(await lab.exec("node-1", "ls", join(host, "mine")), "");
    assert.equal(await sh("mounts", "ls /both/mine"), "");

    // A volume in memory is the Pod's, and its containers follow each other there.
    await sh("mounts", `mkdir /memory/own && ${mount("/memory/own")}`);
    assert.equal(await sh("sees", "ls /memory/own"), "file\n");

    await lab.kubectl("delete pod following");
    const added = (await mountsOfNode()).split("\n").filter((line) => !before.includes(line));
    assert.deepEqual(added.sort(), [`${join(host, "late")} shared`, `${join(host, "own")} shared`]);
  });
});
