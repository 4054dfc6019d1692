import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { compareClaims, compareFrontends, frontendKey, sameFrontend } from "./frontend.ts";
import type { Frontend, FrontendKey } from "./frontend.ts";
import type { TableChange } from "./diff.ts";
import type { ProxyNode, ServicePart } from "./service-part.ts";
import { mergeParts } from "./table.ts";
import type { ForwardingTable } from "./table.ts";

/**
 * A table that takes one Service at a time and says what that changes, at a cost that depends on that
 * Service alone. Always equal to {@link mergeParts} of the parts put last for each Service.
 */
export class LiveTable {
  readonly #parts = new Map<ObjectKey, ServicePart>();
  /** Every claim of an address and port, best first: the first one has it. */
  readonly #claims = new Map<FrontendKey, readonly Frontend[]>();

  /**
   * Replaces what each of the Services contributed (a part without frontends removes it), at most one part a
   * Service, and says what all of it together changes.
   */
  put(parts: readonly ServicePart[]): TableChange {
    const before = new Map<FrontendKey, Frontend | undefined>();
    for (const part of parts) {
      const claims = new Map<FrontendKey, Frontend | undefined>();
      for (const old of this.#parts.get(part.service)?.frontends ?? []) {
        claims.set(frontendKey(old), undefined);
      }
      for (const frontend of part.frontends) claims.set(frontendKey(frontend), frontend);
      for (const [key, claim] of claims) {
        if (!before.has(key)) before.set(key, this.get(key));
        this.#claim(key, part.service, claim);
      }
      if (part.frontends.length === 0 && part.healthCheck === undefined) {
        this.#parts.delete(part.service);
      } else this.#parts.set(part.service, part);
    }
    const added: Frontend[] = [];
    const changed: { before: Frontend; after: Frontend }[] = [];
    const removed: Frontend[] = [];
    for (const [key, old] of before) {
      const now = this.get(key);
      if (old === undefined && now !== undefined) added.push(now);
      else if (old !== undefined && now === undefined) removed.push(old);
      else if (old !== undefined && now !== undefined && !sameFrontend(old, now)) {
        changed.push({ before: old, after: now });
      }
    }
    return {
      added: added.sort(compareFrontends),
      changed: changed.sort((a, b) => compareFrontends(a.after, b.after)),
      removed: removed.sort(compareFrontends),
    };
  }

  get(key: FrontendKey): Frontend | undefined {
    return this.#claims.get(key)?.[0];
  }

  /** Who claims an address and port, the one that has it first. */
  claims(key: FrontendKey): readonly Frontend[] {
    return this.#claims.get(key) ?? [];
  }

  part(service: ObjectKey): ServicePart | undefined {
    return this.#parts.get(service);
  }

  /** Every Service that contributes something, in no order. */
  services(): readonly ObjectKey[] {
    return [...this.#parts.keys()];
  }

  /** The whole table as data. Costs as much as the table is large. */
  snapshot(node: ProxyNode): ForwardingTable {
    return mergeParts(this.#parts.values(), node);
  }

  #claim(key: FrontendKey, service: ObjectKey, claim: Frontend | undefined): void {
    const others = (this.#claims.get(key) ?? []).filter((each) => each.target.service !== service);
    const claims = claim === undefined ? others : [...others, claim].sort(compareClaims);
    if (claims.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, claims);
  }
}
