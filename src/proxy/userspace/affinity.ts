import type { Backend, BackendSet } from "../../core/proxy/frontend.ts";
import type { IpAddress } from "../../net/address.ts";

/** Entries kept; when full the one renewed longest ago goes, and its client may change its endpoint. */
const MAX_ENTRIES = 100_000;

/**
 * Which backend a client was given last, kept for the affinity's time-out after its last new connection
 * (AFF-003). Keyed by Service port and client, so all frontends of a port share it (AFF-004).
 */
export class AffinityTable {
  /** In order of renewal, oldest first. */
  readonly #entries = new Map<string, { readonly backend: Backend; readonly expiresMs: number }>();

  get(target: BackendSet, client: IpAddress, nowMs: number): Backend | undefined {
    const entry = this.#entries.get(keyOf(target, client));
    return entry !== undefined && entry.expiresMs > nowMs ? entry.backend : undefined;
  }

  /** Remembers the choice and starts its time anew. Nothing for a target without affinity. */
  remember(target: BackendSet, client: IpAddress, backend: Backend, nowMs: number): void {
    if (target.affinitySeconds === undefined) return;
    const key = keyOf(target, client);
    this.#entries.delete(key);
    this.#entries.set(key, { backend, expiresMs: nowMs + target.affinitySeconds * 1000 });
    // Two looked at for each one added: what expired is gone before it piles up, at a constant cost.
    let looked = 0;
    for (const [oldest, entry] of this.#entries) {
      if (looked++ === 2) break;
      if (entry.expiresMs <= nowMs || this.#entries.size > MAX_ENTRIES) {
        this.#entries.delete(oldest);
      }
    }
  }

  get size(): number {
    return this.#entries.size;
  }
}

function keyOf(target: BackendSet, client: IpAddress): string {
  return `${target.service} ${target.protocol} ${target.portName} ${client}`;
}
