import type { IpAddress } from "../../net/address.ts";
import type { Port } from "../../net/host-port.ts";
import { compareText } from "./frontend.ts";

/** Where an endpoint listens: no two endpoints of a Service port have the same. */
export interface Place {
  readonly address: IpAddress;
  readonly port: Port;
}

/** Orders by address, then port. */
export function comparePlaces(a: Place, b: Place): number {
  return a.address === b.address ? a.port - b.port : compareText(a.address, b.address);
}

/** The same text for the same place, for keys. */
export function placeText({ address, port }: Place): string {
  return `${address} ${String(port)}`;
}

/** Index of the first item of a sorted list that `compare` does not put before what is looked for. */
export function firstAtOrAfter<T>(sorted: readonly T[], compare: (item: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = sorted[middle];
    if (item !== undefined && compare(item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
