import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { ObjectEvent } from "./exchange.ts";
import type { Selection } from "./list.ts";
import { bookmarkMetadata } from "./representation.ts";
import { changeOf } from "./watch-change.ts";
import type { EventWriter } from "./watch.ts";

/** Events for a caller in this process: with the very objects that the server holds. */
export function objectWriter(
  kind: KindDefinition,
  selection: Selection,
): EventWriter<readonly ObjectEvent[]> {
  return {
    *initial(items) {
      const { matches } = selection;
      const wanted = matches === undefined ? items : items.filter(matches);
      if (wanted.length === 0) return;
      yield wanted.map(({ object }): ObjectEvent => ({ type: "ADDED", object }));
    },
    changes(events) {
      const own: ObjectEvent[] = [];
      for (const event of events) {
        const change = changeOf(event, selection);
        if (change !== undefined) own.push({ type: change.type, object: change.item().object });
      }
      return own.length === 0 ? undefined : own;
    },
    bookmark: (revision, isInitialEnd) => {
      const metadata = bookmarkMetadata(revision, isInitialEnd);
      const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata };
      return [{ type: "BOOKMARK", object }];
    },
    error: (status) => [{ type: "ERROR", object: status }],
  };
}
