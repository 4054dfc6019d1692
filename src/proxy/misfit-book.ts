import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { misfitsOf } from "../core/proxy/misfits.ts";
import type { Gauge, Metrics } from "../telemetry/metrics.ts";

const MAX_NAMED = 3;

/** Slices with endpoints that no family's rules can name, and how many those are. */
export class MisfitBook {
  readonly #counts = new Map<ObjectKey, number>();
  readonly #gauge: Gauge;
  #total = 0;

  constructor(metrics: Metrics) {
    this.#gauge = metrics
      .gauge(
        "portolan_proxy_invalid_addresses",
        "Endpoints left out as their address is none of their EndpointSlice's family.",
      )
      .with();
  }

  /** @returns what to tell the slice's user, when there is something. */
  update(key: ObjectKey, slice: EndpointSlice | undefined): string | undefined {
    const misfits = slice === undefined ? [] : misfitsOf(slice);
    const before = this.#counts.get(key) ?? 0;
    if (misfits.length > 0) this.#counts.set(key, misfits.length);
    else this.#counts.delete(key);
    if (misfits.length !== before) {
      this.#total += misfits.length - before;
      this.#gauge.set(this.#total);
    }
    if (misfits.length === 0) return undefined;
    const named = misfits.slice(0, MAX_NAMED).map((text) => JSON.stringify(text));
    const more = misfits.length - named.length;
    const all = `${named.join(", ")}${more > 0 ? ` and ${String(more)} more` : ""}`;
    return `endpoints at ${all} get no traffic: no address of the slice's type ${slice?.addressType ?? ""}`;
  }
}
