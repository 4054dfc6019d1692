import { compareFrontends, frontendKey, sameFrontend } from "./frontend.ts";
import type { Frontend } from "./frontend.ts";

/** What makes one set of frontends into another; each list in table order. */
export interface TableChange {
  readonly added: readonly Frontend[];
  readonly changed: readonly { readonly before: Frontend; readonly after: Frontend }[];
  readonly removed: readonly Frontend[];
}

export const NO_CHANGE: TableChange = { added: [], changed: [], removed: [] };

export function isNoChange(change: TableChange): boolean {
  return change.added.length + change.changed.length + change.removed.length === 0;
}

/** Both lists in table order, as `ForwardingTable.frontends` is. */
export function diffFrontends(
  before: readonly Frontend[],
  after: readonly Frontend[],
): TableChange {
  const added: Frontend[] = [];
  const changed: { before: Frontend; after: Frontend }[] = [];
  const removed: Frontend[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const old = before[i];
    const now = after[j];
    if (old === undefined && now === undefined) return { added, changed, removed };
    const order = old === undefined ? 1 : now === undefined ? -1 : compareFrontends(old, now);
    if (old !== undefined && order < 0) removed.push(old);
    else if (now !== undefined && order > 0) added.push(now);
    else if (old !== undefined && now !== undefined && !sameFrontend(old, now)) {
      changed.push({ before: old, after: now });
    }
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
}

/** `applyChange(before, diffFrontends(before, after))` is `after`. */
export function applyChange(before: readonly Frontend[], change: TableChange): readonly Frontend[] {
  const gone = new Set(
    [...change.removed, ...change.changed.map((each) => each.before)].map(frontendKey),
  );
  return [
    ...before.filter((frontend) => !gone.has(frontendKey(frontend))),
    ...change.added,
    ...change.changed.map((each) => each.after),
  ].sort(compareFrontends);
}
