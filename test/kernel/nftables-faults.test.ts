import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { after, before, it } from "node:test";
import { service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import { loadLibc } from "../../src/kernel/libc.ts";
import { KernelRefusal } from "../../src/proxy/nftables/kernel-tables.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network, NODE4 } from "./network.ts";
import { NODE, TestPlane } from "./plane.ts";

const WORLD = { from: "world" };

inNamespace(import.meta.url, () => {
  let network: Network;

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080);
  });

  after(() => network[Symbol.asyncDispose]());

  it("leaves out endpoints on loopback and link-local addresses, says which, and serves the others", async () => {
    await using plane = await TestPlane.open();
    const other = service({ clusterIP: "10.96.0.2" }, { name: "other" });
    const table = forwardingTable({
      services: [service(), other],
      slices: [
        slice(["127.0.0.1 ready", "169.254.1.1 ready", "224.0.0.1 ready", "10.244.0.1 ready"]),
        slice(["10.244.0.2 ready"], {
          metadata: { name: "other", labels: { "kubernetes.io/service-name": "other" } },
        }),
      ],
      node: NODE,
    });
    const problems = await plane.set(table);
    assert.deepEqual(
      problems.map(({ service: name, reason }) => [name, reason]),
      [["default/web", "InvalidEndpoint"]],
    );
    assert.match(problems[0]?.message ?? "", /127\.0\.0\.1:8080.*169\.254\.1\.1:8080/);
    for (const [vip, by] of [
      ["10.96.0.1", "10.244.0.1"],
      ["10.96.0.2", "10.244.0.2"],
    ] as const) {
      for (let i = 0; i < 8; i++) {
        const outcome = await network.tcp(WORLD, vip, 80);
        assert.equal(outcome.kind === "answered" && outcome.by, by);
      }
    }
  });

  it("an endpoint that is the node itself is reached there", async () => {
    await network.serve("node", 8080);
    await using plane = await TestPlane.open();
    const slices = [slice([`${NODE4} ready @here`])];
    assert.deepEqual(
      await plane.set(forwardingTable({ services: [service()], slices, node: NODE })),
      [],
    );
    assert.equal((await network.tcp(WORLD, "10.96.0.1", 80)).kind, "answered");
  });

  it("a feature that the kernel lacks refuses the transaction whole, by name, and leaves nothing", async () => {
    const load = await loadLibc();
    assert.ok(load.kind === "loaded");
    using tables = new NetlinkTables(load.libc, "none");
    const table = { family: "ip", name: "incomplete" } as const;
    const transaction = tables.begin();
    transaction.createTable(table, "for a test");
    const statement = {
      text: "no such thing",
      // An expression by a name that no kernel has: as on one that was built without it.
      expressions: [
        (writer: { text(type: number, text: string): void }) => {
          writer.text(1, "nosuchthing");
        },
      ],
    };
    transaction.createChains(table, { chains: [{ name: "one", rules: [[statement]] }], ops: [] });
    await assert.rejects(
      transaction.commit(),
      (error) =>
        error instanceof KernelRefusal &&
        error.errno === 2 &&
        /no nf_tables expression nosuchthing, which chain one /.test(error.message),
    );
    assert.deepEqual(
      (await tables.list()).filter(({ name }) => name === table.name),
      [],
    );
  });

  it("without netlink and without the program nft it says so in one line, and exits with 1", async () => {
    // In a mount namespace of its own, where the library for netlink and the programs are not there.
    const koffi = realpathSync("node_modules/koffi");
    const script = `mount -t tmpfs none ${koffi} && exec env PATH=/nowhere "$0" "$@"`;
    const command = ["--import", "tsx", "src/cli/main.ts", "proxy", "--cleanup"];
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(
        "unshare",
        ["-m", "sh", "-c", script, process.execPath, ...command],
        { timeout: 20_000, killSignal: "SIGKILL" },
        (error, _stdout, text) => {
          resolve({ code: error?.code, stderr: text });
        },
      );
    });
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /^portolan: nftables cannot be reached: netlink: [^\n]*install nftables\n$/,
    );
  });
});
