import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createInformers } from "../../src/client/shared-informers.ts";
import { ip, port } from "../../src/core/proxy/fixtures.test.ts";
import { startNodeProxy } from "../../src/programs/node-proxy.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { SILENT } from "../apiserver/test-server.ts";
import { PROGRAM, startedOf } from "../e2e/portolan.ts";
import type { Started } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { inNamespace } from "./in-namespace.ts";
import { LackingKernel } from "./lacking-kernel.ts";
import { POD_RANGES } from "./plane.ts";
import { NODE_NAME, ProgramCluster } from "./program-cluster.ts";

const REFUSALS = "portolan_proxy_nftables_refusals_total";
const FAILURES = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total";

inNamespace(import.meta.url, () => {
  let cluster: ProgramCluster;
  let vip: string;
  let hashedVip: string;

  before(async () => {
    cluster = await ProgramCluster.start();
    const web = await cluster.expose("web", ["10.244.0.1 ready @here"]);
    vip = web.spec.clusterIP ?? "";
    const annotations = { "portolan.dev/balance": "source-hash" };
    const hashed = await cluster.expose("hashed", ["10.244.0.2 ready @here"], {}, { annotations });
    hashedVip = hashed.spec.clusterIP ?? "";
    const families = { ipFamilyPolicy: "RequireDualStack" } as const;
    await cluster.expose("dual", ["10.244.0.4 ready @here"], families);
  });

  after(() => cluster[Symbol.asyncDispose]());

  /** `portolan proxy` for this node in a shell that first takes something away from it. */
  function launchIn(unshare: readonly string[], script: string): Promise<Started> {
    const args = ["proxy", "--kubeconfig", cluster.kubeconfig, "--node-name", NODE_NAME];
    const command = [...unshare, "sh", "-c", script, process.execPath, PROGRAM, ...args];
    return cluster.network.onNode(() => {
      const env = { ...process.env, ...cluster.home.env };
      const child = spawn("unshare", command, { env, stdio: ["ignore", "pipe", "pipe"] });
      return Promise.resolve(startedOf(child, "portolan proxy"));
    });
  }

  /** It ends with 1 and one line, which an Event on the Node repeats. */
  async function assertRefusal(started: Started, line: RegExp): Promise<void> {
    const { code, stderr } = await started.exited();
    assert.equal(code, 1, stderr);
    assert.match(stderr, line);
    assert.equal(stderr.split("\n").length, 2, stderr);
    const said = stderr.trim().replace(/^portolan: /, "");
    await eventually(`an Event says: ${said}`, async () => {
      const { message } = await cluster.event("ProxyNotStarted", "Node", NODE_NAME, said);
      return message === said;
    });
  }

  describe("what keeps it from starting is one line, and an Event on the Node", () => {
    it("another proxy, which goes on", async () => {
      await using first = await cluster.proxy();
      await assertRefusal(
        await cluster.launch(),
        /^portolan: another portolan proxy is running here/,
      );
      assert.equal(await cluster.answers(vip), "10.244.0.1");
      assert.equal(first.stderr(), "");
    });

    it("a table of somebody else with our name, which stays", async () => {
      execFileSync(process.execPath, [PROGRAM, "proxy", "--cleanup"], { stdio: "ignore" });
      execFileSync("nft", ["add", "table", "ip", "portolan"]);
      await assertRefusal(
        await cluster.launch(),
        /^portolan: nftables has a table ip portolan that is not ours; .*nft delete table ip portolan$/m,
      );
      execFileSync("nft", ["delete", "table", "ip", "portolan"]);
    });

    it("no right to change nftables", async () => {
      // A user namespace inside of this one: root there, but with no rights over this network.
      const started = await launchIn(["-U"], 'exec "$0" "$@"');
      await assertRefusal(started, /^portolan: this process may not change nftables \(EPERM\)/);
    });

    it("neither netlink nor the program nft", async () => {
      const koffi = realpathSync("node_modules/koffi");
      const script = `mount -t tmpfs none ${koffi} && exec env PATH=/nowhere "$0" "$@"`;
      const line = /^portolan: nftables cannot be reached: netlink: .*install nftables$/m;
      await assertRefusal(await launchIn(["-m"], script), line);
    });
  });

  it("the program nft that goes away while it runs: rules stay, an Event and a metric say so, and it goes on when nft is back", async () => {
    const bin = join(cluster.home.path, "bin");
    const nft = execFileSync("sh", ["-c", "command -v nft"], { encoding: "utf8" }).trim();
    await mkdir(bin);
    await symlink(nft, join(bin, "nft"));
    const koffi = realpathSync("node_modules/koffi");
    const script = `mount -t tmpfs none ${koffi} && exec env PATH=${bin} "$0" "$@"`;
    await using started = await launchIn(["-m"], script);
    await cluster.untilAnswered("10.244.0.1", vip);
    await rm(join(bin, "nft"));
    await cluster.setEndpoints("web", ["10.244.0.2 ready @here"]);
    const told = await cluster.event("RulesNotApplied", "Node", NODE_NAME);
    assert.match(told.message ?? "", /nft.*rules applied before stay as they are/);
    assert.ok((await cluster.metric(FAILURES)) > 0);
    assert.equal(await cluster.answers(vip), "10.244.0.1");
    await symlink(nft, join(bin, "nft"));
    await cluster.untilAnswered("10.244.0.2", vip);
    await cluster.event("RulesApplied", "Node", NODE_NAME);
    await cluster.setEndpoints("web", ["10.244.0.1 ready @here"]);
    await cluster.untilAnswered("10.244.0.1", vip);
    // The first line is that netlink is not there; the failure is one more, however often it was tried.
    assert.equal(started.stderr().match(/data plane failed/g)?.length, 1, started.stderr());
  });

  describe("a kernel that lacks something", () => {
    const metrics = new Metrics();
    let kernel: LackingKernel;

    /** The proxy in this process, over a kernel that lacks this. */
    async function start(...lacks: readonly string[]): Promise<AsyncDisposable> {
      kernel = new LackingKernel();
      for (const each of lacks) kernel.lacks.add(each);
      const { client } = cluster;
      const informers = createInformers({ client, log: SILENT });
      const proxy = await cluster.network.onNode(() =>
        startNodeProxy(
          { client, informers, log: SILENT, metrics, openAccess: () => kernel.access() },
          {
            nodeName: NODE_NAME,
            clusterCidrs: POD_RANGES,
            serviceCidrs: [],
            nodePortAddresses: "primary",
            localhostNodePorts: false,
            masqueradeAll: false,
            healthListen: { address: ip("0.0.0.0"), port: port(10_256) },
            metricsListen: { address: ip("127.0.0.1"), port: port(10_249) },
          },
          new AbortController().signal,
        ),
      );
      return {
        async [Symbol.asyncDispose]() {
          await proxy[Symbol.asyncDispose]();
          await informers[Symbol.asyncDispose]();
        },
      };
    }

    it("which all rules need: named in an Event on the Node; metrics and health go on; when it is there rules are applied", async () => {
      await using _proxy = await start("numgen");
      const told = await cluster.event("RulesNotApplied", "Node", NODE_NAME, "numgen");
      assert.match(
        told.message ?? "",
        /has no nf_tables expression numgen, which chain list_0 of table ip needs .*nft_numgen/,
      );
      assert.ok((await cluster.metric(REFUSALS)) > 0);
      assert.ok((await cluster.metric(FAILURES)) > 0);
      const health = await cluster.network.onNode(() => fetch("http://127.0.0.1:10256/livez"));
      assert.equal(health.status, 200);
      // What the last proxy left works on.
      assert.equal(await cluster.answers(vip), "10.244.0.1");
      kernel.lacks.clear();
      await cluster.setEndpoints("web", ["10.244.0.3 ready @here"]);
      await cluster.untilAnswered("10.244.0.3", vip);
    });

    it("which few Services need: those are served otherwise and told so, all others as they ask", async () => {
      await using _proxy = await start("hash");
      await cluster.untilAnswered("10.244.0.2", hashedVip);
      await cluster.untilAnswered("10.244.0.3", vip);
      const missing = await cluster.event("KernelFeatureMissing", "Node", NODE_NAME, "hash");
      assert.match(missing.message ?? "", /no nf_tables expression hash/);
      const told = await cluster.event("BalanceNotSupported", "Service", "hashed");
      assert.match(told.message ?? "", /spreads clients at random, not by source-hash/);
    });

    it("which one family needs: the other is served", async () => {
      await using _proxy = await start("ip6");
      await cluster.untilAnswered("10.244.0.3", vip);
      await cluster.event("KernelFeatureMissing", "Node", NODE_NAME, "table ip6 portolan");
      const told = await cluster.event("ProtocolNotSupported", "Service", "dual");
      assert.match(told.message ?? "", /TCP\/\[fd00:96::.*\]:80 is not served/);
      // Also what counts traffic does without it.
      assert.match(await cluster.metrics(), /service_connections_total\{service="default\/web"/);
    });
  });
});
