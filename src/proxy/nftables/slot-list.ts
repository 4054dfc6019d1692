import type { Backend } from "../../core/proxy/frontend.ts";
import { placeText } from "../../core/proxy/place.ts";

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

/** The endpoints of one Service port and policy in slots 0..n-1 without holes, as the kernel picks a number. */
export class SlotList implements EndpointList {
  readonly isHashed = false;
  readonly #slots: Backend[] = [];
  readonly #slotOf = new Map<string, number>();

  get length(): number {
    return this.#slots.length;
  }

  get log2(): number {
    return this.length === 0 ? -1 : 32 - Math.clz32(this.length - 1);
  }

  has(backend: Backend): boolean {
    return this.#slotOf.has(placeText(backend));
  }

  /**
   * Takes endpoints out and in: new ones fill the holes, and the last ones what holes remain, so that one
   * more costs one slot, and one less two.
   */
  change(removed: readonly Backend[], added: readonly Backend[]): readonly SlotChange[] {
    const touched = new Map<number, Backend | undefined>();
    const put = (slot: number, backend: Backend): void => {
      if (!touched.has(slot)) touched.set(slot, this.#slots[slot]);
      this.#slots[slot] = backend;
      this.#slotOf.set(placeText(backend), slot);
    };
    const holes: number[] = [];
    for (const backend of removed) {
      const key = placeText(backend);
      const slot = this.#slotOf.get(key);
      if (slot === undefined) continue;
      this.#slotOf.delete(key);
      holes.push(slot);
    }
    holes.sort((a, b) => a - b);
    for (const backend of added) put(holes.pop() ?? this.#slots.length, backend);
    for (let hole = holes.pop(); hole !== undefined; hole = holes.pop()) {
      const last = this.#slots.length - 1;
      const mover = this.#slots[last];
      if (mover === undefined) throw new Error(`hole ${String(hole)} beyond slot ${String(last)}`);
      if (last !== hole) put(hole, mover);
      if (!touched.has(last)) touched.set(last, mover);
      this.#slots.pop();
    }
    return [...touched].map(([slot, before]) => ({ slot, before, after: this.#slots[slot] }));
  }

  replace(backend: Backend): void {
    const slot = this.#slotOf.get(placeText(backend));
    if (slot !== undefined) this.#slots[slot] = backend;
  }

  clear(): readonly SlotChange[] {
    return this.change([...this.#slots], []);
  }

  backends(): readonly Backend[] {
    return this.#slots;
  }
}
