import type { Backend } from "../../core/proxy/frontend.ts";
import { comparePlaces, placeText } from "../../core/proxy/place.ts";
import { hashBuckets } from "../../core/proxy/source-hash.ts";
import type { EndpointList, SlotChange } from "./slot-list.ts";

/**
 * The endpoints of one Service port and policy in as many slots as `core/proxy` has buckets for them: the kernel
 * picks one by the client's address. One endpoint more or less costs two operations for each of its buckets,
 * that is some 256 at most, and at a power of two of endpoints one for each bucket that comes or goes.
 */
export class BucketList implements EndpointList {
  readonly isHashed = true;
  readonly #members = new Map<string, Backend>();
  #buckets: readonly Backend[] = [];

  /** Endpoints, not buckets. */
  get length(): number {
    return this.#members.size;
  }

  get log2(): number {
    return this.#buckets.length === 0 ? -1 : 31 - Math.clz32(this.#buckets.length);
  }

  has(backend: Backend): boolean {
    return this.#members.has(placeText(backend));
  }

  change(removed: readonly Backend[], added: readonly Backend[]): readonly SlotChange[] {
    if (removed.length + added.length === 0) return [];
    for (const backend of removed) this.#members.delete(placeText(backend));
    for (const backend of added) this.#members.set(placeText(backend), backend);
    const old = this.#buckets;
    this.#buckets = hashBuckets([...this.#members.values()].sort(comparePlaces));
    const changes: SlotChange[] = [];
    for (let slot = 0; slot < Math.max(old.length, this.#buckets.length); slot++) {
      const before = old[slot];
      const after = this.#buckets[slot];
      const isSame =
        before !== undefined && after !== undefined && comparePlaces(before, after) === 0;
      if (!isSame) changes.push({ slot, before, after });
    }
    return changes;
  }

  replace(backend: Backend): void {
    if (this.has(backend)) this.#members.set(placeText(backend), backend);
  }

  clear(): readonly SlotChange[] {
    return this.change(this.backends(), []);
  }

  backends(): readonly Backend[] {
    return [...this.#members.values()];
  }
}
