import { DEFAULT_SERVICE_CIDR } from "../api/networking/servicecidr.ts";
import type { ServiceCIDR } from "../api/networking/servicecidr.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { sleep } from "../async/sleep.ts";
import type { Cidr } from "../net/cidr.ts";
import { SERVER_WRITES, createOne } from "./cluster-objects.ts";
import type { ClusterObjectsDeps } from "./cluster-objects.ts";

const REF = { name: DEFAULT_SERVICE_CIDR };
/** How often to look whether it is there, beside on each change of it. */
const RECONCILE_MS = 60_000;
const RETRY_MS = 1000;

/**
 * Keeps the ServiceCIDR `kubernetes` with the server's own ranges until the signal aborts (ALLOC-015): created
 * when it is missing, given its second range when the server has one more now. Resolves once it is there;
 * `done` resolves when the loop has ended.
 */
export async function publishServiceCidr(
  deps: ClusterObjectsDeps,
  cidrs: readonly Cidr[],
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> {
  const kind = deps.kinds.get("servicecidrs.networking.k8s.io");
  if (kind === undefined || cidrs.length === 0) return { done: Promise.resolve() };
  await reconcile(deps, kind, cidrs);
  const current = deps.registry.get(kind, REF)?.object as ServiceCIDR | undefined;
  const found = current?.spec.cidrs ?? [];
  if (found.join() !== cidrs.join()) {
    deps.log.warn("the ServiceCIDR kubernetes has other ranges than the server was started with", {
      found: found.join(),
      configured: cidrs.join(),
    });
  }
  return { done: keep(deps, kind, cidrs, signal) };
}

async function keep(
  deps: ClusterObjectsDeps,
  kind: KindDefinition,
  cidrs: readonly Cidr[],
  signal: AbortSignal,
): Promise<void> {
  let bell = new AbortController();
  const ring = () => bell.abort();
  signal.addEventListener("abort", ring);
  const key = objectKey(REF);
  using _observer = deps.cache.of(kind).observe(({ before, after }) => {
    if (after === undefined && before?.key === key) ring();
  });
  let waitMs = RECONCILE_MS;
  while (!signal.aborted) {
    // Rejects only because the bell rang: for the end, or because the object went.
    await sleep(waitMs, bell.signal).catch(() => {});
    if (signal.aborted) break;
    bell = new AbortController();
    waitMs = RECONCILE_MS;
    try {
      await reconcile(deps, kind, cidrs);
    } catch (error) {
      deps.log.warn("the ServiceCIDR kubernetes could not be kept up", { error });
      waitMs = RETRY_MS;
    }
  }
  signal.removeEventListener("abort", ring);
}

async function reconcile(
  { registry, writer }: ClusterObjectsDeps,
  kind: KindDefinition,
  cidrs: readonly Cidr[],
): Promise<void> {
  const current = registry.get(kind, REF)?.object;
  if (current === undefined) {
    await createOne(writer, kind, REF, { spec: { cidrs } });
    return;
  }
  // The cache of this kind holds nothing else.
  const { spec, metadata } = current as ServiceCIDR;
  const found = spec.cidrs ?? [];
  const isExtended = found.length === 1 && cidrs.length === 2 && found[0] === cidrs[0];
  if (!isExtended || metadata.deletionTimestamp !== undefined) return;
  await writer.modify(kind, REF, "main", SERVER_WRITES, ({ object }) => {
    const extended = { ...object, spec: { cidrs } };
    return extended;
  });
}
