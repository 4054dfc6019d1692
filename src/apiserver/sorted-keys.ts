/** Keys that are moved at most when one comes or goes. */
const MAX_BLOCK = 512;

/**
 * Distinct keys in order, kept in blocks: with one sorted array each new key would move all that follow it, which
 * at 100,000 keys costs more than the rest of a write.
 */
export class SortedKeys<K extends string> {
  /** None is empty; all keys of a block are less than those of the next. */
  readonly #blocks: K[][] = [];

  /** Adds a key that is not there yet. */
  add(key: K): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#blocks.push([key]);
      return;
    }
    const index = position(block, key);
    if (block.length < MAX_BLOCK) block.splice(index, 0, key);
    // Keys that come in order fill their blocks.
    else if (index === block.length) this.#blocks.splice(at + 1, 0, [key]);
    else {
      block.splice(index, 0, key);
      this.#blocks.splice(at + 1, 0, block.splice(MAX_BLOCK >>> 1));
    }
  }

  delete(key: K): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at];
    if (block === undefined) return;
    const index = position(block, key);
    if (block[index] !== key) return;
    block.splice(index, 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  clear(): void {
    this.#blocks.length = 0;
  }

  /** The keys that are not less than `start`, in order. Nothing may change meanwhile. */
  *from(start: string): Iterable<K> {
    const first = this.#blockOf(start);
    for (let at = first; at < this.#blocks.length; at++) {
      const block = this.#blocks[at] ?? [];
      if (at !== first) yield* block;
      else yield* block.slice(position(block, start));
    }
  }

  /** Index of the last block that begins at or before `key`; 0 when none does. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#blocks[middle]?.[0] ?? "") <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Index of the first key that is not less than `key`. */
function position(block: readonly string[], key: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
