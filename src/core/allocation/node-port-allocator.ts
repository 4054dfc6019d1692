/** Ports first..last, both included. */
export interface NodePortRange {
  readonly first: number;
  readonly last: number;
}

/** The range of every Kubernetes cluster that says nothing else (ALLOC-024). */
export const DEFAULT_NODE_PORT_RANGE: NodePortRange = { first: 30_000, last: 32_767 };

/** Which node ports somebody holds; a Set will do. */
export interface UsedPorts {
  has(port: number): boolean;
}

export type PortAllocation =
  | { readonly kind: "allocated"; readonly port: number }
  | { readonly kind: "taken" }
  | { readonly kind: "outOfRange" }
  | { readonly kind: "exhausted" };

/** Reads `30000-32767`. @returns undefined when the text is no range of ports. */
export function parseNodePortRange(text: string): NodePortRange | undefined {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  return first >= 1 && last <= 65_535 && first <= last ? { first, last } : undefined;
}

export function formatNodePortRange({ first, last }: NodePortRange): string {
  return `${String(first)}-${String(last)}`;
}

/** Ports at the start of the range kept for requests by number (KEP-3668, ALLOC-026). */
export function staticPortBandSize(rangeSize: number): number {
  if (rangeSize <= 16) return 0;
  return Math.min(Math.max(16, Math.floor(rangeSize / 32)), 128);
}

/**
 * Picks a free port (ALLOC-026): from above the static band, starting anywhere and going round, and from
 * the band only when all above it are held.
 * @param random a number in [0, 1), the place to start.
 */
export function allocateNodePort(
  range: NodePortRange,
  used: UsedPorts,
  random: number,
): PortAllocation {
  const bandEnd = range.first + staticPortBandSize(range.last - range.first + 1);
  const port =
    findFree(bandEnd, range.last + 1, used, random) ?? findFree(range.first, bandEnd, used, random);
  return port === undefined ? { kind: "exhausted" } : { kind: "allocated", port };
}

/** Claims the port asked for (ALLOC-025). */
export function claimNodePort(range: NodePortRange, used: UsedPorts, port: number): PortAllocation {
  if (port < range.first || port > range.last) return { kind: "outOfRange" };
  return used.has(port) ? { kind: "taken" } : { kind: "allocated", port };
}

function findFree(first: number, end: number, used: UsedPorts, random: number): number | undefined {
  const count = end - first;
  const start = Math.floor(random * count);
  for (let i = 0; i < count; i++) {
    const port = first + ((start + i) % count);
    if (!used.has(port)) return port;
  }
  return undefined;
}
