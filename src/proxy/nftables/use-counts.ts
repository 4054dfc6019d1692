/** How often things are used, and which of them came into use or fell out of it since the last look. */
export class UseCounts<K extends string> {
  readonly #counts = new Map<K, number>();
  /** What was touched, with whether it was in use before. */
  readonly #touched = new Map<K, boolean>();

  add(key: K, by: 1 | -1): void {
    const count = this.#counts.get(key) ?? 0;
    if (!this.#touched.has(key)) this.#touched.set(key, count > 0);
    const now = count + by;
    if (now > 0) this.#counts.set(key, now);
    else this.#counts.delete(key);
  }

  takeChanges(): { readonly begun: readonly K[]; readonly ended: readonly K[] } {
    const begun: K[] = [];
    const ended: K[] = [];
    for (const [key, before] of this.#touched) {
      const now = this.#counts.has(key);
      if (now && !before) begun.push(key);
      else if (!now && before) ended.push(key);
    }
    this.#touched.clear();
    return { begun, ended };
  }
}

/** Hands out numbers, those given back longest ago last: a packet on its way may still carry one. */
export class Numbers {
  readonly #limit: number;
  readonly #free: number[] = [];
  #next = 0;
  #head = 0;

  /** Numbers are in [0, limit). */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** undefined when all are in use. */
  take(): number | undefined {
    if (this.#next < this.#limit) return this.#next++;
    const number = this.#free[this.#head];
    if (number === undefined) return undefined;
    this.#head++;
    if (this.#head > 1024) this.#free.splice(0, this.#head);
    if (this.#head > 1024) this.#head = 0;
    return number;
  }

  giveBack(number: number): void {
    this.#free.push(number);
  }
}
