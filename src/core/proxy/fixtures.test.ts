import type { Endpoint, EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parsePort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import type { Backend, BackendSet, Frontend } from "./frontend.ts";
import { route } from "./route.ts";
import type { Choice, Packet } from "./route.ts";
import type { ProxyNode } from "./service-part.ts";
import type { ForwardingTable } from "./table.ts";

export function ip(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return address;
}

export function port(number: number): Port {
  const parsed = parsePort(number);
  if (parsed === undefined) throw new Error(`no port: ${String(number)}`);
  return parsed;
}

/** Node `here` in zone `a`, with Pods in 10.244.0.0/16 and node ports on 192.168.1.1. */
export const HERE: ProxyNode = {
  name: "here",
  zone: "a",
  nodePortAddresses: [ip("192.168.1.1")],
  internalRanges: ["10.244.0.0/16", "192.168.1.1/32"].flatMap((text) => parseCidr(text) ?? []),
};

/** Service `default/web` at 10.96.0.1, port 80. */
export function service(
  spec: Partial<ServiceSpec> = {},
  metadata: Partial<Service["metadata"]> = {},
  ingress: readonly { ip?: string; hostname?: string; ipMode?: "VIP" | "Proxy" }[] = [],
): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "web",
      namespace: "default",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
    spec: {
      type: "ClusterIP",
      sessionAffinity: "None",
      clusterIP: "10.96.0.1",
      clusterIPs: [spec.clusterIP ?? "10.96.0.1"],
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      ...spec,
    },
    status: { loadBalancer: { ingress: [...ingress] } },
  };
}

/**
 * An endpoint in one line: `10.244.0.1 ready @here zone:a`. States: ready, unready, ending (serving while
 * terminating), dead (terminating, not serving). `zone:` and `node:` are hints.
 */
export function endpoint(line: string): Endpoint {
  const [address = "", state = "ready", ...rest] = line.split(" ");
  const part = (prefix: string): readonly string[] =>
    rest.filter((word) => word.startsWith(prefix)).map((word) => word.slice(prefix.length));
  const [nodeName] = part("@");
  const isEnding = state === "ending" || state === "dead";
  const zones = part("zone:");
  const nodes = part("node:");
  return {
    addresses: [address],
    conditions: {
      ready: state === "ready",
      serving: state === "ready" || state === "ending",
      terminating: isEnding,
    },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zones.length + nodes.length === 0
      ? {}
      : {
          hints: {
            forZones: zones.map((name) => ({ name })),
            forNodes: nodes.map((name) => ({ name })),
          },
        }),
  };
}

/** A slice of `default/web` with port http 8080. */
export function slice(lines: readonly string[], over: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    addressType: "IPv4",
    endpoints: lines.map(endpoint),
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    ...over,
    metadata: {
      name: "web-1",
      namespace: "default",
      ...over.metadata,
      labels: { "kubernetes.io/service-name": "web", ...over.metadata?.labels },
    },
  };
}

export function packet(source: string, destination: string, over: Partial<Packet> = {}): Packet {
  return {
    protocol: "TCP",
    source: ip(source),
    destination: ip(destination),
    port: port(80),
    ...over,
  };
}

/** Picks the n-th backend, whatever there are; remembers nothing. */
export function pickNth(n: number): Choice {
  return { pick: (count) => n % count, remembered: () => undefined };
}

/** What happens to a packet, in one word or by listing every backend that it may reach. */
export function outcome(table: ForwardingTable, wanted: Packet): string {
  const first = route(table, wanted, pickNth(0));
  if (first.kind !== "forward") {
    return first.kind === "notOurs" ? first.kind : `${first.kind} ${first.reason}`;
  }
  const reached = new Set<string>();
  for (let n = 0; n < 64; n++) {
    const result = route(table, wanted, pickNth(n));
    if (result.kind === "forward") reached.add(result.backend.address);
  }
  return [...reached].sort().join(" ");
}

/** A frontend of its own, for tests of data planes. */
export function frontend(over: Partial<Frontend> & { readonly target: BackendSet }): Frontend {
  return {
    protocol: over.target.protocol,
    address: ip("127.80.0.1"),
    port: port(80),
    kind: "clusterIP",
    internalPolicy: "Cluster",
    externalPolicy: "Cluster",
    sourceRanges: undefined,
    since: "",
    ...over,
  };
}

export function backendSet(
  cluster: readonly Backend[],
  over: Partial<BackendSet> = {},
): BackendSet {
  // An object key is a brand without a parser of its own; the fixture's text is one.
  const key = "default/web" as BackendSet["service"];
  return {
    service: key,
    portName: "",
    protocol: "TCP",
    affinitySeconds: undefined,
    balance: "random",
    cluster,
    local: cluster,
    hasEndpoints: cluster.length > 0,
    ...over,
  };
}
