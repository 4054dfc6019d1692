import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { TableChange } from "../core/proxy/diff.ts";
import { frontendKey } from "../core/proxy/frontend.ts";
import type { FrontendKey } from "../core/proxy/frontend.ts";
import type { LiveTable } from "../core/proxy/live-table.ts";
import type { ServicePart } from "../core/proxy/service-part.ts";

/** A Service that does not get an address and port, as another has it (PROXY-014). */
export interface Loss {
  readonly frontend: FrontendKey;
  readonly loser: ObjectKey;
  readonly winner: ObjectKey;
}

/** Which addresses and ports more than one Service claims. */
export class ConflictBook {
  /** By frontend: who has it, and who else wants it. */
  readonly #losers = new Map<FrontendKey, ReadonlyMap<ObjectKey, ObjectKey>>();

  /** Addresses and ports that several Services claim. */
  get size(): number {
    return this.#losers.size;
  }

  /** Looks at all that a change of Services touched. @returns what is new. */
  update(
    table: Pick<LiveTable, "claims">,
    parts: readonly ServicePart[],
    change: TableChange,
  ): readonly Loss[] {
    const touched = new Set<FrontendKey>();
    for (const part of parts) {
      for (const frontend of part.frontends) touched.add(frontendKey(frontend));
    }
    for (const frontend of change.removed) touched.add(frontendKey(frontend));
    for (const { after } of change.changed) touched.add(frontendKey(after));
    const losses: Loss[] = [];
    for (const frontend of touched) {
      const [holder, ...others] = table.claims(frontend);
      const before = this.#losers.get(frontend);
      if (holder === undefined || others.length === 0) {
        this.#losers.delete(frontend);
        continue;
      }
      const winner = holder.target.service;
      const now = new Map(others.map((other) => [other.target.service, winner]));
      this.#losers.set(frontend, now);
      for (const loser of now.keys()) {
        if (before?.get(loser) !== winner) losses.push({ frontend, loser, winner });
      }
    }
    return losses;
  }
}
