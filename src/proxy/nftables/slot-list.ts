import type { Backend } from "../../core/proxy/frontend.ts";
import { comparePlaces, placeText } from "../../core/proxy/place.ts";

/** A slot whose content changed; undefined is empty. */
export interface SlotChange {
  readonly slot: number;
  readonly before: Backend | undefined;
  readonly after: Backend | undefined;
}

/** The endpoints of one Service port and policy, and the slots of the kernel's maps that they stand in. */
export interface EndpointList {
  /** Slots are chosen by the client's address, not at random. */
  readonly isHashed: boolean;
  readonly length: number;
  /** The least number of bits that counts all slots; -1 for an empty list. */
  readonly log2: number;
  has(backend: Backend): boolean;
  change(removed: readonly Backend[], added: readonly Backend[]): readonly SlotChange[];
  /** Takes what is known of an endpoint now; its slots stay. Nothing when it is not in the list. */
  replace(backend: Backend): void;
  /** Empties the list. */
  clear(): readonly SlotChange[];
  backends(): readonly Backend[];
}

/** Up to so many slots are searched one by one: most lists are short, and an index of texts is larger than they are. */
const UNINDEXED = 16;

/** The endpoints of one Service port and policy in slots 0..n-1 without holes, as the kernel picks a number. */
export class SlotList implements EndpointList {
  readonly isHashed = false;
  readonly #slots: Backend[] = [];
  /** Slots by {@link placeText}; undefined for a list that never was long. */
  #slotOf: Map<string, number> | undefined;

  get length(): number {
    return this.#slots.length;
  }

  get log2(): number {
    return this.length === 0 ? -1 : 32 - Math.clz32(this.length - 1);
  }

  has(backend: Backend): boolean {
    return this.#find(backend) !== undefined;
  }

  /**
   * Takes endpoints out and in: new ones fill the holes, and the last ones what holes remain, so that one
   * more costs one slot, and one less two.
   */
  change(removed: readonly Backend[], added: readonly Backend[]): readonly SlotChange[] {
    if (this.length + added.length > UNINDEXED) this.#index();
    const changes: SlotChange[] = [];
    const found = removed.flatMap((backend) => this.#find(backend) ?? []);
    // The least is filled first, so that no slot beyond the new end is filled and emptied at once.
    const holes = found.sort((a, b) => b - a);
    for (const backend of removed) this.#slotOf?.delete(placeText(backend));
    for (const backend of added) changes.push(this.#put(holes.pop() ?? this.length, backend));
    if (holes.length === 0) return changes;
    const length = this.length - holes.length;
    const gone = new Set(holes);
    const movers: Backend[] = [];
    for (const [i, before] of this.#slots.slice(length).entries()) {
      if (!gone.has(length + i)) movers.push(before);
      changes.push({ slot: length + i, before, after: undefined });
    }
    for (const hole of holes) {
      const mover = hole < length ? movers.pop() : undefined;
      if (mover !== undefined) changes.push(this.#put(hole, mover));
    }
    this.#slots.length = length;
    return changes;
  }

  replace(backend: Backend): void {
    const slot = this.#find(backend);
    if (slot !== undefined) this.#slots[slot] = backend;
  }

  clear(): readonly SlotChange[] {
    return this.change([...this.#slots], []);
  }

  backends(): readonly Backend[] {
    return this.#slots;
  }

  #find(backend: Backend): number | undefined {
    if (this.#slotOf !== undefined) return this.#slotOf.get(placeText(backend));
    const slot = this.#slots.findIndex((each) => comparePlaces(each, backend) === 0);
    return slot === -1 ? undefined : slot;
  }

  #put(slot: number, backend: Backend): SlotChange {
    const before = this.#slots[slot];
    this.#slots[slot] = backend;
    this.#slotOf?.set(placeText(backend), slot);
    return { slot, before, after: backend };
  }

  #index(): void {
    this.#slotOf ??= new Map(this.#slots.map((backend, slot) => [placeText(backend), slot]));
  }
}
