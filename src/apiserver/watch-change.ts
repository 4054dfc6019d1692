import type { CacheEvent } from "./kind-cache.ts";
import type { Selection } from "./list.ts";
import { deletedAt } from "./stored.ts";
import type { Served } from "./stored.ts";

/** What one change is to a watcher. */
export interface WatchChange {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** The object that the event carries. */
  readonly item: () => Served;
}

/** Objects come into and go out of a watcher's selection; undefined: it has not to do with this change. */
export function changeOf(event: CacheEvent, selection: Selection): WatchChange | undefined {
  const { before, after } = event;
  const was = isIn(before, selection);
  if (after !== undefined && isIn(after, selection)) {
    return { type: was ? "MODIFIED" : "ADDED", item: () => after };
  }
  if (before === undefined || !was) return undefined;
  return { type: "DELETED", item: () => deletedAt(before, event.revision) };
}

function isIn(item: Served | undefined, { prefix, matches }: Selection): boolean {
  return item !== undefined && item.key.startsWith(prefix) && matches?.(item) !== false;
}
