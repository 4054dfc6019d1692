import type { ForwardPolicy } from "../core/dns/corefile/forward-directive.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Upstream } from "./upstream.ts";

export interface HealthOptions {
  /** Failed checks after which a server is not asked; 0: never. */
  readonly maxFails: number;
  readonly intervalMs: number;
}

interface State {
  fails: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Which upstream servers are there. Nothing is sent as long as all is well: only a server that failed a
 * question is asked every `intervalMs` until it answers, and left out when it did not for `maxFails` times.
 */
export class UpstreamHealth implements Disposable {
  readonly #options: HealthOptions;
  readonly #check: (upstream: Upstream) => Promise<boolean>;
  readonly #states = new Map<string, State>();
  #isDisposed = false;

  /** @param check asks the server anything; never rejects. */
  constructor(options: HealthOptions, check: (upstream: Upstream) => Promise<boolean>) {
    this.#options = options;
    this.#check = check;
  }

  isDown(upstream: Upstream): boolean {
    const { maxFails } = this.#options;
    return maxFails > 0 && (this.#states.get(idOf(upstream))?.fails ?? 0) >= maxFails;
  }

  /** A question to the server failed: it is looked after until it answers. */
  failed(upstream: Upstream): void {
    if (this.#options.maxFails === 0 || this.#isDisposed) return;
    const state = this.#states.get(idOf(upstream));
    if (state !== undefined) return;
    this.#states.set(idOf(upstream), { fails: 0, timer: undefined });
    this.#schedule(upstream);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const { timer } of this.#states.values()) clearTimeout(timer);
    this.#states.clear();
  }

  #schedule(upstream: Upstream): void {
    const state = this.#states.get(idOf(upstream));
    if (state === undefined || this.#isDisposed) return;
    state.timer = setTimeout(() => {
      // The check promises never to reject.
      void this.#check(upstream).then((isWell) => {
        if (isWell) this.#states.delete(idOf(upstream));
        else {
          state.fails += 1;
          this.#schedule(upstream);
        }
      });
    }, this.#options.intervalMs);
    // Looking after a server is no reason for a program to stay.
    state.timer.unref();
  }
}

function idOf({ address, port }: Upstream): string {
  return formatHostPort(address, port);
}

/** The servers in the order in which they are to be asked. */
export function orderUpstreams(
  upstreams: readonly Upstream[],
  policy: ForwardPolicy,
  turn: number,
  random: () => number,
): readonly Upstream[] {
  if (upstreams.length < 2) return upstreams;
  switch (policy) {
    case "sequential":
    case "parallel":
      return upstreams;
    case "round_robin": {
      const first = turn % upstreams.length;
      return [...upstreams.slice(first), ...upstreams.slice(0, first)];
    }
    case "random": {
      const order = [...upstreams];
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        const [a, b] = [order[i], order[j]];
        if (a !== undefined && b !== undefined) [order[i], order[j]] = [b, a];
      }
      return order;
    }
  }
}
