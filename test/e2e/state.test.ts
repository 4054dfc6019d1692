import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { all, namePod, service, shellPod } from "./manifests.ts";
import { makeHome, podProcesses, runPortolan, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing, pidsWith, run } from "./tools.ts";

const LISTEN = ["--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"];
const MARK = "PORTOLAN_E2E_MARK";

// Nothing else that is tested starts a data dir twice: two of them may need the same addresses.
describe("the state of portolan up", { skip: missing("kubectl", "curl", "dig") }, () => {
  let home: Home;
  before(async () => {
    home = await makeHome();
  });
  after(() => home[Symbol.asyncDispose]());
  const mark = (value: string) => ({ name: MARK, value: join(home.path, value) });
  /** Pids of the processes of a Pod's spec, whichever instance started them. */
  const marked = (value: string) => pidsWith(MARK, (found) => found === join(home.path, value));
  const markedPods = () =>
    all(
      namePod("web-1", "web", { env: [mark("web-1"), { name: "TCP_PORT", value: "8080" }] }),
      namePod("web-2", "web", { env: [mark("web-2"), { name: "TCP_PORT", value: "8080" }] }),
      shellPod("idle", "exec sleep 1000", { env: [mark("idle")] }),
      service("shop", "web", { type: "NodePort" }),
      service("public", "web", { type: "LoadBalancer" }),
    );
  const PODS = ["web-1", "web-2", "idle"];
  const runOnce = () => PODS.every((name) => marked(name).length === 1);
  const allReady = (up: Up) => up.kubectl("wait --for=condition=Ready pod --all --timeout=30s");
  const facts = async (up: Up) => ({
    services: await up.kubectl([
      "get",
      "svc",
      "-o",
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.spec.clusterIP} {.spec.ports[0].nodePort} {.status.loadBalancer}{"\\n"}{end}',
    ]),
    pods: await up.kubectl([
      "get",
      "pod",
      "-o",
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}',
    ]),
  });
  const answers = async (up: Up) => {
    const address = await up.kubectl("get svc shop -o jsonpath={.spec.clusterIP}");
    const { stdout } = await run("curl", [
      "-s",
      "-m",
      "10",
      "-H",
      "connection: close",
      `http://${address}:8000/[1-40]`,
    ]);
    return [...new Set(stdout.trim().split("\n"))].sort().join(" ");
  };

  it("on a data dir in use exits 1 and says who uses it", async () => {
    const dataDir = join(home.path, "used");
    await using up = await startUp(home, { dataDir });
    const { code, stderr } = await runPortolan(home, ["up", "--data-dir", dataDir, ...LISTEN]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`data dir ${dataDir} is in use by pid ${String(up.pid)}`), stderr);
  });

  it("names a store that is corrupt and the way out, and leaves it as it is", async () => {
    const dataDir = join(home.path, "corrupt");
    await (await startUp(home, { dataDir })).stop();
    const store = join(dataDir, "store");
    const names = await readdir(store);
    const data = names.find((name) => name.endsWith(".mdb") && !name.includes("lock"));
    assert.ok(data !== undefined, names.join(", "));
    const file = await open(join(store, data), "r+");
    await file.truncate(5000);
    await file.close();
    const { code, stderr } = await runPortolan(home, ["up", "--data-dir", dataDir, ...LISTEN]);
    assert.equal(code, 1);
    assert.ok(stderr.includes(store), stderr);
    assert.equal(statSync(join(store, data)).size, 5000);
  });

  it("outlives a restart: objects, addresses, and Pods run again", async () => {
    const dataDir = join(home.path, "restart");
    let before;
    {
      await using up = await startUp(home, { dataDir });
      await up.kubectl("create -f -", markedPods());
      await allReady(up);
      await eventually("it has an address", async () =>
        (await up.kubectl("get svc public")).includes("127.128."),
      );
      before = await facts(up);
      await up.stop();
    }
    assert.deepEqual(podProcesses(dataDir), []);
    {
      await using up = await startUp(home, { dataDir });
      assert.deepEqual(await facts(up), before);
      await eventually("both Pods answer", async () => (await answers(up)) === "web-1 web-2");
      await allReady(up);
      assert.equal(runOnce(), true);
      await up.stop();
    }
    assert.deepEqual(podProcesses(dataDir), []);
  });

  it("outlives kill -9 amid writes: none that was acknowledged is lost, no Pod runs twice", async () => {
    const dataDir = join(home.path, "killed");
    const acknowledged = new Map<string, string>();
    let before;
    {
      await using up = await startUp(home, { dataDir });
      await up.kubectl("create -f -", markedPods());
      await allReady(up);
      before = await facts(up);
      const writing = writeUntilKilled(await writerOf(up), acknowledged);
      await eventually("many writes were acknowledged", () => acknowledged.size >= 300);
      await up.kill9();
      await writing;
    }
    assert.equal(runOnce(), true, "Pods outlive the process");
    const pids = PODS.flatMap(marked);
    {
      await using up = await startUp(home, { dataDir });
      assert.deepEqual(await facts(up), before);
      const stored = new Map(
        (
          await up.kubectl([
            "get",
            "cm",
            "-l",
            "e2e=write",
            "-o",
            'jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}',
          ])
        )
          .trim()
          .split("\n")
          .map((line): [string, string] => [line.split(" ")[0] ?? "", line.split(" ")[1] ?? ""]),
      );
      const lost = [...acknowledged].filter(([name, version]) => stored.get(name) !== version);
      assert.deepEqual(lost, []);
      await eventually("both Pods answer", async () => (await answers(up)) === "web-1 web-2");
      assert.equal(runOnce(), true, "no Pod runs twice");
      assert.deepEqual(PODS.flatMap(marked), pids, "Pods were adopted");
      await up.kubectl("delete pod idle --timeout=20s");
      assert.deepEqual(marked("idle"), []);
      assert.equal(await up.kubectl("logs web-1"), "");
      await up.stop();
    }
    assert.deepEqual(podProcesses(dataDir), []);
  });

  it("outlives kill -9 right after Pods were created, again and again", async () => {
    const dataDir = join(home.path, "again");
    for (let round = 0; round < 3; round++) {
      await using up = await startUp(home, { dataDir });
      await up.kubectl("apply -f -", markedPods());
      await up.kill9();
    }
    await using up = await startUp(home, { dataDir });
    await allReady(up);
    await eventually("each Pod runs once", runOnce);
    await eventually("both Pods answer", async () => (await answers(up)) === "web-1 web-2");
    await up.stop();
    assert.deepEqual(podProcesses(dataDir), []);
    assert.deepEqual(PODS.flatMap(marked), []);
  });

  it("is the same for Pods that ended or were deleted while nobody looked", async () => {
    const dataDir = join(home.path, "unseen");
    {
      await using up = await startUp(home, { dataDir });
      await up.kubectl("create -f -", markedPods());
      await allReady(up);
      await up.kubectl("delete pod web-2 --wait=false");
      await up.kill9();
    }
    for (const pid of marked("web-1")) process.kill(pid, "SIGKILL");
    await using up = await startUp(home, { dataDir });
    await up.kubectl("wait --for=delete pod/web-2 --timeout=20s");
    await eventually("web-1 runs again", async () => (await answers(up)) === "web-1");
    assert.equal(
      await up.kubectl("get pod web-1 -o jsonpath={.status.containerStatuses[0].restartCount}"),
      "1",
    );
    assert.deepEqual(
      [marked("web-1").length, marked("web-2").length, marked("idle").length],
      [1, 0, 1],
    );
    await up.stop();
    assert.deepEqual(podProcesses(dataDir), []);
  });
});

type Write = (name: string) => Promise<string>;

/** Creates a ConfigMap and gives the resourceVersion that was acknowledged. */
async function writerOf(up: Up): Promise<Write> {
  const config = await up.kubectl("config view --raw --minify -o json");
  const secret = (key: string): Buffer =>
    Buffer.from(new RegExp(`"${key}": "([^"]+)"`).exec(config)?.[1] ?? "", "base64");
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 8,
    ca: secret("certificate-authority-data"),
    cert: secret("client-certificate-data"),
    key: secret("client-key-data"),
  });
  const url = `${up.api}/api/v1/namespaces/default/configmaps`;
  const headers = { "content-type": "application/json" };
  return (name) =>
    new Promise((resolve, reject) => {
      const sent = request(url, { method: "POST", agent, headers, timeout: 10_000 }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("error", reject);
        response.on("end", () => {
          const version = /"resourceVersion":"(\d+)"/.exec(body)?.[1];
          if (response.statusCode === 201 && version !== undefined) resolve(version);
          else reject(new Error(`${String(response.statusCode)} ${body}`));
        });
      });
      sent.on("timeout", () => sent.destroy(new Error("no answer")));
      sent.on("error", reject);
      const metadata = { name, labels: { e2e: "write" } };
      sent.end(JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { name } }));
    });
}

/** Eight writers at once, each until its connection breaks. */
async function writeUntilKilled(write: Write, acknowledged: Map<string, string>): Promise<void> {
  const writer = async (id: number): Promise<void> => {
    for (let i = 0; ; i++) {
      const name = `w-${String(id)}-${String(i)}`;
      acknowledged.set(name, await write(name));
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: 8 }, (_, id) => writer(id)));
  for (const end of ends) {
    assert.ok(
      end.status === "rejected" && /ECONN|hang up/.test(String(end.reason)),
      JSON.stringify(end),
    );
  }
}
