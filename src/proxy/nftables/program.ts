import { MIN_LOG2_BUCKETS } from "../../core/proxy/source-hash.ts";
import { SET } from "../../kernel/nftables/batch.ts";
import type { BaseChain, SetSpec, TableFamily } from "../../kernel/nftables/batch.ts";
import * as s from "./statement.ts";
import type { Statement, Value } from "./statement.ts";

/** Lists have up to 2^16 slots. */
export const MAX_LOG2 = 16;
/** Fewer than one pick in 2^8 of a list that just fills more than half of its slots misses so often. */
const TRIES = 8;
const MAX_REMEMBERED = 262_144;

/** Lower 12 bits of a carrier: what to do with the list, rule or Service port that the upper bits name. */
export const OP = {
  /** Plus the list's log2 of slots. */
  list: 0x000,
  reject: 0x020,
  drop: 0x021,
  sourceRanges: 0x022,
  byOrigin: 0x023,
  /** Plus the log2 of the list's buckets: its slots are chosen by the client's address. */
  hashed: 0x040,
  /** Plus {@link AFFINITY_CLASS} for each class of time-outs, {@link LOCAL} for policy Local, and log2. */
  affinity: 0x100,
} as const;
const AFFINITY_CLASS = 0x40;
const LOCAL = 0x20;
/** The op has 12 bits. */
export const MAX_AFFINITY_CLASSES = (0x1000 - OP.affinity) / AFFINITY_CLASS;
const LIST_BITS = 0xfffff000;
const OP_BITS = 0xfff;
/** In carriers with affinity: which Service port. Bits 15..0 are an endpoint's number, or 12 bits of op. */
const AFFINITY_BITS = 0x7fff0000;

export type Policy = "cluster" | "local";

export function affinityOp(timeoutClass: number, policy: Policy, log2: number): number {
  return OP.affinity + timeoutClass * AFFINITY_CLASS + (policy === "local" ? LOCAL : 0) + log2;
}

export interface ChainSpec {
  readonly name: string;
  readonly rules: readonly (readonly Statement[])[];
}

export interface BaseChainSpec extends ChainSpec {
  readonly base: BaseChain;
}

/** Chains, and the ops that lead to them. */
export interface ChainPack {
  readonly chains: readonly ChainSpec[];
  readonly ops: readonly (readonly [op: number, chain: string])[];
}

export interface ProgramOptions {
  readonly family: TableFamily;
  /** Who connects to a cluster IP with an address of the node (PROXY-022). */
  readonly masquerade: "all" | "outside" | "none";
}

/** Sets and maps of a table, by what they hold. */
export type SetName =
  | "frontends"
  | "endpoints"
  | "affinity"
  | "slots_cluster"
  | "slots_local"
  | "picked_cluster"
  | "picked_local"
  | "allowed"
  | "after_ranges"
  | "from_inside"
  | "from_outside"
  | "cluster_ips"
  | "hairpin"
  | "masquerade_all"
  | "external"
  | "pods"
  | "inside"
  | "service_ranges";

/** Sets that hold what the node's settings say. */
export const RANGE_SETS: readonly SetName[] = ["pods", "inside", "service_ranges"];

/** Sets and maps that hold Services; the packet path itself fills `affinity`. */
export const ELEMENT_SETS: readonly SetName[] = [
  "frontends",
  "endpoints",
  "slots_cluster",
  "slots_local",
  "picked_cluster",
  "picked_local",
  "allowed",
  "after_ranges",
  "from_inside",
  "from_outside",
  "cluster_ips",
  "hairpin",
  "masquerade_all",
  "external",
];

export function setsOf(family: TableFamily): Readonly<Record<SetName, SetSpec>> {
  const address = family === "ip" ? "ipv4_addr" : "ipv6_addr";
  const frontend = [address, "inet_proto", "inet_service"] as const;
  const endpoint = [address, "inet_service"] as const;
  const map = (
    name: SetName,
    key: SetSpec["key"],
    data: SetSpec["data"],
    more: Partial<SetSpec> = {},
  ): SetSpec => ({ name, flags: SET.map, key, data, ...more });
  const set = (name: SetName, key: SetSpec["key"], flags = 0): SetSpec => ({
    name,
    flags,
    key,
    data: undefined,
  });
  return {
    frontends: map("frontends", frontend, ["classid"], { hasCounter: true }),
    endpoints: map("endpoints", ["classid", "mark"], endpoint),
    affinity: map("affinity", ["classid", address], ["classid"], {
      flags: SET.map | SET.timeout | SET.dynamic,
      size: MAX_REMEMBERED,
    }),
    slots_cluster: map("slots_cluster", ["classid", "mark"], ["classid"]),
    slots_local: map("slots_local", ["classid", "mark"], ["classid"]),
    picked_cluster: map("picked_cluster", ["classid"], endpoint),
    picked_local: map("picked_local", ["classid"], endpoint),
    allowed: set("allowed", ["classid", address], SET.interval),
    after_ranges: map("after_ranges", ["classid"], ["classid"]),
    from_inside: map("from_inside", ["classid"], ["classid"]),
    from_outside: map("from_outside", ["classid"], ["classid"]),
    cluster_ips: set("cluster_ips", [address]),
    hairpin: set("hairpin", [address, address]),
    masquerade_all: set("masquerade_all", frontend),
    external: set("external", frontend),
    pods: set("pods", [address], SET.interval),
    inside: set("inside", [address], SET.interval),
    service_ranges: set("service_ranges", [address], SET.interval),
  };
}

/** Verdict maps from op to chain: three, as the kernel wants no chain to reach itself again. */
export const DISPATCHERS = ["ops", "ops_after_ranges", "ops_after_origin"] as const;

/** Room for every op: of a map whose size is known the kernel makes one that never grows, and is faster. */
export const OPS = 0x20 * (8 + 2 * MAX_AFFINITY_CLASSES);

/** Which dispatchers know an op. */
export function isDispatched(dispatcher: (typeof DISPATCHERS)[number], op: number): boolean {
  if (op === OP.sourceRanges) return dispatcher === "ops";
  if (op === OP.byOrigin) return dispatcher !== "ops_after_origin";
  return true;
}

/**
 * The chains that every table has. A connection's first packet runs through `services`: its frontend's
 * carrier, then what the op says, down to an endpoint. Later packets are conntrack's. `hasHash`: the kernel has
 * the expression by which source-hash chooses.
 */
export function constantPack(family: TableFamily, hasHash: boolean): ChainPack {
  const chains: ChainSpec[] = [];
  const ops: (readonly [number, string])[] = [];
  for (let log2 = 0; log2 <= MAX_LOG2; log2++) {
    const rules = picks(log2).map((slots) => [
      s.hasPorts,
      s.translate(family, s.join(s.carrierMasked(LIST_BITS), s.randomBelow(slots)), "endpoints"),
    ]);
    const name = `list_${String(log2)}`;
    chains.push({ name, rules: [...rules, [s.goto("raced")]] });
    ops.push([OP.list + log2, name]);
  }
  for (let log2 = MIN_LOG2_BUCKETS; hasHash && log2 <= MAX_LOG2; log2++) {
    const name = `hashed_${String(log2)}`;
    const slot = s.join(s.carrierMasked(LIST_BITS), s.sourceHash(family, log2));
    const rules = [[s.hasPorts, s.translate(family, slot, "endpoints")], [s.goto("raced")]];
    chains.push({ name, rules });
    ops.push([OP.hashed + log2, name]);
  }
  const source = s.source(family);
  const after = (map: SetName): readonly Statement[] => [
    s.setCarrier(s.looked(s.carrier, map)),
    s.goto("dispatch_after_origin"),
  ];
  chains.push(
    // A change came between two look-ups of one packet: the client asks again, and a reset would end it.
    { name: "raced", rules: [[s.count, s.drop]] },
    { name: "dropped", rules: [[s.count, s.drop]] },
    { name: "rejected", rules: [[s.isTcp, s.resetTcp], [s.unreachable(family)]] },
    {
      name: "source_ranges",
      rules: [
        [
          s.isIn(s.join(s.carrierInRange, source), "allowed"),
          s.setCarrier(s.looked(s.carrier, "after_ranges")),
          s.goto("dispatch_after_ranges"),
        ],
        [s.goto("dropped")],
      ],
    },
    {
      name: "by_origin",
      rules: [
        [s.isIn(source, "inside"), ...after("from_inside")],
        [s.isFromThisHost, ...after("from_inside")],
        after("from_outside"),
      ],
    },
    {
      // Of a connection that came to a frontend that is no cluster IP (NP-004, NP-007).
      name: "external",
      rules: [
        [s.isFromThisHost, s.hideSource],
        [s.hasPorts, s.isIn(asked(family), "masquerade_all"), s.hideSource],
      ],
    },
    {
      name: "dispatch_after_ranges",
      rules: [[s.dispatchBy(s.carrierMasked(OP_BITS), "ops_after_ranges")]],
    },
    {
      name: "dispatch_after_origin",
      rules: [[s.dispatchBy(s.carrierMasked(OP_BITS), "ops_after_origin")]],
    },
    {
      name: "services",
      rules: [
        [
          s.setCarrier(
            s.looked(s.join(s.destination(family), s.protocol, s.destinationPort), "frontends"),
          ),
          s.dispatchBy(s.carrierMasked(OP_BITS), "ops"),
        ],
        // PROXY-026: no such port. PROXY-027: no such Service; silent, as the address may come to life. An address
        // that this node has itself is answered here, such as that of the cluster's DNS.
        [s.isIn(s.destination(family), "cluster_ips"), s.goto("rejected")],
        [s.isIn(s.destination(family), "service_ranges"), s.isNotToThisHost, s.goto("dropped")],
      ],
    },
  );
  ops.push(
    [OP.reject, "rejected"],
    [OP.drop, "dropped"],
    [OP.sourceRanges, "source_ranges"],
    [OP.byOrigin, "by_origin"],
  );
  return { chains, ops };
}

/**
 * The chains of ClientIP affinity with one time-out. A client's memory is kept by Service port, whatever
 * address it came to (AFF-004); the endpoint remembered must still be one of the policy's list (AFF-006).
 */
export function affinityPack(
  family: TableFamily,
  timeoutClass: number,
  timeoutSeconds: number,
): ChainPack {
  const chains: ChainSpec[] = [];
  const ops: (readonly [number, string])[] = [];
  const port = s.carrierMasked(AFFINITY_BITS);
  const client: Value = s.join(port, s.source(family));
  for (const policy of ["cluster", "local"] as const) {
    const picked = `picked_${policy}`;
    const learn = `learn_${String(timeoutClass)}_${policy}`;
    chains.push({
      name: learn,
      rules: [
        // An update does not change an element's data.
        [s.forget(client, "affinity")],
        [s.remember(client, "affinity", timeoutSeconds)],
        [s.hasPorts, s.translate(family, s.carrier, picked)],
        [s.goto("raced")],
      ],
    });
    for (let log2 = 0; log2 <= MAX_LOG2; log2++) {
      const name = `affinity_${String(timeoutClass)}_${policy}_${String(log2)}`;
      ops.push([affinityOp(timeoutClass, policy, log2), name]);
      chains.push({
        name,
        rules: [
          [
            s.setCarrier(s.looked(client, "affinity")),
            s.remember(client, "affinity", timeoutSeconds),
            s.hasPorts,
            s.translate(family, s.carrier, picked),
          ],
          // Nothing remembered, or an endpoint that is gone: back to the Service port alone.
          [s.setCarrier(port)],
          ...picks(log2).map((slots) => [
            s.setCarrier(s.looked(s.join(port, s.randomBelow(slots)), `slots_${policy}`)),
            s.goto(learn),
          ]),
          [s.goto("raced")],
        ],
      });
    }
  }
  return { chains, ops };
}

/**
 * Rejection sampling: slots beyond the list's length miss and the next rule picks again, so that all of its
 * endpoints are equally likely, whatever their number. The lower half of the slots is always full.
 */
function picks(log2: number): readonly number[] {
  if (log2 === 0) return [1];
  const slots = 2 ** log2;
  return [...Array.from({ length: TRIES }, () => slots), ...(log2 > 1 ? [slots / 2] : []), 1];
}

/** The frontend that a connection came to. */
function asked(family: TableFamily): Value {
  return s.join(s.originalDestination(family), s.protocol, s.originalPort);
}

/** The chains that the kernel's hooks call; made last, and removed first. */
export function baseChains(options: ProgramOptions): readonly BaseChainSpec[] {
  const { family } = options;
  const source = s.source(family);
  const toClusterIP = s.isIn(s.originalDestination(family), "cluster_ips");
  const masquerade: readonly (readonly Statement[])[] = [
    // A Pod that reaches itself through its Service must not see its own address as the client (PROXY-023).
    [s.isIn(s.join(source, s.destination(family)), "hairpin"), s.hideSource],
    ...(options.masquerade === "all" ? [[toClusterIP, s.hideSource]] : []),
    ...(options.masquerade === "outside"
      ? [[s.isNotIn(source, "pods"), toClusterIP, s.hideSource]]
      : []),
    // One look-up for the many that came to a cluster IP.
    [s.hasPorts, s.isIn(asked(family), "external"), s.goto("external")],
  ];
  return [
    {
      name: "nat_prerouting",
      base: { type: "nat", hook: 0, priority: -100 },
      rules: [[s.goto("services")]],
    },
    {
      name: "nat_output",
      base: { type: "nat", hook: 3, priority: -100 },
      rules: [[s.goto("services")]],
    },
    {
      name: "nat_postrouting",
      base: { type: "nat", hook: 4, priority: 100 },
      rules: [[s.isNotTranslated, s.accept], [s.clearCarrier], ...masquerade],
    },
    {
      // CT-009: an answer that conntrack does not know as one would leave with the endpoint's own address,
      // and the client would reset its connection.
      name: "filter_forward",
      base: { type: "filter", hook: 2, priority: 0 },
      rules: [[s.isInvalid, s.drop]],
    },
  ];
}
