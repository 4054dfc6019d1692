import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { after, before, it } from "node:test";
import { promisify } from "node:util";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service, ServiceSpec } from "../../src/api/v1/service.ts";
import { endpoint, ip, port } from "../../src/core/proxy/fixtures.test.ts";
import { loadLibc } from "../../src/kernel/libc.ts";
import { startNodeProxy } from "../../src/programs/node-proxy.ts";
import type { NodeProxy } from "../../src/programs/node-proxy.ts";
import { NodeTakenError } from "../../src/proxy/nftables/data-plane.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import type { KernelAccess } from "../../src/proxy/nftables/open-tables.ts";
import type { Informers } from "../../src/client/informer.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { SILENT } from "../apiserver/test-server.ts";
import { startControlPlane } from "../controllers/control-plane.ts";
import type { ControlPlane } from "../controllers/control-plane.ts";
import { PODS } from "./cluster.arbitrary.ts";
import { CuttableWay } from "./cuttable.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network, NODE4, NODE6 } from "./network.ts";
import type { Client } from "./network.ts";
import { POD_RANGES } from "./plane.ts";

const WORLD = { from: "world" };
const NODE_KEY = { name: "here" };

inNamespace(import.meta.url, () => {
  let network: Network;
  let control: ControlPlane;
  let metrics: Metrics;
  let proxy: NodeProxy;
  let way: CuttableWay;
  const informersOfProxies: Informers[] = [];

  before(async () => {
    network = await Network.open();
    await network.addServers(PODS, 8080);
    control = await startControlPlane();
    await control.node("here");
    await addresses(NODE4, NODE6);
    metrics = new Metrics();
    way = new CuttableWay(control.handle);
    proxy = await start();
  });

  after(async () => {
    await proxy[Symbol.asyncDispose]();
    for (const informers of informersOfProxies) await informers[Symbol.asyncDispose]();
    await control[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  async function start(openAccess?: () => Promise<KernelAccess>): Promise<NodeProxy> {
    const { signal } = new AbortController();
    const client = createClient({ transport: way.transport });
    const informers = createInformers({ client, log: SILENT });
    informersOfProxies.push(informers);
    const started = await startNodeProxy(
      { client, informers, log: SILENT, metrics, openAccess },
      {
        nodeName: "here",
        clusterCidrs: POD_RANGES,
        serviceCidrs: [],
        nodePortAddresses: "primary",
        localhostNodePorts: true,
        masqueradeAll: false,
        healthListen: { address: ip("0.0.0.0"), port: port(10_256) },
        metricsListen: { address: ip("127.0.0.1"), port: port(10_249) },
      },
      signal,
    );
    await started.ready(signal);
    return started;
  }

  /** The node's InternalIPs. */
  async function addresses(...all: readonly string[]): Promise<void> {
    const body = { status: { addresses: all.map((address) => ({ type: "InternalIP", address })) } };
    await control.client.patch(
      nodeKind,
      NODE_KEY,
      { kind: "merge", body },
      { subresource: "status" },
    );
  }

  async function expose(
    name: string,
    spec: Partial<ServiceSpec>,
    pods: readonly number[],
    protocol: "TCP" | "UDP" = "TCP",
  ): Promise<Service> {
    const made = await control.service(name, {
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      ...spec,
    });
    await control.client.create(endpointSliceKind, {
      metadata: {
        name,
        namespace: "default",
        labels: { "kubernetes.io/service-name": name },
        annotations: {
          "endpoints.kubernetes.io/last-change-trigger-time": new Date().toISOString(),
        },
      },
      addressType: "IPv4",
      endpoints: pods.map((n) =>
        endpoint(`10.244.0.${String(n)} ready @${n <= 2 ? "here" : "there"}`),
      ),
      ports: [{ name: "http", protocol, port: 8080 }],
    });
    return made;
  }

  async function answers(address: string, number = 80, client = WORLD): Promise<string> {
    const outcome = await network.tcp(client, address, number);
    return outcome.kind === "answered" ? outcome.by : outcome.kind;
  }

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    // The runner's timeout is the limit.
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  function vipOf(service: Service): string {
    return service.spec.clusterIP ?? "";
  }

  it("PROXY-011, NP-003: serves what the API says, and node ports on localhost by sockets", async () => {
    const made = await expose("web", { type: "NodePort" }, [1]);
    const nodePort = made.spec.ports?.[0]?.nodePort ?? 0;
    await until(async () => (await answers(vipOf(made))) === "10.244.0.1");
    assert.equal(await answers(NODE4, nodePort), "10.244.0.1");
    assert.equal(await answers("127.0.0.1", nodePort, { from: "node" }), "10.244.0.1");
    // A cluster IP that no Service has, by the API's ServiceCIDR.
    assert.equal(await answers("10.96.255.1"), "silence");
  });

  it("NP-003: on localhost node ports of UDP are served too", async () => {
    const ports = [{ name: "http", protocol: "UDP" as const, port: 53 }];
    const made = await expose("dns", { type: "NodePort", ports }, [2], "UDP");
    const nodePort = made.spec.ports?.[0]?.nodePort ?? 0;
    const from = async (client: Client, address: string): Promise<string> => {
      const outcome = await network.udp(client, address, nodePort);
      return outcome.kind === "answered" ? outcome.by : outcome.kind;
    };
    await until(async () => (await from(WORLD, NODE4)) === "10.244.0.2");
    await until(async () => (await from({ from: "node" }, "127.0.0.1")) === "10.244.0.2");
    // Nobody else reaches it there.
    assert.equal(await from({ from: "p3" }, "127.0.0.1"), "refused");
  });

  it("PROXY-002: a Service with a proxy name of its own is left alone, and taken back", async () => {
    const made = await expose("named", {}, [1]);
    const label = async (value: string | null): Promise<void> => {
      const labels = { "service.kubernetes.io/service-proxy-name": value };
      const patch = { kind: "merge", body: { metadata: { labels } } } as const;
      await control.client.patch(serviceKind, { namespace: "default", name: "named" }, patch);
    };
    await until(async () => (await answers(vipOf(made))) === "10.244.0.1");
    await label("other");
    await until(async () => (await answers(vipOf(made))) === "silence");
    await label(null);
    await until(async () => (await answers(vipOf(made))) === "10.244.0.1");
  });

  it("HC-008, HC-012, HC-013: tells its health, its mode and its metrics where kube-proxy does", async () => {
    const get = async (url: string): Promise<readonly [number, string]> => {
      const response = await network.onNode(() => fetch(url));
      return [response.status, await response.text()];
    };
    const [status, body] = await get(`http://${NODE4}:10256/healthz`);
    assert.deepEqual([status, (JSON.parse(body) as { healthy: unknown }).healthy], [200, true]);
    assert.equal((await get("http://127.0.0.1:10256/livez"))[0], 200);
    assert.deepEqual(await get("http://127.0.0.1:10249/proxyMode"), [200, "nftables"]);
    const [, text] = await get("http://127.0.0.1:10249/metrics");
    for (const name of [
      "kubeproxy_sync_proxy_rules_duration_seconds_count",
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "kubeproxy_network_programming_duration_seconds_count",
      "kubeproxy_sync_proxy_rules_service_changes_total",
      "kubeproxy_sync_proxy_rules_endpoint_changes_total",
      'kubeproxy_proxy_healthz_total{code="200"}',
    ]) {
      assert.ok(text.includes(`${name} `), name);
    }
  });

  it("tells what goes through a Service: new connections in /metrics, with those open by endpoint in /traffic", async () => {
    const made = await expose("counted", {}, [1]);
    const vip = vipOf(made);
    await until(async () => (await answers(vip)) === "10.244.0.1");
    const get = async (path: string): Promise<string> =>
      (await network.onNode(() => fetch(`http://127.0.0.1:10249${path}`))).text();
    const label = 'service="default/counted",port="http",protocol="TCP"';
    const line = new RegExp(`^portolan_proxy_service_connections_total\\{${label}\\} (\\d+)$`, "m");
    const total = async (): Promise<number> => Number(line.exec(await get("/metrics"))?.[1] ?? "0");
    const before = await total();
    const held = await network.hold({ from: "p4" }, vip, 80);
    await answers(vip);
    assert.equal((await total()) - before, 2);
    // The answers to questions before are over as soon as the kernel has seen their ends.
    await until(async () => {
      const { frontends } = JSON.parse(await get("/traffic")) as {
        frontends: { service: string; address: string; newConnections: number; open: unknown }[];
      };
      const one = frontends.find(({ service }) => service === "default/counted");
      assert.equal(one?.address, `${vip}:80`);
      assert.ok(one.newConnections >= 2);
      return (
        JSON.stringify(one.open) ===
        JSON.stringify([{ endpoint: "10.244.0.1:8080", connections: 1 }])
      );
    });
    held.end();
  });

  it("HC-001, HC-002: a load-balanced Service with policy Local has its health-check port", async () => {
    const made = await expose("lb", { type: "LoadBalancer", externalTrafficPolicy: "Local" }, [2]);
    const check = String(made.spec.healthCheckNodePort);
    const get = (): Promise<Response> =>
      network.onNode(() => fetch(`http://${NODE4}:${check}/healthz`));
    await until(() =>
      get().then(
        (response) => response.status === 200,
        () => false,
      ),
    );
    const response = await get();
    assert.equal(response.headers.get("x-load-balancing-endpoint-weight"), "1");
  });

  it("PROXY-014: the Service that loses an address to another is told so", async () => {
    await expose("first", { externalIPs: ["203.0.113.9"] }, [1]);
    await until(async () => (await answers("203.0.113.9")) === "10.244.0.1");
    // Creation times have seconds: the name decides between equals.
    await expose("second", { externalIPs: ["203.0.113.9"] }, [2]);
    const events = await control.until(eventKind, (all) =>
      all.some((event) => event.reason === "AddressConflict"),
    );
    const told = events.find((event) => event.reason === "AddressConflict");
    assert.equal(told?.involvedObject?.name, "second");
    assert.match(told?.message ?? "", /203\.0\.113\.9:80 goes to Service default\/first/);
    assert.match(metrics.render(), /^portolan_proxy_address_conflicts 1$/m);
    assert.equal(await answers("203.0.113.9"), "10.244.0.1");
  });

  it("NODE-004: follows the node's addresses", async () => {
    const made = await expose("moving", { type: "NodePort" }, [1]);
    const nodePort = made.spec.ports?.[0]?.nodePort ?? 0;
    await until(async () => (await answers(NODE4, nodePort)) === "10.244.0.1");
    await addresses(NODE6);
    await until(async () => (await answers(NODE4, nodePort)) === "refused");
    assert.equal(await answers(vipOf(made)), "10.244.0.1");
    await addresses(NODE4, NODE6);
    await until(async () => (await answers(NODE4, nodePort)) === "10.244.0.1");
  });

  it("tells by an Event that others' changes of the rules were undone", async () => {
    const made = await expose("repaired", {}, [1]);
    await until(async () => (await answers(vipOf(made))) === "10.244.0.1");
    await proxy[Symbol.asyncDispose]();
    // As before kernel 6.9: anybody may change the tables.
    proxy = await network.onNode(() =>
      start(async () => {
        const load = await loadLibc();
        assert.equal(load.kind, "loaded");
        const tables = new NetlinkTables(load.libc, "none");
        const close = (): void => {
          tables[Symbol.dispose]();
        };
        return { tables, flows: undefined, remark: undefined, [Symbol.dispose]: close };
      }),
    );
    execFileSync("nft", ["flush", "ruleset"]);
    const events = await control.until(eventKind, (all) =>
      all.some((event) => event.reason === "RulesRepaired"),
    );
    const told = events.find((event) => event.reason === "RulesRepaired");
    assert.deepEqual([told?.involvedObject?.kind, told?.involvedObject?.name], ["Node", "here"]);
    assert.match(told?.message ?? "", /table ip portolan\S* was deleted; the rules were made anew/);
    assert.equal(await answers(vipOf(made)), "10.244.0.1");
    await proxy[Symbol.asyncDispose]();
    proxy = await network.onNode(() => start());
  });

  it("a second one on the node refuses", async () => {
    await assert.rejects(start(), NodeTakenError);
  });

  it("says what is missing when it may not change the kernel's rules, and touches nothing", async () => {
    // A user namespace inside of this one: root there, but with no rights over this network.
    const args = [
      "-U",
      process.execPath,
      "--import",
      "tsx",
      "src/cli/main.ts",
      "proxy",
      "--cleanup",
    ];
    const failed: { code?: unknown; stderr?: unknown } = await promisify(execFile)(
      "unshare",
      args,
    ).then(
      () => ({}),
      (error: unknown) => error as object,
    );
    assert.equal(failed.code, 1);
    assert.match(
      String(failed.stderr),
      /^portolan: this process may not change nftables \(EPERM\)/,
    );
  });

  it("PROXY-016: while the API is gone the rules stay, and what changed meanwhile is applied when it is back", async () => {
    const kept = await expose("kept", {}, [1]);
    const going = await expose("going", {}, [1]);
    await until(async () => (await answers(vipOf(going))) === "10.244.0.1");
    way.cut();
    await control.remove(serviceKind, "going");
    const coming = await expose("coming", {}, [2]);
    assert.equal(await answers(vipOf(kept)), "10.244.0.1");
    assert.equal(await answers(vipOf(going)), "10.244.0.1");
    assert.equal(await answers(vipOf(coming)), "silence");
    way.mend();
    await until(async () => (await answers(vipOf(coming))) === "10.244.0.2");
    await until(async () => (await answers(vipOf(going))) === "silence");
    assert.equal(await answers(vipOf(kept)), "10.244.0.1");
  });

  it("PROXY-016: without API the rules stay; one that starts anew takes them over and removes what is gone", async () => {
    const made = await expose("staying", {}, [1]);
    await until(async () => (await answers(vipOf(made))) === "10.244.0.1");
    await proxy[Symbol.asyncDispose]();
    assert.equal(await answers(vipOf(made)), "10.244.0.1");
    await control.remove(serviceKind, "staying");
    proxy = await network.onNode(() => start());
    assert.equal(await answers(vipOf(made)), "silence");
  });
});
