import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { makeHome, podProcesses, startedOf, startPortolan } from "./portolan.ts";

import { eventually, isAlive, missing, run } from "./tools.ts";
import type { Output } from "./tools.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Name, type, address, what DNS answers, and who answered; two spaces or more between columns. */
const ROWS = [
  /^shop {2,}ClusterIP {2,}127\.[\d.]+:8080 {2,}127\.[\d.]+ {2,}web-\d/m,
  /^shop-nodeport {2,}NodePort {2,}127\.[\d.]+:3\d{4} {2,}127\.[\d.]+ {2,}web-\d/m,
  /^shop-public {2,}LoadBalancer {2,}127\.128\.[\d.]+:8080 {2,}127\.[\d.]+ {2,}web-\d/m,
  /^shop-alias {2,}ExternalName {2,}shop\.default\S+ {2,}\S.* 127\.[\d.]+ {2,}web-\d/m,
  /^peers {2,}Headless {2,}None {2,}127\.[\d. ]+ {2,}peer-\d/m,
];

describe("portolan demo", () => {
  it("--once shows five Services that answer, exits 0 and leaves nothing behind", async () => {
    await using home = await makeHome();
    await using demo = startPortolan(home, "demo --once");
    const output = await demo.exited();
    assertFiveServices(output);
    assert.equal(output.stderr, "");
    assert.deepEqual(podProcesses(home.path), []);
    assert.deepEqual(readdirSync(home.env["TMPDIR"] ?? ""), []);
  });

  it("is what npm start runs", { skip: missing("npm") }, async () => {
    await using home = await makeHome();
    const child = spawn("npm", ["start", "--silent", "--", "--once"], {
      cwd: ROOT,
      env: { ...process.env, ...home.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    await using npm = startedOf(child, "npm start");
    assertFiveServices(await npm.exited());
  });

  it("--once exits 1 and says which Service did not answer", async () => {
    await using home = await makeHome();
    await using demo = startPortolan(home, ["demo", "--once", "-f", `${home.path}/none.yaml`]);
    const { code, stderr } = await demo.exited();
    assert.equal(code, 1);
    assert.match(stderr, /^portolan: not applied: .*none\.yaml: cannot be read: ENOENT/m);
  });

  it("stays up until Ctrl-C, and then leaves no process, port or folder behind", {
    skip: missing("curl"),
  }, async () => {
    await using home = await makeHome();
    await using demo = startPortolan(home, "demo");
    await eventually("the table is there", () => demo.stdout().includes("Ctrl-C ends it."));
    const shop = /^shop {2,}ClusterIP {2,}(\S+)/m.exec(demo.stdout())?.[1] ?? "";
    const kubeconfig = /^kubeconfig: (\S+)/m.exec(demo.stdout())?.[1] ?? "";
    assert.match(kubeconfig, /admin\.kubeconfig$/);
    assert.match(demo.stdout(), /^ {2}kubectl get .*\n {2}dig .*\n {2}kubectl delete /m);
    const answer = await run("curl", ["-s", "-m", "5", `http://${shop}/`]);
    assert.match(answer.stdout, /"pod":"web-\d"/);
    const pods = podProcesses(home.path);
    assert.equal(pods.length, 5);

    const { code } = await demo.end("SIGINT");
    assert.equal(code, 0);
    assert.deepEqual(pods.filter(isAlive), []);
    assert.equal((await run("curl", ["-s", "-m", "5", `http://${shop}/`])).code, 7);
    assert.deepEqual(readdirSync(home.env["TMPDIR"] ?? ""), []);
  });
});

function assertFiveServices({ code, stdout, stderr }: Output): void {
  assert.equal(code, 0, stderr);
  for (const row of ROWS) assert.match(stdout, row);
}
