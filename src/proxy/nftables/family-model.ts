import { ipFamilyOf, ipFromBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { cidrAddress, cidrContains, cidrSize } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Backend, Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { ElementSink } from "./elements.ts";
import { addressBytes, frontendBytes, rangeKey, words } from "./key-bytes.ts";
import { OP } from "./program.ts";
import type { Policy, SetName } from "./program.ts";
import { carrierFor, Targets } from "./targets.ts";
import type { Target } from "./targets.ts";
import { Numbers, UseCounts } from "./use-counts.ts";

/** Bits 30..12 of a carrier. */
const RULES = 2 ** 19;

interface Installed {
  frontend: Frontend;
  target: Target;
  readonly key: Uint8Array;
  value: number;
  origin:
    | { readonly key: Uint8Array; readonly number: number; inside: number; outside: number }
    | undefined;
  ranges: { readonly number: number; next: number; readonly allowed: readonly Cidr[] } | undefined;
  /** Sets that have its key. */
  sets: readonly SetName[];
}

export interface AffinityView {
  /** Names the Service port in keys of the map `affinity`. */
  readonly carrier: number;
  /** Names an endpoint, given as `address . port`, in the map's data. */
  handleOf(endpoint: Uint8Array): number | undefined;
}

/** Why an endpoint or a Service port is not in the kernel as asked. */
export type ModelProblem =
  | { readonly kind: "InvalidEndpoint"; readonly backends: readonly Backend[] }
  | { readonly kind: "LimitReached"; readonly what: string }
  /** It is to choose by the client's address, and the kernel has no hash. */
  | { readonly kind: "NoHash" };

/**
 * The elements of one family's table as they stand in the kernel. Given a frontend it says what to add and
 * delete, so that one endpoint more or less costs the same whatever the Service's size.
 */
export class FamilyModel {
  readonly #frontends = new Map<FrontendKey, Installed>();
  readonly #targets: Targets;
  readonly #hasHash: boolean;
  readonly #origins = new Numbers(RULES);
  readonly #ranges = new Numbers(RULES);
  readonly #clusterIPs = new UseCounts<IpAddress>();

  /** `hasHash`: the table has the chains that choose by the client's address. */
  constructor(hasHash = true) {
    this.#hasHash = hasHash;
    this.#targets = new Targets(hasHash);
  }

  get size(): number {
    return this.#frontends.size;
  }

  /** Every frontend that is installed, those of one Service port beside each other. */
  frontends(): readonly Frontend[] {
    const all = [...this.#frontends.values()];
    return all.map((installed) => installed.frontend);
  }

  get(key: FrontendKey): Frontend | undefined {
    return this.#frontends.get(key)?.frontend;
  }

  /** Installs a frontend, or makes the installed one so. */
  put(frontend: Frontend, sink: ElementSink): void {
    const target = this.#targets.resolve(frontend.target, ipFamilyOf(frontend.address), sink);
    const key = frontendKey(frontend);
    const known = this.#frontends.get(key);
    const installed = known ?? newInstalled(frontend, target);
    if (known === undefined) {
      this.#frontends.set(key, installed);
      target.users++;
      if (frontend.kind === "clusterIP") this.#clusterIPs.add(frontend.address, 1);
    } else this.#replace(known, frontend, target);
    installed.frontend = frontend;
    installed.target = target;
    this.#write(installed, sink);
  }

  remove(frontend: Frontend, sink: ElementSink): void {
    const key = frontendKey(frontend);
    const installed = this.#frontends.get(key);
    if (installed === undefined) return;
    this.#frontends.delete(key);
    if (installed.frontend.kind === "clusterIP") this.#clusterIPs.add(frontend.address, -1);
    this.#targets.release(installed.target);
    sink.delete("frontends", installed.key, words(installed.value));
    this.#setSets(installed, [], sink);
    this.#setOrigin(installed, undefined, sink);
    this.#setRanges(installed, undefined, 0, sink);
  }

  /** Ends a change: what no frontend needs any more goes. */
  finish(sink: ElementSink): void {
    this.#targets.finish(sink);
    const addresses = this.#clusterIPs.takeChanges();
    for (const address of addresses.ended) sink.delete("cluster_ips", addressBytes(address));
    for (const address of addresses.begun) sink.add("cluster_ips", addressBytes(address));
  }

  /** What keeps a frontend from being served as asked. */
  problemOf(key: FrontendKey): ModelProblem | undefined {
    const target = this.#frontends.get(key)?.target;
    if (target === undefined) return undefined;
    const { cluster, local } = target.refused;
    if (cluster.size + local.size > 0) {
      const refused = new Map([...cluster, ...local]);
      return { kind: "InvalidEndpoint", backends: [...refused.values()] };
    }
    if (target.set.affinitySeconds !== undefined && target.affinity === undefined) {
      return { kind: "LimitReached", what: "session affinity" };
    }
    if (target.set.balance === "source-hash" && !this.#hasHash) return { kind: "NoHash" };
    return undefined;
  }

  /** Service ports with affinity, by the bytes of a frontend's key in hex: for copying what clients remember. */
  affinities(): ReadonlyMap<string, AffinityView> {
    const map = new Map<string, AffinityView>();
    for (const { key, target } of this.#frontends.values()) {
      const { affinity } = target;
      if (affinity === undefined) continue;
      const { number, handles } = affinity;
      const handleOf = (endpoint: Uint8Array): number | undefined =>
        handles.get(endpointText(endpoint));
      map.set(hex(key), { carrier: (number << 16) >>> 0, handleOf });
    }
    return map;
  }

  #replace(known: Installed, frontend: Frontend, target: Target): void {
    const wasClusterIP = known.frontend.kind === "clusterIP";
    const isClusterIP = frontend.kind === "clusterIP";
    if (wasClusterIP !== isClusterIP) {
      this.#clusterIPs.add(frontend.address, isClusterIP ? 1 : -1);
    }
    if (known.target === target) return;
    target.users++;
    this.#targets.release(known.target);
  }

  #write(installed: Installed, sink: ElementSink): void {
    const { frontend, target } = installed;
    const inside = carrierFor(target, policyOf(frontend.internalPolicy));
    const outside = carrierFor(target, policyOf(frontend.externalPolicy));
    const direct = this.#setOrigin(
      installed,
      inside === outside ? undefined : { inside, outside },
      sink,
    );
    const value = this.#setRanges(installed, frontend.sourceRanges, direct ?? inside, sink);
    setMap(sink, "frontends", installed.key, installed.value, value);
    installed.value = value;
    this.#setSets(installed, setsOf(frontend), sink);
  }

  #setSets(installed: Installed, wanted: readonly SetName[], sink: ElementSink): void {
    const old = installed.sets;
    if (old === wanted) return;
    for (const set of old) if (!wanted.includes(set)) sink.delete(set, installed.key);
    for (const set of wanted) if (!old.includes(set)) sink.add(set, installed.key);
    installed.sets = wanted;
  }

  /** @returns the carrier that tells clients inside from those outside; undefined when none is needed. */
  #setOrigin(
    installed: Installed,
    wanted: { readonly inside: number; readonly outside: number } | undefined,
    sink: ElementSink,
  ): number | undefined {
    const old = installed.origin;
    if (wanted === undefined) {
      if (old === undefined) return undefined;
      sink.delete("from_inside", old.key, words(old.inside));
      sink.delete("from_outside", old.key, words(old.outside));
      this.#origins.giveBack(old.number);
      installed.origin = undefined;
      return undefined;
    }
    const number = old?.number ?? taken(this.#origins);
    const carrier = ((number << 12) | OP.byOrigin) >>> 0;
    const key = old?.key ?? words(carrier);
    setMap(sink, "from_inside", key, old?.inside ?? -1, wanted.inside);
    setMap(sink, "from_outside", key, old?.outside ?? -1, wanted.outside);
    installed.origin = { key, number, ...wanted };
    return carrier;
  }

  /** @returns the frontend's carrier: one that asks for the source first, or `next` itself. */
  #setRanges(
    installed: Installed,
    ranges: readonly Cidr[] | undefined,
    next: number,
    sink: ElementSink,
  ): number {
    const old = installed.ranges;
    if (old !== undefined && ranges !== undefined && sameRanges(old.allowed, ranges)) {
      const carrier = rangesCarrier(old.number);
      setMap(sink, "after_ranges", words(carrier), old.next, next);
      old.next = next;
      return carrier;
    }
    if (old !== undefined) {
      // With another number, so that the new ranges do not meet the old ones in one transaction.
      const carrier = rangesCarrier(old.number);
      for (const [first, last] of rangeEnds(old.allowed)) {
        sink.delete("allowed", rangeKey(carrier, first), undefined, rangeKey(carrier, last));
      }
      sink.delete("after_ranges", words(carrier), words(old.next));
      this.#ranges.giveBack(old.number);
      installed.ranges = undefined;
    }
    if (ranges === undefined) return next;
    const number = taken(this.#ranges);
    const carrier = rangesCarrier(number);
    for (const [first, last] of rangeEnds(ranges)) {
      sink.add("allowed", rangeKey(carrier, first), undefined, rangeKey(carrier, last));
    }
    sink.add("after_ranges", words(carrier), words(next));
    installed.ranges = { number, next, allowed: ranges };
    return carrier;
  }
}

function newInstalled(frontend: Frontend, target: Target): Installed {
  return {
    frontend,
    target,
    key: frontendBytes(frontend),
    value: -1,
    origin: undefined,
    ranges: undefined,
    sets: CLUSTER_IP,
  };
}

const CLUSTER_IP: readonly SetName[] = [];
const EXTERNAL: readonly SetName[] = ["external"];
const EXTERNAL_ALL: readonly SetName[] = ["external", "masquerade_all"];

/** NP-004, NP-007: answers must come back through this node unless the endpoint is on it. */
function setsOf(frontend: Frontend): readonly SetName[] {
  if (frontend.kind === "clusterIP") return CLUSTER_IP;
  return frontend.externalPolicy === "Cluster" ? EXTERNAL_ALL : EXTERNAL;
}

function policyOf(policy: Frontend["internalPolicy"]): Policy {
  return policy === "Local" ? "local" : "cluster";
}

function setMap(
  sink: ElementSink,
  set: SetName,
  key: Uint8Array,
  before: number,
  after: number,
): void {
  if (before === after) return;
  if (before !== -1) sink.delete(set, key, words(before));
  sink.add(set, key, words(after));
}

function sameRanges(a: readonly Cidr[], b: readonly Cidr[]): boolean {
  return a.length === b.length && a.every((range, i) => range === b[i]);
}

function rangesCarrier(number: number): number {
  return ((number << 12) | OP.sourceRanges) >>> 0;
}

/** First and last address of each range; those inside of another are left out, as the set takes no overlap. */
function rangeEnds(ranges: readonly Cidr[]): readonly (readonly [Uint8Array, Uint8Array])[] {
  const sorted = [...ranges].sort(
    (a, b) => Number(cidrSize(b) > cidrSize(a)) - Number(cidrSize(a) > cidrSize(b)),
  );
  const kept: Cidr[] = [];
  for (const range of sorted) {
    const first = cidrAddress(range, 0n);
    if (!kept.some((other) => cidrContains(other, first))) kept.push(range);
  }
  return kept.map((range) => [
    addressBytes(cidrAddress(range, 0n)),
    addressBytes(cidrAddress(range, cidrSize(range) - 1n)),
  ]);
}

function taken(numbers: Numbers): number {
  const number = numbers.take();
  if (number === undefined) throw new Error("all numbers of the carrier are in use");
  return number;
}

function endpointText(bytes: Uint8Array): string {
  const width = bytes.length - 4;
  const port = (bytes[width] ?? 0) * 256 + (bytes[width + 1] ?? 0);
  return `${ipFromBytes(bytes.subarray(0, width))} ${String(port)}`;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
