import type { ElementSink } from "./elements.ts";
import type { SetName } from "./program.ts";

interface Sum {
  count: number;
  digest: number;
}

/** How many elements each set of a table should have, and a sum over them that does not depend on their order. */
export class ElementLedger {
  readonly #sums = new Map<SetName, Sum>();

  /** A sink that also keeps the books. */
  follow(sink: ElementSink): ElementSink {
    return {
      add: (set, key, data, keyEnd) => {
        this.note(set, key, data);
        sink.add(set, key, data, keyEnd);
      },
      delete: (set, key, data, keyEnd) => {
        const sum = this.#sum(set);
        sum.count--;
        sum.digest = (sum.digest - digestOf(key, data)) >>> 0;
        sink.delete(set, key, data, keyEnd);
      },
      needAffinityClass: (timeoutClass, timeoutSeconds) => {
        sink.needAffinityClass(timeoutClass, timeoutSeconds);
      },
    };
  }

  /** An element that is there. */
  note(set: SetName, key: Uint8Array, data: Uint8Array | undefined): void {
    const sum = this.#sum(set);
    sum.count++;
    sum.digest = (sum.digest + digestOf(key, data)) >>> 0;
  }

  /** What differs in a set between these books and those of what is there; undefined when nothing does. */
  difference(set: SetName, there: ElementLedger): string | undefined {
    const { count, digest } = this.#sum(set);
    const now = there.#sum(set);
    if (now.count < count) return `${String(count - now.count)} elements were deleted from ${set}`;
    if (now.count > count) return `${String(now.count - count)} elements were added to ${set}`;
    return now.digest === digest ? undefined : `elements of ${set} were changed`;
  }

  #sum(set: SetName): Sum {
    const known = this.#sums.get(set);
    if (known !== undefined) return known;
    const made = { count: 0, digest: 0 };
    this.#sums.set(set, made);
    return made;
  }
}

/** FNV-1a. */
export function digestOf(key: Uint8Array, data: Uint8Array | undefined): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  for (const byte of data ?? []) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
