import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import * as fc from "fast-check";
import { diffFrontends } from "../../src/core/proxy/diff.ts";
import { ip, packet, service, slice } from "../../src/core/proxy/fixtures.test.ts";
import { frontendKey } from "../../src/core/proxy/frontend.ts";
import type { Backend } from "../../src/core/proxy/frontend.ts";
import { decide, route } from "../../src/core/proxy/route.ts";
import type { Choice, Route } from "../../src/core/proxy/route.ts";
import type { ProxyNode } from "../../src/core/proxy/service-part.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { parseCidr } from "../../src/net/cidr.ts";
import { UserspaceDataPlane } from "../../src/proxy/userspace/data-plane.ts";
import { UDP_IDLE_MS } from "../../src/proxy/userspace/udp.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { SILENT } from "../apiserver/test-server.ts";
import { anyCluster, POD_PORT, PODS } from "./cluster.arbitrary.ts";
import type { Cluster } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network, NODE4, NODE6 } from "./network.ts";
import type { Held, Outcome } from "./network.ts";
import { NODE } from "./plane.ts";
import { probesOf } from "./probes.ts";
import type { Clients, Probe } from "./probes.ts";

const RUNS = Number(process.env["PORTOLAN_ROUTE_RUNS"] ?? "14");

/**
 * All that sockets do otherwise than the specification, beside SCTP, which they report as not served, and the
 * client's address, which endpoints see in 127.0.0.0/8 only. @see UserspaceDataPlane
 */
const INSTEAD = {
  // The kernel answers for addresses that it was given, whoever has a Service there.
  notOurs: "refused",
  // A socket accepts before it sees from whom. Without endpoints there is none, and the kernel refuses everybody.
  notAllowedTcp: "reset",
  notAllowedWithoutEndpoints: "refused",
} as const;

/** The time that passes, and the state of the cluster after it. */
interface Step {
  /** Undefined: as before. */
  readonly cluster: Cluster | undefined;
  readonly passesMs: number;
  readonly seed: number;
}

const anySteps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    cluster: fc.option(anyCluster, { nil: undefined, freq: 2 }),
    passesMs: fc.constantFrom(0, 10_000, 200_000, 400_000, 90_000_000),
    seed: fc.integer({ min: 1, max: 0x7fffffff }),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Cases that are always tried: those that were found, and those that chance comes to too seldom. */
const CASES: readonly (readonly Step[])[] = [
  // AFF-003: within the time-out, each time anew, and after it.
  [
    { cluster: sticky(), passesMs: 0, seed: 1_000_000_000 },
    ...[200_000, 200_000, 301_000, 86_400_000].map((passesMs, i) => ({
      cluster: undefined,
      passesMs,
      // So that every step's first choice is another.
      seed: 1_100_000_000 + i * 500_000_001,
    })),
  ],
  // LBIP-005 without endpoints: refused, as all are.
  [{ cluster: limited(), passesMs: 0, seed: 7 }],
];

function sticky(): Cluster {
  return {
    services: [
      service({
        clusterIPs: ["10.96.0.1"],
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 300 } },
      }),
    ],
    slices: [slice(PODS.map(({ v4, node }) => `${v4} ready @${node}`))],
  };
}

function limited(): Cluster {
  const spec = { type: "LoadBalancer", loadBalancerSourceRanges: ["192.0.2.0/24"] } as const;
  return { services: [service(spec, {}, [{ ip: "203.0.113.7" }])], slices: [] };
}

/** Where a plane is tried: which addresses there are, and what endpoints see of clients. */
interface Setting {
  readonly node: ProxyNode;
  readonly clients: Clients | undefined;
  readonly adapt: (cluster: Cluster) => Cluster;
  readonly sourceSeen: (probe: Probe) => string;
}

const ANYWHERE: Setting = {
  node: NODE,
  clients: undefined,
  adapt: (cluster) => cluster,
  sourceSeen: ({ frontend }) => (frontend.address.includes(":") ? NODE6 : NODE4),
};

/** As `portolan up` has it: everything in 127.0.0.0/8, all clients on this machine. */
const LOOPBACK: Setting = {
  node: {
    ...NODE,
    nodePortAddresses: [ip("127.9.2.1"), ip("127.0.0.1")],
    internalRanges: ["127.112.0.0/16", "127.0.0.1/32"].flatMap((text) => parseCidr(text) ?? []),
  },
  clients: {
    IPv4: ["127.9.2.2", "127.9.51.77", "127.112.0.1", "127.0.0.1"].map(
      (source) => [{ from: "node", source }, source] as const,
    ),
    IPv6: [],
  },
  adapt: inLoopback,
  sourceSeen: ({ source }) => source,
};

function inLoopback({ services, slices }: Cluster): Cluster {
  const text = JSON.stringify({
    services: services.map((each) => ({
      ...each,
      spec: {
        ...each.spec,
        clusterIPs: (each.spec.clusterIPs ?? []).filter(isIpv4),
        externalIPs: (each.spec.externalIPs ?? []).filter(isIpv4),
      },
    })),
    slices: slices.filter(({ addressType }) => addressType === "IPv4"),
  });
  const moved = text
    .replaceAll("10.96.", "127.96.")
    .replaceAll("10.244.", "127.112.")
    .replaceAll("203.0.113.", "127.128.113.")
    .replaceAll("192.0.2.", "127.9.2.");
  // What was a cluster is one still.
  return JSON.parse(moved) as Cluster;
}

function isIpv4(address: string): boolean {
  return !address.includes(":");
}

inNamespace(import.meta.url, () => {
  let network: Network;

  before(async () => {
    network = await Network.open();
    network.own("10.96.0.0/16", "203.0.113.0/24", "fd00:96::/112", "2001:db8:99::/64");
    for (const [i, pod] of PODS.entries()) {
      network.addPod(pod.name, pod.v4, pod.v6);
      await network.serve(pod.name, POD_PORT);
      await network.serve("node", POD_PORT, `127.112.0.${String(i + 1)}`);
    }
  });

  after(async () => {
    await network[Symbol.asyncDispose]();
  });

  it("PROXY-032, AFF-003, CT-001: sockets do what route() says, and what is established goes on", async () => {
    await assertFollows(network, ANYWHERE);
  });

  it("loses no connection while endpoints come and go", async () => {
    await using plane = new UserspaceDataPlane(
      { log: SILENT, metrics: new Metrics(), node: NODE },
      { mayServe: () => true },
    );
    const lines = PODS.map(({ v4, node }) => `${v4} ready @${node}`);
    const tableOf = (endpoints: readonly string[]): ForwardingTable =>
      forwardingTable({ services: [service()], slices: [slice(endpoints)], node: NODE });
    // Each has one endpoint in common with the next.
    const tables = lines.map((line, i) => tableOf([line, lines[(i + 1) % lines.length] ?? ""]));
    let before: ForwardingTable["frontends"] = [];
    const become = async (table: ForwardingTable): Promise<void> => {
      const change = diffFrontends(before, table.frontends);
      before = table.frontends;
      assert.deepEqual(await network.onNode(() => plane.apply(change)), []);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await become(tableOf(lines));
    let changes = 0;
    const clients = Array.from({ length: 8 }, async () => {
      const answers: Outcome[] = [];
      for (let n = 0; n < 50; n++)
        answers.push(await network.tcp({ from: "world" }, "10.96.0.1", 80));
      return answers;
    });
    let isOver = false;
    const changing = (async () => {
      while (!isOver) await become(tables[changes++ % tables.length] ?? tableOf(lines));
    })();
    const outcomes = (await Promise.all(clients)).flat();
    isOver = true;
    await changing;
    assert.ok(changes > 50, String(changes));
    assert.deepEqual([...new Set(outcomes.map(({ kind }) => kind))], ["answered"]);
  });

  it("PROXY-021: in 127.0.0.0/8 they do so too, and endpoints see the client's address", async () => {
    await assertFollows(network, LOOPBACK);
  });
});

async function assertFollows(network: Network, setting: Setting): Promise<void> {
  const property = fc.asyncProperty(anySteps, async (steps) => {
    await using trial = new Trial(network, setting);
    for (const step of steps) await trial.take(step);
  });
  const examples = CASES.map((steps): [readonly Step[]] => [steps]);
  const options = { numRuns: RUNS, endOnFailure: true, includeErrorInReport: true };
  await fc.assert(property, { ...options, examples });
}

/** A client's datagrams from one port, and the endpoint that has them now. */
interface Flow {
  readonly probe: Probe;
  readonly sourcePort: number;
  backend: Backend | undefined;
  lastMs: number;
}

/** A data plane, and beside it what the specification says of each packet, with the same random numbers and clock. */
class Trial implements AsyncDisposable {
  readonly #network: Network;
  readonly #setting: Setting;
  readonly #plane: UserspaceDataPlane;
  readonly #remembered = new Map<string, { readonly backend: Backend; readonly untilMs: number }>();
  readonly #held: { readonly about: string; readonly connection: Held }[] = [];
  readonly #flows: Flow[] = [];
  #table: ForwardingTable;
  #nowMs = 0;
  #random = 0;
  #seed = 1;
  #sourcePort = 20_000;

  constructor(network: Network, setting: Setting) {
    this.#network = network;
    this.#setting = setting;
    this.#table = forwardingTable({ services: [], slices: [], node: setting.node });
    this.#plane = new UserspaceDataPlane(
      {
        log: SILENT,
        metrics: new Metrics(),
        node: setting.node,
        random: () => this.#random,
        nowMs: () => this.#nowMs,
      },
      { mayServe: () => true },
    );
  }

  /** Time passes, the cluster becomes another, and every client of every frontend comes. */
  async take({ cluster, passesMs, seed }: Step): Promise<void> {
    this.#seed = seed;
    this.#nowMs += passesMs;
    this.#plane.sweep();
    const { adapt, node } = this.#setting;
    await this.#set(
      cluster === undefined ? this.#table : forwardingTable({ ...adapt(cluster), node }),
    );
    for (const { about, connection } of this.#held) {
      assert.equal(await connection.echo("still there"), "still there", about);
    }
    for (const flow of this.#flows) await this.#checkFlow(flow);
    const silent: Promise<void>[] = [];
    const probes = probesOf(this.#table, this.#setting.clients);
    // Twice: clients of Services with affinity come to where they were.
    for (const probe of [...probes, ...probes]) {
      const expected = this.#expect(probe);
      const asked = this.#ask(probe, expected);
      if (kindOf(probe, expected) === "silence") silent.push(asked);
      else await asked;
    }
    await Promise.all(silent);
    await this.#begin(probes);
  }

  async #set(table: ForwardingTable): Promise<void> {
    const change = diffFrontends(this.#table.frontends, table.frontends);
    this.#table = table;
    const problems = await this.#network.onNode(() => this.#plane.apply(change));
    const sctp = [...change.added, ...change.changed.map(({ after }) => after)]
      .filter(({ protocol }) => protocol === "SCTP")
      .map((frontend) => `${frontendKey(frontend)} ProtocolNotSupported`);
    const reported = problems.map(({ frontend, reason }) => `${frontend} ${reason}`);
    assert.deepEqual(new Set(reported), new Set(sctp));
    // A flow ends with the endpoint that it goes to, and after silence.
    for (const flow of this.#flows) {
      const frontend = table.frontends.find(
        (each) => frontendKey(each) === frontendKey(flow.probe.frontend),
      );
      const decision = frontend && decide(frontend, ip(flow.probe.source), table.node);
      const backends = decision?.kind === "forward" ? decision.backends : [];
      const isEligible = backends.some(
        ({ address, port }) => address === flow.backend?.address && port === flow.backend.port,
      );
      const isIdle = flow.lastMs < this.#nowMs - UDP_IDLE_MS;
      if (!isEligible || isIdle) flow.backend = undefined;
    }
  }

  /** What route() says, and remembers it as a connection that was made. */
  #expect({ source, frontend }: Probe): Route {
    this.#random = this.#next();
    const choice: Choice = {
      pick: (count) => Math.floor(this.#random * count),
      remembered: (target, client) => {
        const entry = this.#remembered.get(keyOf(target, client));
        return entry !== undefined && entry.untilMs > this.#nowMs ? entry.backend : undefined;
      },
    };
    const { protocol, address, port } = frontend;
    const result = route(this.#table, packet(source, address, { protocol, port }), choice);
    const seconds = result.kind === "forward" ? result.frontend.target.affinitySeconds : undefined;
    if (result.kind === "forward" && seconds !== undefined) {
      const untilMs = this.#nowMs + seconds * 1000;
      const key = keyOf(result.frontend.target, source);
      this.#remembered.set(key, { backend: result.backend, untilMs });
    }
    return result;
  }

  async #ask(probe: Probe, expected: Route, sourcePort?: number): Promise<void> {
    const wanted = kindOf(probe, expected);
    let outcome = await this.#send(probe, sourcePort);
    // A busy machine loses a datagram.
    for (let tries = 1; tries < 3 && outcome.kind === "silence" && wanted !== "silence"; tries++) {
      outcome = await this.#send(probe, sourcePort);
    }
    const about = `${aboutOf(probe)}: ${JSON.stringify({ outcome, expected })}`;
    assert.equal(outcome.kind, wanted, about);
    if (outcome.kind !== "answered" || expected.kind !== "forward") return;
    assert.equal(outcome.by, expected.backend.address, about);
    assert.equal(outcome.sawSource, this.#setting.sourceSeen(probe), about);
  }

  #send({ client, frontend }: Probe, sourcePort: number | undefined): Promise<Outcome> {
    const { protocol, address, port } = frontend;
    const from = sourcePort === undefined ? client : { ...client, sourcePort };
    return protocol === "TCP"
      ? this.#network.tcp(from, address, port)
      : this.#network.udp(from, address, port);
  }

  async #checkFlow(flow: Flow): Promise<void> {
    const { backend, probe, sourcePort } = flow;
    const kept = this.#table.frontends.find(
      (each) => frontendKey(each) === frontendKey(probe.frontend),
    );
    const expected: Route =
      backend === undefined || kept === undefined
        ? this.#expect(probe)
        : { kind: "forward", frontend: kept, backend, reason: "Chosen" };
    await this.#ask(probe, expected, sourcePort);
    flow.backend = expected.kind === "forward" ? expected.backend : undefined;
    flow.lastMs = this.#nowMs;
  }

  /** Connections and flows that the next steps find established. */
  async #begin(probes: readonly Probe[]): Promise<void> {
    const answered = probes.filter((probe) => {
      const { protocol, address, port } = probe.frontend;
      const wanted = packet(probe.source, address, { protocol, port });
      const any: Choice = { pick: () => 0, remembered: () => undefined };
      return route(this.#table, wanted, any).kind === "forward";
    });
    for (const protocol of ["TCP", "UDP"] as const) {
      const some = answered.filter(({ frontend }) => frontend.protocol === protocol);
      for (const probe of some.filter((_, i) => i % 5 === 0)) {
        if (protocol === "UDP") {
          const sourcePort = ++this.#sourcePort;
          const flow = { probe, sourcePort, backend: undefined, lastMs: this.#nowMs };
          this.#flows.push(flow);
          await this.#checkFlow(flow);
          continue;
        }
        const expected = this.#expect(probe);
        const { address, port } = probe.frontend;
        const connection = await this.#network.hold(probe.client, address, port);
        const about = `held by ${aboutOf(probe)}`;
        this.#held.push({ about, connection });
        assert.equal(connection.by, expected.kind === "forward" && expected.backend.address, about);
      }
    }
  }

  /** In [0, 1): by a generator of Lehmer's, so that a failure is found again. */
  #next(): number {
    this.#seed = (this.#seed * 48_271) % 0x7fffffff;
    return this.#seed / 0x7fffffff;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { connection } of this.#held) connection.end();
    await this.#plane[Symbol.asyncDispose]();
  }
}

function kindOf({ frontend }: Probe, expected: Route): Outcome["kind"] {
  switch (expected.kind) {
    case "forward":
      return "answered";
    case "reject":
      return "refused";
    case "notOurs":
      return INSTEAD.notOurs;
    case "drop": {
      if (expected.reason === "NoLocalEndpoints") return "silence";
      if (!expected.frontend.target.hasEndpoints) return INSTEAD.notAllowedWithoutEndpoints;
      return frontend.protocol === "TCP" ? INSTEAD.notAllowedTcp : "silence";
    }
  }
}

function keyOf(
  { service, protocol, portName }: { service: string; protocol: string; portName: string },
  client: string,
): string {
  return [service, protocol, portName, client].join();
}

function aboutOf({ client, source, frontend }: Probe): string {
  const { protocol, address, port } = frontend;
  return `${client.from} (${source}) to ${protocol} ${address} ${String(port)}`;
}
