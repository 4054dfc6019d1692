import type { TableChange } from "../core/proxy/diff.ts";
import type { Frontend } from "../core/proxy/frontend.ts";
import { isLoopback } from "../net/address.ts";
import type { DataPlane, FrontendProblem } from "./data-plane.ts";

/**
 * Two data planes as one: frontends on loopback addresses are served by sockets of this process, as the
 * kernel does not route what comes from there (NP-003), all others by `rest`.
 */
export class SplitPlane implements DataPlane {
  readonly #loopback: DataPlane;
  readonly #rest: DataPlane;

  constructor(planes: { readonly loopback: DataPlane; readonly rest: DataPlane }) {
    this.#loopback = planes.loopback;
    this.#rest = planes.rest;
  }

  async apply(change: TableChange): Promise<readonly FrontendProblem[]> {
    const problems = await Promise.all([
      this.#rest.apply(partOf(change, (frontend) => !isLoopback(frontend.address))),
      this.#loopback.apply(partOf(change, (frontend) => isLoopback(frontend.address))),
    ]);
    return problems.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loopback[Symbol.asyncDispose]();
    await this.#rest[Symbol.asyncDispose]();
  }
}

function partOf(change: TableChange, isIn: (frontend: Frontend) => boolean): TableChange {
  return {
    added: change.added.filter(isIn),
    changed: change.changed.filter(({ after }) => isIn(after)),
    removed: change.removed.filter(isIn),
  };
}
