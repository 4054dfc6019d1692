import { networkInterfaces } from "node:os";
import { deepEqual } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { sleep } from "../async/sleep.ts";
import { ipFamilyOf, isLinkLocalUnicast, isUnspecified, parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import { cidrAddress } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import { bodyTypeOf, decodeParsed } from "./body.ts";
import type { User } from "./exchange.ts";
import type { Registry } from "./registry.ts";
import type { WatchCache } from "./watch-cache.ts";
import type { WriteOptions, Writer } from "./writer.ts";

/** The API server itself, where it writes objects. */
export const SERVER_USER: User = { name: "system:apiserver", groups: ["system:masters"] };

export const SERVER_WRITES: WriteOptions = {
  dryRun: false,
  user: SERVER_USER,
  ownership: { kind: "updater", manager: "kube-apiserver" },
};

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];
/** How often the objects are compared with what they should be, beside on each change of them. */
const RECONCILE_MS = 10_000;
const RETRY_MS = 1000;

export interface ClusterObjectsDeps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly writer: Writer;
  /** By resource name. */
  readonly kinds: ReadonlyMap<string, KindDefinition>;
  readonly log: Logger;
}

/** Where clients inside the cluster reach the API server. */
export interface PublishedAddress {
  readonly address: IpAddress;
  readonly port: number;
}

/** Creates the namespaces that every cluster has. */
export async function createNamespaces({ writer, registry, kinds }: ClusterObjectsDeps) {
  const kind = kinds.get("namespaces");
  if (kind === undefined) return;
  const missing = NAMESPACES.filter((name) => registry.get(kind, { name }) === undefined);
  await Promise.all(missing.map((name) => createOne(writer, kind, { name })));
}

/**
 * Keeps the Service `kubernetes` in `default` with its Endpoints and EndpointSlice as they should be, until
 * the signal aborts (APIS-001..004). Resolves once they are there for the first time; `done` resolves when
 * the loop has ended.
 */
export async function publishServer(
  deps: ClusterObjectsDeps,
  published: PublishedAddress,
  cidrs: readonly Cidr[],
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> {
  const address = publishedAddress(published.address);
  const wanted = wantedObjects(deps, { ...published, address }, cidrs);
  await reconcile(deps, wanted);
  return { done: keep(deps, wanted, signal) };
}

/** A server that listens on every address publishes the first one of its family that others can reach. */
export function publishedAddress(address: IpAddress): IpAddress {
  if (!isUnspecified(address)) return address;
  const family = ipFamilyOf(address);
  const candidates = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((one) => one.family === family && !one.internal)
    .flatMap((one) => parseIpAddress(one.address) ?? [])
    .filter((one) => !isLinkLocalUnicast(one));
  const loopback = parseIpAddress(family === "IPv4" ? "127.0.0.1" : "::1");
  return candidates[0] ?? loopback ?? address;
}

interface Wanted {
  readonly kind: KindDefinition;
  readonly object: Record<string, unknown> & { readonly metadata: KubernetesObject["metadata"] };
}

function wantedObjects(
  { kinds }: ClusterObjectsDeps,
  { address, port }: PublishedAddress,
  cidrs: readonly Cidr[],
): readonly Wanted[] {
  const [primary] = cidrs;
  const name = "kubernetes";
  const meta = (labels: Readonly<Record<string, string>>) => ({
    name,
    namespace: "default",
    labels,
  });
  const endpointPort = { name: "https", port, protocol: "TCP" };
  const objects: readonly (readonly [string, Wanted["object"]])[] = [
    [
      "services",
      {
        metadata: meta({ component: "apiserver", provider: "kubernetes" }),
        spec: {
          type: "ClusterIP",
          // The first address of the range that can be used (APIS-001).
          clusterIP: primary === undefined ? "" : cidrAddress(primary, 1n),
          ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: port }],
        },
      },
    ],
    [
      "endpoints",
      {
        metadata: meta({ "endpointslice.kubernetes.io/skip-mirror": "true" }),
        subsets: [{ addresses: [{ ip: address }], ports: [endpointPort] }],
      },
    ],
    [
      "endpointslices.discovery.k8s.io",
      {
        metadata: meta({ "kubernetes.io/service-name": name }),
        addressType: ipFamilyOf(address),
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
        ports: [endpointPort],
      },
    ],
  ];
  return objects.flatMap(([resource, object]) => {
    const kind = kinds.get(resource);
    return kind === undefined ? [] : [{ kind, object }];
  });
}

async function keep(
  deps: ClusterObjectsDeps,
  wanted: readonly Wanted[],
  signal: AbortSignal,
): Promise<void> {
  const { cache, log } = deps;
  const key = objectKey({ namespace: "default", name: "kubernetes" });
  let bell = new AbortController();
  const ring = () => bell.abort();
  signal.addEventListener("abort", ring);
  const observers = wanted.map(({ kind }) =>
    cache.of(kind).observe(({ before, after }) => {
      if ((after ?? before)?.key === key) ring();
    }),
  );
  try {
    while (!signal.aborted) {
      bell = new AbortController();
      let waitMs = RECONCILE_MS;
      try {
        await reconcile(deps, wanted);
      } catch (error) {
        log.warn("the kubernetes Service could not be kept up", { error });
        waitMs = RETRY_MS;
      }
      // Rejects only because the bell rang: for the end, or for a change. A change made by the pass itself
      // rings too, and the next pass finds nothing to do.
      await sleep(waitMs, bell.signal).catch(() => {});
    }
  } finally {
    signal.removeEventListener("abort", ring);
    for (const observer of observers) observer[Symbol.dispose]();
  }
}

async function reconcile({ writer, registry }: ClusterObjectsDeps, wanted: readonly Wanted[]) {
  for (const { kind, object } of wanted) {
    const current = registry.get(kind, object.metadata);
    if (current === undefined) {
      await createOne(writer, kind, object.metadata, object);
      continue;
    }
    if (holds(current.object, object)) continue;
    await writer.modify(kind, object.metadata, "main", SERVER_WRITES, ({ object: old }) =>
      kind.strategy.defaults(overlay(old, object)),
    );
  }
}

/** Whether every field that is wanted is as wanted; what others added (labels, defaults) may stay. */
function holds(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, i) => holds(actual[i], item))
    );
  }
  if (typeof wanted !== "object" || wanted === null) return deepEqual(actual, wanted);
  if (typeof actual !== "object" || actual === null) return false;
  const values = new Map<string, unknown>(Object.entries(actual));
  return Object.entries(wanted).every(([key, value]) => holds(values.get(key), value));
}

function overlay(old: KubernetesObject, wanted: Wanted["object"]): KubernetesObject {
  const { metadata, spec, ...rest } = wanted;
  const { spec: oldSpec } = old as { spec?: object };
  return {
    ...old,
    ...rest,
    ...(spec === undefined ? {} : { spec: { ...oldSpec, ...spec } }),
    metadata: { ...old.metadata, labels: { ...old.metadata.labels, ...metadata.labels } },
  };
}

export async function createOne(
  writer: Writer,
  kind: KindDefinition,
  metadata: KubernetesObject["metadata"],
  content: object = {},
): Promise<void> {
  try {
    const { object: decoded } = decodeParsed({ ...content, metadata }, bodyTypeOf(kind), "Strict");
    const object = kind.strategy.defaults(decoded);
    await writer.create(kind, object, SERVER_WRITES);
  } catch (error) {
    // Another server of the same cluster was faster.
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}
