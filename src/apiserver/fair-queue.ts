export interface FairQueueBounds {
  /** Turns at once. */
  readonly running: number;
  /** Of these, for one user. */
  readonly runningPerUser: number;
  /** Waiting ones of one user; more are refused. */
  readonly waitingPerUser: number;
  /** Waiting ones of all users; more are refused. */
  readonly waiting: number;
}

interface UserTurns<T> {
  running: number;
  readonly waiting: T[];
}

/**
 * Gives turns to what users want to do, so that who wants much makes only himself wait: a free turn goes to
 * the waiting user who has the fewest, and among those to the one who was served longest ago. Each user's own
 * go in order. Nothing here waits or knows a clock; `T` is whatever stands for one that waits.
 */
export class FairQueue<T> {
  readonly #bounds: FairQueueBounds;
  /** Users with something running or waiting. */
  readonly #users = new Map<string, UserTurns<T>>();
  /** Users with something waiting; who was served goes to the end. */
  readonly #queue = new Set<string>();
  #running = 0;
  #waiting = 0;

  constructor(bounds: FairQueueBounds) {
    this.#bounds = bounds;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Asks for a turn: it begins now, or when {@link leave} hands the ticket out, or is refused. */
  enter(user: string, ticket: () => T): { readonly kind: "now" | "refused" } | Waiting<T> {
    const turns = this.#users.get(user) ?? { running: 0, waiting: [] };
    if (this.#hasRoom(turns) && turns.waiting.length === 0) {
      this.#users.set(user, turns);
      this.#start(turns);
      return { kind: "now" };
    }
    const { waitingPerUser, waiting } = this.#bounds;
    if (turns.waiting.length >= waitingPerUser || this.#waiting >= waiting) {
      return { kind: "refused" };
    }
    const made = ticket();
    this.#users.set(user, turns);
    turns.waiting.push(made);
    this.#waiting++;
    this.#queue.add(user);
    return { kind: "waiting", ticket: made };
  }

  /** A turn of the user is over. @returns the ticket whose turn begins now, if any waits. */
  leave(user: string): T | undefined {
    const turns = this.#users.get(user);
    if (turns === undefined || turns.running === 0) {
      throw new Error(`user ${JSON.stringify(user)} leaves a turn that it does not have`);
    }
    turns.running--;
    this.#running--;
    this.#forget(user, turns);
    return this.#next();
  }

  /** One that waits gives up. @returns whether it still waited. */
  withdraw(user: string, ticket: T): boolean {
    const turns = this.#users.get(user);
    const at = turns?.waiting.indexOf(ticket) ?? -1;
    if (turns === undefined || at === -1) return false;
    turns.waiting.splice(at, 1);
    this.#waiting--;
    if (turns.waiting.length === 0) this.#queue.delete(user);
    this.#forget(user, turns);
    return true;
  }

  #next(): T | undefined {
    let chosen: { readonly user: string; readonly turns: UserTurns<T> } | undefined;
    for (const user of this.#queue) {
      const turns = this.#users.get(user);
      if (turns === undefined || !this.#hasRoom(turns)) continue;
      if (chosen === undefined || turns.running < chosen.turns.running) chosen = { user, turns };
    }
    if (chosen === undefined) return undefined;
    const { user, turns } = chosen;
    const ticket = turns.waiting.shift();
    this.#waiting--;
    this.#queue.delete(user);
    if (turns.waiting.length > 0) this.#queue.add(user);
    this.#start(turns);
    return ticket;
  }

  #hasRoom({ running }: UserTurns<T>): boolean {
    return this.#running < this.#bounds.running && running < this.#bounds.runningPerUser;
  }

  #start(turns: UserTurns<T>): void {
    turns.running++;
    this.#running++;
  }

  #forget(user: string, { running, waiting }: UserTurns<T>): void {
    if (running === 0 && waiting.length === 0) this.#users.delete(user);
  }
}

export interface Waiting<T> {
  readonly kind: "waiting";
  readonly ticket: T;
}
