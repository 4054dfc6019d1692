interface Look {
  readonly offset: number;
  readonly ms: number;
}

/** Looks kept for one file; when full every second one goes, and times get coarser. */
const MAX_LOOKS = 2048;

/** When a growing file had which length: gives lines a time. */
export class LogTimes {
  #looks: Look[] = [];

  /** The file had `offset` bytes at `ms`. Looks come in the order of time. */
  note(offset: number, ms: number): void {
    const last = this.#looks.at(-1);
    if (last !== undefined ? last.offset >= offset : offset === 0) return;
    this.#looks.push({ offset, ms });
    if (this.#looks.length > MAX_LOOKS)
      this.#looks = this.#looks.filter((_, index) => index % 2 === 1);
  }

  /** When the byte before `endOffset` was first seen; `fallbackMs` if it was not. */
  timeAt(endOffset: number, fallbackMs: number): number {
    return this.#looks[this.#firstIndex(({ offset }) => offset >= endOffset)]?.ms ?? fallbackMs;
  }

  /** Where what was first seen at or after `ms` begins; undefined when nothing was. */
  offsetAt(ms: number): number | undefined {
    const index = this.#firstIndex((look) => look.ms >= ms);
    return index === this.#looks.length ? undefined : (this.#looks[index - 1]?.offset ?? 0);
  }

  /** Binary search, as it is asked for every line. */
  #firstIndex(holds: (look: Look) => boolean): number {
    let low = 0;
    let high = this.#looks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const look = this.#looks[middle];
      if (look !== undefined && holds(look)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
