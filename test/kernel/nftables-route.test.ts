import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { ip, packet, pickNth } from "../../src/core/proxy/fixtures.test.ts";
import type { Backend, Frontend } from "../../src/core/proxy/frontend.ts";
import { route } from "../../src/core/proxy/route.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import { cidrContains } from "../../src/net/cidr.ts";
import { anyCluster, POD_PORT, PODS } from "./cluster.arbitrary.ts";
import { inNamespace } from "./in-namespace.ts";
import { Network, NODE4, NODE6 } from "./network.ts";
import type { Outcome } from "./network.ts";
import { NODE, POD_RANGES, TestPlane } from "./plane.ts";
import { probesOf } from "./probes.ts";
import type { Probe } from "./probes.ts";

const RUNS = Number(process.env["PORTOLAN_ROUTE_RUNS"] ?? "14");

/** What the specification lets happen to a packet. */
interface Expectation {
  readonly kind: "answered" | "refused" | "silence";
  readonly backends: readonly Backend[];
  readonly frontend: Frontend | undefined;
}

inNamespace(import.meta.url, () => {
  it("the kernel does to real packets what route() says, however the Services are and change", async () => {
    await using network = await Network.open();
    await network.addServers(PODS, POD_PORT);
    await using plane = await TestPlane.open();
    await fc.assert(
      fc.asyncProperty(anyCluster, async (cluster) => {
        const table = forwardingTable({ ...cluster, node: NODE });
        assert.deepEqual(await plane.set(table), []);
        // To its own address the node needs no network, and no rule sees the packet.
        const probes = probesOf(table).filter(
          (probe) => probe.source !== probe.frontend.address && !isElsewhere(table, probe),
        );
        const first = await Promise.all(probes.map((probe) => ask(network, table, probe)));
        for (const [i, probe] of probes.entries()) check(table, probe, first[i]);
        // Once more: clients of Services with affinity come to where they were.
        const second = await Promise.all(probes.map((probe) => ask(network, table, probe)));
        for (const [i, probe] of probes.entries()) {
          check(table, probe, second[i]);
          checkAffinity(table, probes, first, second[i], i);
        }
      }),
      { numRuns: RUNS, endOnFailure: true, includeErrorInReport: true },
    );
  });
});

function send(network: Network, { client, frontend }: Probe): Promise<Outcome> {
  return frontend.protocol === "TCP"
    ? network.tcp(client, frontend.address, frontend.port)
    : network.udp(client, frontend.address, frontend.port);
}

function expectationOf(table: ForwardingTable, { source, frontend }: Probe): Expectation {
  const wanted = packet(source, frontend.address, {
    protocol: frontend.protocol,
    port: frontend.port,
  });
  const backends: Backend[] = [];
  for (let n = 0; n < PODS.length; n++) {
    const result = route(table, wanted, pickNth(n));
    if (result.kind === "forward") backends.push(result.backend);
    if (result.kind === "reject") {
      return { kind: "refused", backends: [], frontend: result.frontend };
    }
    if (result.kind === "drop") return { kind: "silence", backends: [], frontend: result.frontend };
    // Not a frontend: in the range of cluster IPs there is no answer (PROXY-027).
    if (result.kind === "notOurs") return { kind: "silence", backends: [], frontend: undefined };
  }
  const found = route(table, wanted, pickNth(0));
  return {
    kind: "answered",
    backends,
    frontend: found.kind === "forward" ? found.frontend : undefined,
  };
}

/** The cluster says that the client is an endpoint on another node: it would not come through this one. */
function isElsewhere(table: ForwardingTable, probe: Probe): boolean {
  return expectationOf(table, probe).backends.some(
    ({ address, isLocal }) => address === probe.source && !isLocal,
  );
}

/** A busy machine answers late or loses a datagram: silence against expectation is looked at again. */
async function ask(network: Network, table: ForwardingTable, probe: Probe): Promise<Outcome> {
  const isSilent = expectationOf(table, probe).kind === "silence";
  for (let tries = 1; ; tries++) {
    const outcome = await send(network, probe);
    if (outcome.kind !== "silence" || isSilent || tries === 3) return outcome;
  }
}

function check(table: ForwardingTable, probe: Probe, outcome: Outcome | undefined): void {
  const expected = expectationOf(table, probe);
  const { protocol, address, port } = probe.frontend;
  const about = `${probe.client.from} (${probe.source}) to ${protocol} ${address} ${String(port)}: ${JSON.stringify({ outcome, expected })}`;
  if (outcome?.kind === "forbidden") {
    assert.ok(probe.client.from === "node" && expected.kind !== "answered", about);
    return;
  }
  assert.equal(outcome?.kind, expected.kind, about);
  if (outcome.kind !== "answered") return;
  const by = expected.backends.find((backend) => backend.address === outcome.by);
  assert.ok(by !== undefined, about);
  assert.equal(outcome.sawSource, sourceSeen(probe, expected.frontend, by), about);
}

/** PROXY-021..023, NP-004..007: the client's own address wherever answers find their way. */
function sourceSeen(probe: Probe, frontend: Frontend | undefined, by: Backend): string {
  const node = probe.frontend.address.includes(":") ? NODE6 : NODE4;
  const isPod = POD_RANGES.some((range) => cidrContains(range, ip(probe.source)));
  const hidden =
    by.address === probe.source ||
    (frontend?.kind === "clusterIP" ? !isPod : frontend?.externalPolicy === "Cluster");
  return hidden ? node : probe.source;
}

/** AFF-001, AFF-004, AFF-009: a client's endpoint stays, for every address of the Service port. */
function checkAffinity(
  table: ForwardingTable,
  probes: readonly Probe[],
  first: readonly Outcome[],
  outcome: Outcome | undefined,
  index: number,
): void {
  const probe = probes[index];
  if (probe === undefined || outcome?.kind !== "answered") return;
  const { frontend, backends } = expectationOf(table, probe);
  if (frontend?.target.affinitySeconds === undefined) return;
  // Probes run at once: which of a client's first connections was the last is open, unless it had one only.
  const others = probes.flatMap((other, i) => {
    const target = expectationOf(table, other).frontend?.target;
    const answer = first[i];
    const isSame = other.source === probe.source && target === frontend.target;
    return isSame && answer?.kind === "answered" ? [answer.by] : [];
  });
  const eligible = others.filter((by) => backends.some((backend) => backend.address === by));
  if (new Set(others).size !== 1 || eligible.length === 0) return;
  assert.equal(outcome.by, others[0], `affinity of ${probe.source} to ${frontend.target.service}`);
}
