// The cluster that dns.mjs asks about: Services with cluster IPs, headless ones with endpoints, one with 5,000.

const ipv4 = (base, n) => `${base}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
const ports = [{ name: "http", protocol: "TCP", port: 8080 }];
const metadata = (name, more = {}) => ({
  name,
  namespace: "default",
  resourceVersion: "1",
  uid: `00000000-0000-0000-0000-${name.padStart(12, "0")}`,
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...more,
});

/** All objects of one kind. */
export function cluster(plural, services, headless, endpoints) {
  if (plural === "namespaces") {
    return [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "default", resourceVersion: "1" }, spec: {}, status: {} }];
  }
  if (plural === "services") {
    return [
      ...Array.from({ length: services }, (_, i) => service(`svc-${i}`, ipv4(10, i + 1))),
      ...Array.from({ length: headless }, (_, i) => service(`set-${i}`, "None")),
      service("large", "None"),
    ];
  }
  return [
    ...Array.from({ length: headless }, (_, i) => slice(`set-${i}`, i * endpoints, endpoints)),
    ...Array.from({ length: LARGE_SLICES - 1 }, (_, i) => slice("large", 0xf0_0000 + i * PER_SLICE, PER_SLICE, String(i))),
    large(1),
  ];
}

/** As controllers make slices. */
const PER_SLICE = 100;
const LARGE_SLICES = 50;
/** The endpoint that comes and goes. */
export const CHANGED = `large-${LARGE_SLICES - 1}-${PER_SLICE - 1}.large`;

/** The last slice of the Service of 5,000, in which an endpoint comes and goes: it is there with odd revisions. */
export function large(revision) {
  const changed = slice("large", 0xf1_0000, PER_SLICE - 1 + (revision % 2), String(LARGE_SLICES - 1));
  return { ...changed, metadata: { ...changed.metadata, resourceVersion: String(revision) } };
}

function service(name, clusterIP) {
  const clusterIPs = [clusterIP];
  return { apiVersion: "v1", kind: "Service", metadata: metadata(name), spec: { type: "ClusterIP", clusterIP, clusterIPs, ports, selector: { app: name } } };
}

function slice(name, first, count, suffix = "a") {
  const host = suffix === "a" ? name : `${name}-${suffix}`;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: metadata(`${name}-${suffix}`, { labels: { "kubernetes.io/service-name": name } }),
    addressType: "IPv4",
    ports,
    endpoints: Array.from({ length: count }, (_, i) => ({
      addresses: [ipv4(11, first + i)],
      hostname: `${host}-${i}`,
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: "Pod", name: `${name}-${i}`, namespace: "default" },
    })),
  };
}

/**
 * Questions as [name, type]: half of them A of a Service, the rest AAAA (which there are none of), A of an endpoint,
 * SRV, and names that a search list makes. Which is always the same.
 */
export function questions(count, services, headless, endpoints) {
  let seed = 1;
  const below = (n) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (seed >> 8) % n;
  };
  const zone = "default.svc.cluster.local";
  const any = () => {
    const i = below(services + headless);
    return i < services ? `svc-${i}` : `set-${i - services}`;
  };
  return Array.from({ length: count }, () => {
    const kind = below(100);
    if (kind < 55) return [`${any()}.${zone}`, "A"];
    if (kind < 75) return [`${any()}.${zone}`, "AAAA"];
    if (kind < 83) {
      const set = `set-${below(headless)}`;
      return [`${set}-${below(endpoints)}.${set}.${zone}`, "A"];
    }
    if (kind < 88) return [`_http._tcp.svc-${below(services)}.${zone}`, "SRV"];
    return [`svc-${below(services)}.default.${zone}`, "A"];
  });
}

/** The same names as a zone file, for servers that read one. */
export function* zoneFile(services, headless, endpoints) {
  yield "$TTL 5\n@ IN SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ IN NS ns.dns\nns.dns IN A 127.0.0.1\n";
  for (let i = 0; i < services; i++) {
    yield `svc-${i}.default.svc IN A ${ipv4(10, i + 1)}\n_http._tcp.svc-${i}.default.svc IN SRV 0 100 8080 svc-${i}.default.svc\n`;
  }
  for (let i = 0; i < headless; i++) {
    for (let j = 0; j < endpoints; j++) {
      const address = ipv4(11, i * endpoints + j);
      yield `set-${i}.default.svc IN A ${address}\nset-${i}-${j}.set-${i}.default.svc IN A ${address}\n`;
    }
  }
}
