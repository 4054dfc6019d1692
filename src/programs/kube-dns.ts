import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { deepEqual } from "../api/machinery/json.ts";
import type { Draft } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { IpAddress } from "../net/address.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** The names that clients, dashboards and conformance tests look for (DNS-061). */
const REF = { namespace: "kube-system", name: "kube-dns" };
const LABELS = { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" };
const KEY = objectKey(REF);

export interface KubeDnsDeps {
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Where the cluster's DNS server listens on this node. */
export interface KubeDnsEndpoint {
  readonly nodeName: string;
  readonly address: IpAddress;
  readonly port: number;
  readonly metricsPort: number;
  /** Of DNS over TLS; undefined when that is not served. */
  readonly tlsPort: number | undefined;
  /** The cluster IP that the Service should have. */
  readonly clusterIp: IpAddress;
}

/**
 * Makes the cluster's DNS server a Service of the cluster, `kube-system/kube-dns`, and keeps it one: it has no
 * selector, for no Pod stands behind it, and an EndpointSlice that names this node. A Service of that name
 * that is there already is left as it is, but for the port of DNS over TLS where an earlier run made it with or without.
 * Resolves when both are there.
 */
export async function publishKubeDns(
  deps: KubeDnsDeps,
  endpoint: KubeDnsEndpoint,
): Promise<AsyncDisposable> {
  const services = deps.informers.of(serviceKind);
  const slices = deps.informers.of(endpointSliceKind);
  const slice = wantedSlice(endpoint);
  const sliceKey = objectKey(slice.metadata);
  const write = async (signal?: AbortSignal): Promise<void> => {
    const known = services.get(KEY);
    if (known === undefined) await createService(deps.client, endpoint, signal);
    else await putPorts(deps.client, known, endpoint.tlsPort !== undefined, signal);
    await putSlice(deps.client, slice, slices.get(sliceKey), signal);
  };
  await write();
  const reconciler = startReconciler<ObjectKey>({
    name: "kube-dns",
    log: deps.log,
    metrics: deps.metrics,
    reconcile: async (_key, signal) => {
      await write(signal);
      return { kind: "done" };
    },
  });
  const followed = [
    services.onChange(({ key, after }) => {
      if (key === KEY && after === undefined) reconciler.enqueue(KEY);
    }),
    slices.onChange(({ key, after }) => {
      if (key === sliceKey && !isSame(slice, after)) reconciler.enqueue(KEY);
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      for (const subscription of followed) subscription[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}

/** Port of DNS over TLS (RFC 7858 section 3.1), by the name that CoreDNS's chart has for it. */
const TLS = { name: "dns-tls", port: 853 };

/**
 * The Service of the cluster's DNS server (DNS-061); without cluster IPs it gets any.
 * @param isSecured whether it is served over TLS as well.
 */
export function kubeDnsService(clusterIps: readonly IpAddress[], isSecured: boolean) {
  const port = (name: string, protocol: "UDP" | "TCP", number: number) => ({
    name,
    protocol,
    port: number,
  });
  const [clusterIP] = clusterIps;
  return {
    metadata: { ...REF, labels: LABELS },
    spec: {
      type: "ClusterIP",
      ...(clusterIP === undefined ? {} : { clusterIP, clusterIPs: [...clusterIps] }),
      ...(clusterIps.length > 1 ? { ipFamilyPolicy: "PreferDualStack" } : {}),
      ports: [
        port("dns", "UDP", 53),
        port("dns-tcp", "TCP", 53),
        port("metrics", "TCP", 9153),
        ...(isSecured ? [port(TLS.name, "TCP", TLS.port)] : []),
      ],
    },
  } satisfies Draft<Service>;
}

/** What the certificate of DNS over TLS holds for: the Service's names, and these. */
export function dnsNames(clusterDomain: string, more: readonly string[]): readonly string[] {
  const service = `${REF.name}.${REF.namespace}`;
  return ["localhost", service, `${service}.svc`, `${service}.svc.${clusterDomain}`, ...more];
}

type WantedSlice = Pick<EndpointSlice, "addressType" | "endpoints" | "ports"> & {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
};

function wantedSlice(endpoint: KubeDnsEndpoint): WantedSlice {
  const { address, port, metricsPort, tlsPort, nodeName } = endpoint;
  return {
    metadata: {
      namespace: REF.namespace,
      name: `${REF.name}-${nodeName}`,
      labels: {
        ...LABELS,
        "kubernetes.io/service-name": REF.name,
        "endpointslice.kubernetes.io/managed-by": "portolan-dns",
      },
    },
    addressType: address.includes(":") ? "IPv6" : "IPv4",
    endpoints: [
      {
        addresses: [address],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName,
      },
    ],
    ports: [
      { name: "dns", protocol: "UDP", port },
      { name: "dns-tcp", protocol: "TCP", port },
      { name: "metrics", protocol: "TCP", port: metricsPort },
      ...(tlsPort === undefined
        ? []
        : [{ name: TLS.name, protocol: "TCP" as const, port: tlsPort }]),
    ],
  };
}

/** With the usual cluster IP, or with any when that is somebody else's or outside the range. */
async function createService(
  client: ApiClient,
  { clusterIp, tlsPort }: KubeDnsEndpoint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isSecured = tlsPort !== undefined;
  try {
    await client.create(serviceKind, kubeDnsService([clusterIp], isSecured), { signal });
  } catch (error) {
    if (hasReason(error, "AlreadyExists")) return;
    if (!hasReason(error, "Invalid")) throw error;
    await client.create(serviceKind, kubeDnsService([], isSecured), { signal });
  }
}

/** An earlier run may have served it over TLS, or not; other ports are somebody's wish. */
async function putPorts(
  client: ApiClient,
  known: Service,
  isSecured: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const namesOf = (ports: readonly { readonly name?: string | undefined }[] = []): string =>
    ports.map(({ name }) => name).join();
  const { ports: otherwise } = kubeDnsService([], !isSecured).spec;
  if (namesOf(known.spec.ports) !== namesOf(otherwise)) return;
  const { ports } = kubeDnsService([], isSecured).spec;
  await client.update(serviceKind, { ...known, spec: { ...known.spec, ports } }, { signal });
}

async function putSlice(
  client: ApiClient,
  slice: WantedSlice,
  known: EndpointSlice | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (isSame(slice, known)) return;
  if (known !== undefined) {
    // What stands in it is replaced whole: another server, or an earlier run, listened elsewhere.
    await client.update(endpointSliceKind, { ...known, ...contentOf(slice) }, { signal });
    return;
  }
  try {
    await client.create(endpointSliceKind, slice, { signal });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    const ref = { namespace: REF.namespace, name: slice.metadata.name };
    const current = await client.get(endpointSliceKind, ref, { signal });
    await client.update(endpointSliceKind, { ...current, ...contentOf(slice) }, { signal });
  }
}

function contentOf({ endpoints, ports }: Pick<EndpointSlice, "endpoints" | "ports">) {
  return { endpoints, ports };
}

function isSame(wanted: WantedSlice, known: EndpointSlice | undefined): boolean {
  return known !== undefined && deepEqual(contentOf(wanted), contentOf(known));
}
