import { cidrAddress, cidrBits, cidrSize, parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { claim } from "./claims.ts";
import type { Claim, Holder, Taken } from "./claims.ts";

/** The addresses of one instance in loopback mode. */
export interface LoopbackRanges {
  readonly serviceCidr: Cidr;
  readonly podCidr: Cidr;
  readonly loadBalancerCidr: Cidr;
}

/** So many instances fit side by side with default ranges. */
const SLOTS = 16;

/** Another instance uses addresses that this one needs. */
export class RangeCollisionError extends Error {
  readonly code = "RANGE_COLLISION";

  constructor(range: string, holder: Holder | undefined) {
    super(
      `the addresses ${range} are in use by ${nameOf(holder)}; end it, or give this one ranges of its own with --service-cidr and --pod-cidr`,
    );
    this.name = "RangeCollisionError";
  }
}

function nameOf(holder: Holder | undefined): string {
  if (holder === undefined) return "another instance";
  return holder.pid === undefined
    ? `Pods that the killed instance with data dir ${holder.dataDir} left (start it again to take them over)`
    : `the instance with data dir ${holder.dataDir} (pid ${String(holder.pid)})`;
}

/** Ranges of instance `slot` (0..15): /16 for Services and Pods, /20 for load balancers. */
export function rangesOfSlot(slot: number): LoopbackRanges {
  return {
    serviceCidr: cidr(`127.${String(96 + slot)}.0.0/16`),
    podCidr: cidr(`127.${String(112 + slot)}.0.0/16`),
    loadBalancerCidr: cidr(`127.128.${String(16 * slot)}.0/20`),
  };
}

/** Ranges in which Pods of a killed instance still listen. */
export interface OccupiedRanges {
  readonly dataDir: string;
  readonly ranges: Partial<LoopbackRanges>;
}

/**
 * Claims ranges against every other instance on this machine. `fixed` are ranges that must be these (named by
 * the user, or used before by this data dir); the rest comes from the first slot, or the `last`, whose ranges
 * are all free and not `occupied`. Whoever needs the same ranges again some day takes the last, so that those
 * who come and go do not sit there in the meantime.
 * @throws RangeCollisionError when a fixed range is in use, or all slots are.
 */
export async function claimRanges(
  fixed: Partial<LoopbackRanges>,
  holder: Holder,
  occupied: readonly OccupiedRanges[] = [],
  from: "first" | "last" = "first",
): Promise<{ readonly ranges: LoopbackRanges; readonly claim: Claim }> {
  let collision: RangeCollisionError | undefined;
  for (let i = 0; i < SLOTS; i++) {
    const slot = from === "first" ? i : SLOTS - 1 - i;
    const ranges = { ...rangesOfSlot(slot), ...fixed };
    const names = Object.values(ranges).flatMap(blocksOf);
    if (new Set(names).size < names.length) continue;
    const result = await claimFree(names, holder, occupied);
    if (result.kind === "claimed") return { ranges, claim: result };
    collision = new RangeCollisionError(result.name, result.holder);
    const fixedBlocks = Object.values(fixed).flatMap(blocksOf);
    if (fixedBlocks.includes(result.name)) throw collision;
  }
  throw collision ?? new Error(`no slot fits beside the ranges ${Object.values(fixed).join(", ")}`);
}

/** Claims first: only what no living instance holds can have been left by a killed one. */
async function claimFree(
  names: readonly string[],
  holder: Holder,
  occupied: readonly OccupiedRanges[],
): Promise<Claim | Taken> {
  const result = await claim(names, holder);
  const left = leftIn(names, occupied);
  if (result.kind === "taken" || left === undefined) return result;
  await result[Symbol.asyncDispose]();
  return left;
}

/** The first block that Pods of a killed instance occupy, as if that instance still held it. */
function leftIn(names: readonly string[], occupied: readonly OccupiedRanges[]): Taken | undefined {
  for (const { dataDir, ranges } of occupied) {
    const blocks = new Set(Object.values(ranges).flatMap(blocksOf));
    const name = names.find((candidate) => blocks.has(candidate));
    if (name !== undefined) return { kind: "taken", name, holder: { pid: undefined, dataDir } };
  }
  return undefined;
}

/** The /20 blocks that cover a range: ranges overlap only if they share one. */
function blocksOf(range: Cidr): readonly string[] {
  const step = 4096n;
  const size = cidrSize(range);
  if (cidrBits(range) >= 20) return [String(parseCidr(`${cidrAddress(range, 0n)}/20`))];
  return Array.from(
    { length: Number(size / step) },
    (_, i) => `${cidrAddress(range, BigInt(i) * step)}/20`,
  );
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`not a CIDR: ${text}`);
  return parsed;
}
