import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Pod } from "../../src/api/v1/pod.ts";
import {
  endpointSliceKind,
  endpointsKind,
  nodeKind,
  podKind,
  serviceKind,
  startCluster,
} from "../../src/programs/start-cluster.ts";
import type { Cluster } from "../../src/programs/start-cluster.ts";
import { eventually } from "../e2e/tools.ts";

const namespace = "default";
/** Pods of this node are objects only; what they would answer is served by this test. */
const NODE = "simulated";

describe("Services by the traffic that their slices lead", () => {
  let cluster: Cluster;
  let range: string;
  const servers: Server[] = [];
  before(async () => {
    cluster = await startCluster();
    const local = await cluster.client.get(nodeKind, { name: "local" });
    // From the end of the instance's Pod range: the node agent gives addresses out from its start.
    range = `${/^127\.\d+/.exec(local.spec.podCIDR ?? "")?.[0] ?? ""}.201`;
    await cluster.client.create(nodeKind, { metadata: { name: NODE } });
    // It is heard of once, which lasts longer than these tests.
    const now = new Date().toISOString();
    const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: now }];
    const patch = { kind: "strategic", body: { status: { conditions } } } as const;
    await cluster.client.patch(nodeKind, { name: NODE }, patch, { subresource: "status" });
  });
  after(async () => {
    for (const server of servers) server.close();
    await cluster[Symbol.asyncDispose]();
  });

  /** Serves `name:port` on the address of that number. @returns the address. */
  const serve = async (name: string, number: number, ...ports: number[]): Promise<string> => {
    const address = `${range}.${String(number)}`;
    for (const port of ports) {
      const server = createServer((socket) => socket.end(`${name}:${String(port)}`));
      await new Promise<void>((resolve) => {
        server.listen(port, address, resolve);
      });
      servers.push(server);
    }
    return address;
  };
  const service = async (
    name: string,
    spec: { selector?: Record<string, string>; publishNotReadyAddresses?: boolean } = {},
    ports: readonly [string, number][] = [["http", 80]],
  ): Promise<string> => {
    const made = await cluster.client.create(serviceKind, {
      metadata: { name, namespace },
      spec: {
        ...spec,
        ports: ports.map(([portName, port]) => ({
          name: portName,
          port: port + 8000,
          targetPort: 8080,
          protocol: "TCP" as const,
        })),
      },
    });
    return made.spec.clusterIP ?? "";
  };
  /** Everything that answers at the address; "" stands for refused. */
  const answers = async (address: string, port: number): Promise<string> => {
    const all = new Set<string>();
    for (let i = 0; i < 24; i++) all.add(await ask(address, port));
    return [...all].toSorted().join(" ");
  };
  const becomes = (address: string, port: number, wanted: string): Promise<true> =>
    eventually(`${address}:${String(port)} is answered by ${wanted || "nobody"}`, async () => {
      return (await answers(address, port)) === wanted;
    });
  const pod = async (name: string, app: string, number: number, gates: string[] = []) => {
    await serve(name, number, 8080);
    return cluster.client.create(podKind, {
      metadata: { name, namespace, labels: { app } },
      spec: {
        nodeName: NODE,
        containers: [{ name: "main", image: "none" }],
        readinessGates: gates.map((conditionType) => ({ conditionType })),
      },
    });
  };
  const report = async (of: Pod, number: number, ready: boolean): Promise<void> => {
    const ip = `${range}.${String(number)}`;
    const conditions = [
      {
        type: "Ready",
        status: ready ? "True" : "False",
        lastTransitionTime: new Date().toISOString(),
      },
    ];
    const body = { status: { phase: "Running", podIP: ip, podIPs: [{ ip }], conditions } };
    await cluster.client.patch(
      podKind,
      of.metadata,
      { kind: "strategic", body },
      { subresource: "status" },
    );
  };

  it("EPS-005: leads to all endpoints of all slices that a user made", async () => {
    const ips = [
      await serve("one", 1, 8080),
      await serve("two", 2, 8080),
      await serve("three", 3, 8080),
    ];
    const address = await service("own");
    for (const [i, part] of [ips.slice(0, 2), ips.slice(2)].entries()) {
      await cluster.client.create(endpointSliceKind, {
        metadata: {
          name: `own-${String(i)}`,
          namespace,
          labels: { "kubernetes.io/service-name": "own" },
        },
        addressType: "IPv4",
        endpoints: part.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      });
    }
    await becomes(address, 8080, "one:8080 three:8080 two:8080");
  });

  it("EPS-006: leads each port to the slice that has it", async () => {
    const address = await service("split", {}, [
      ["a", 80],
      ["b", 81],
    ]);
    for (const [name, number, port] of [
      ["a", 4, 8080],
      ["b", 5, 8081],
    ] as const) {
      const ip = await serve(name, number, port);
      await cluster.client.create(endpointSliceKind, {
        metadata: {
          name: `split-${name}`,
          namespace,
          labels: { "kubernetes.io/service-name": "split" },
        },
        addressType: "IPv4",
        endpoints: [{ addresses: [ip], conditions: { ready: true } }],
        ports: [{ name, port, protocol: "TCP" }],
      });
    }
    await becomes(address, 8080, "a:8080");
    await becomes(address, 8081, "b:8081");
  });

  it("MIRR-014, MIRR-008: leads to the addresses and ports of a user's Endpoints with two subsets", async () => {
    const address = await service("mirrored", {}, [
      ["a", 80],
      ["b", 81],
    ]);
    const both = await serve("both", 6, 8080, 8081);
    const one = await serve("one", 7, 8080);
    await cluster.client.create(endpointsKind, {
      metadata: { name: "mirrored", namespace },
      subsets: [
        { addresses: [{ ip: both }], ports: [{ name: "b", port: 8081, protocol: "TCP" }] },
        {
          addresses: [{ ip: one }, { ip: both }],
          ports: [{ name: "a", port: 8080, protocol: "TCP" }],
        },
      ],
    });
    await becomes(address, 8080, "both:8080 one:8080");
    await becomes(address, 8081, "both:8081");
    await cluster.client.delete(endpointsKind, { namespace, name: "mirrored" });
    await becomes(address, 8080, "");
  });

  it("TERM-001: the last Pod goes on serving while it terminates", async () => {
    const address = await service("last", { selector: { app: "last" } });
    const made = await pod("last", "last", 8);
    await report(made, 8, true);
    await becomes(address, 8080, "last:8080");
    await cluster.client.delete(podKind, made.metadata, { gracePeriodSeconds: 60 });
    await eventually("its slice says that it terminates", async () => {
      const { items } = await cluster.client.list(endpointSliceKind, { namespace });
      const endpoints = items.flatMap((slice) => slice.endpoints);
      const own = endpoints.find(({ targetRef }) => targetRef?.name === "last");
      return own?.conditions.terminating === true && own.conditions.ready === false;
    });
    assert.equal(await answers(address, 8080), "last:8080");
  });

  it("TERM-006, TERM-007, TERM-008: Pods that are not ready are reached by publishNotReadyAddresses only", async () => {
    const selector = { app: "unready" };
    const address = await service("unready", { selector });
    const published = await service("published", { selector, publishNotReadyAddresses: true });
    const made = await pod("never", "unready", 9);
    await report(made, 9, false);
    await becomes(published, 8080, "never:8080");
    await becomes(address, 8080, "");
    await cluster.client.delete(podKind, made.metadata, { gracePeriodSeconds: 60 });
    await eventually("its slices say that it terminates", async () => {
      const { items } = await cluster.client.list(endpointSliceKind, { namespace });
      const endpoints = items.flatMap((slice) => slice.endpoints);
      const own = endpoints.filter(({ targetRef }) => targetRef?.name === "never");
      return own.length === 2 && own.every(({ conditions }) => conditions.terminating === true);
    });
    assert.equal(await answers(published, 8080), "never:8080");
    assert.equal(await answers(address, 8080), "");
  });

  it("TERM-011, EPS-024: traffic changes to the Pods whose readiness gates are open, without a gap", async () => {
    const address = await service("colour", { selector: { app: "colour" } });
    const [blue, green] = [
      await pod("blue", "colour", 10, ["up"]),
      await pod("green", "colour", 11, ["up"]),
    ];
    await report(blue, 10, true);
    await report(green, 11, false);
    await becomes(address, 8080, "blue:8080");
    await report(green, 11, true);
    await becomes(address, 8080, "blue:8080 green:8080");
    await report(blue, 10, false);
    const seen = new Set<string>();
    await eventually("only green answers", async () => {
      const now = await answers(address, 8080);
      for (const one of now.split(" ")) seen.add(one);
      return now === "green:8080";
    });
    assert.ok(!seen.has(""), "nothing was refused on the way");
  });
});

/** What answers at the address, or "" when the connection is refused or reset. */
function ask(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host, port });
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("error", () => {
      resolve("");
    });
    socket.on("end", () => {
      socket.end();
      resolve(text);
    });
  });
}
