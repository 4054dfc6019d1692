import type { Backend } from "./frontend.ts";
import { noteStep, stepBetween } from "./list-step.ts";
import type { ListChange } from "./list-step.ts";
import { comparePlaces, firstAtOrAfter } from "./place.ts";

/** Beyond so many, moving the rest of the list for each costs more than to merge. */
const MAX_SPLICES = 50;

/**
 * A list with some taken out, some put in, and some in the place of others with the same address and port. Costs a
 * copy of the list, but looks at none of those that stay.
 */
export function changeBackends(
  before: readonly Backend[],
  change: ListChange<Backend>,
): readonly Backend[] {
  const { removed, added, replaced } = change;
  if (removed.length + added.length + replaced.length === 0) return before;
  const after = before.slice();
  if (removed.length + added.length > MAX_SPLICES) {
    const gone = new Set(removed.map((backend) => placeIn(after, backend)));
    const kept = after.filter((_, i) => !gone.has(i));
    const all = [...kept, ...added].sort(comparePlaces);
    for (const backend of replaced) all[placeIn(all, backend)] = backend;
    noteStep(all, before, change);
    return all;
  }
  for (const backend of removed) after.splice(placeIn(after, backend), 1);
  for (const backend of added) after.splice(placeIn(after, backend), 0, backend);
  for (const backend of replaced) after[placeIn(after, backend)] = backend;
  noteStep(after, before, change);
  return after;
}

/**
 * What left and what came, of two lists in table order; replaced is who has the address and port of one that was there,
 * but is on this node now, or no more.
 */
export function diffBackends(
  before: readonly Backend[],
  after: readonly Backend[],
): ListChange<Backend> {
  const removed: Backend[] = [];
  const added: Backend[] = [];
  const replaced: Backend[] = [];
  if (before === after) return { removed, added, replaced };
  const step = stepBetween(before, after);
  if (step !== undefined) return step;
  let i = 0;
  let j = 0;
  for (;;) {
    const old = before[i];
    const now = after[j];
    if (old === undefined && now === undefined) return { removed, added, replaced };
    const order =
      old === now ? 0 : old === undefined ? 1 : now === undefined ? -1 : comparePlaces(old, now);
    if (old !== undefined && order < 0) removed.push(old);
    else if (now !== undefined && order > 0) added.push(now);
    else if (now !== undefined && now.isLocal !== old?.isLocal) replaced.push(now);
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
}

function placeIn(list: readonly Backend[], wanted: Backend): number {
  return firstAtOrAfter(list, (backend) => comparePlaces(backend, wanted));
}
