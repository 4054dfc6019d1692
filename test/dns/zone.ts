import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { keyOf } from "../../src/api/machinery/object-key.ts";
import type { Service, ServiceSpec } from "../../src/api/v1/service.ts";
import type { Decision } from "../../src/core/dns/answer.ts";
import { DnsIndex } from "../../src/core/dns/dns-index.ts";
import type { IndexOptions } from "../../src/core/dns/dns-index.ts";
import { formatDomainName } from "../../src/core/dns/domain-name.ts";
import { RCODE } from "../../src/core/dns/message.ts";
import type { ZoneOptions } from "../../src/core/dns/records.ts";
import { serviceView, sliceView } from "../../src/core/dns/views.ts";
import { formatRecord } from "../../src/core/dns/zone-text.ts";
import { parseIpAddress } from "../../src/net/address.ts";
import { parseCidr } from "../../src/net/cidr.ts";

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

export function service(name: string, spec: Partial<ServiceSpec>, namespace = "default"): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    // Only what DNS reads; the server fills in the rest.
    spec: spec as ServiceSpec,
  };
}

export function slice(
  serviceName: string,
  endpoints: readonly Partial<Endpoint>[],
  ports: EndpointSlice["ports"] = [{ name: "http", protocol: "TCP", port: 8080 }],
  options: { namespace?: string; suffix?: string; addressType?: "IPv4" | "IPv6" } = {},
): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${serviceName}-${options.suffix ?? "a"}`,
      namespace: options.namespace ?? "default",
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: options.addressType ?? "IPv4",
    endpoints: endpoints.map((endpoint) => ({ addresses: [], conditions: {}, ...endpoint })),
    ports,
  };
}

export function indexOf(
  allServices: readonly Service[],
  allSlices: readonly EndpointSlice[],
  namespaces = ["default", "quiet"],
  options: IndexOptions = {},
): DnsIndex {
  const index = new DnsIndex(options);
  for (const name of namespaces) index.setNamespace(name, true);
  for (const each of allServices) index.setService(keyOf(each), serviceView(each));
  for (const each of allSlices) index.setSlice(keyOf(each), sliceView(each));
  return index;
}

/** As `up` sets them. */
export const zoneOptions: ZoneOptions = {
  zones: [["cluster", "local"]],
  reverseZones: [
    ["in-addr", "arpa"],
    ["ip6", "arpa"],
  ],
  fallthrough: [
    ["in-addr", "arpa"],
    ["ip6", "arpa"],
  ],
  ignoresEmptyServices: false,
  autopath: undefined,
  reverseCidrs: ["10.96.0.0/16", "10.112.0.0/16"].flatMap((text) => parseCidr(text) ?? []),
  ttlSeconds: 5,
  firstSerial: 1000,
  podRecords: "insecure",
  serverAddresses: ["127.0.0.1"].flatMap((text) => parseIpAddress(text) ?? []),
};

/** The decision as text: the code, the answer's records, and "SOA" when a negative answer has one. */
export function outcome(decision: Decision): readonly string[] {
  switch (decision.kind) {
    case "answer": {
      const code = Object.entries(RCODE).find(([, value]) => value === decision.rcode)?.[0];
      const soa = decision.authority.some(({ data }) => data.kind === "SOA") ? " SOA" : "";
      return [`${String(code)}${soa}`, ...decision.answers.map(short).toSorted()];
    }
    case "chase":
      return ["chase", ...decision.answers.map(short), formatDomainName(decision.target)];
    case "search":
      return ["search", ...decision.candidates.map(formatDomainName)];
    case "forward":
    case "servfail":
      return [decision.kind];
  }
}

/** Records with the cluster domain and the time to live left out. */
export function short(record: Parameters<typeof formatRecord>[0]): string {
  return formatRecord(record).replaceAll("cluster.local.", "~").replace(" 5 IN ", " ");
}
