import { readFileSync } from "node:fs";

/**
 * How many files the proxy may hold open, so that a flood of connections does not take the last descriptor
 * from the rest of the process (EMFILE there would stop the API server).
 */
export class FdBudget {
  #left: number;
  #isFull = false;
  readonly #onFull: () => void;

  /** `onFull` is called when a request is refused, once until something has been given back. */
  constructor(limit: number, onFull: () => void) {
    this.#left = limit;
    this.#onFull = onFull;
  }

  tryTake(count: number): boolean {
    if (this.#left < count) {
      if (!this.#isFull) this.#onFull();
      this.#isFull = true;
      return false;
    }
    this.#left -= count;
    return true;
  }

  giveBack(count: number): void {
    this.#left += count;
    this.#isFull = false;
  }

  get left(): number {
    return this.#left;
  }
}

/** Three quarters of what the process may open; the rest is for API connections, the store and Pods' logs. */
export function defaultFdLimit(): number {
  return Math.floor(openFilesLimit() * 0.75);
}

// Node raises its soft limit to the hard one when it starts, and offers no other way to ask for it.
function openFilesLimit(): number {
  const text = readFileSync("/proc/self/limits", "utf8");
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  if (soft === undefined) throw new Error("/proc/self/limits has no line 'Max open files'");
  return soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft);
}
