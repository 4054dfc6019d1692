import { formatSince, NAME_COLUMN } from "../machinery/cells.ts";
import type { Column } from "../machinery/kind.ts";
import type { Event } from "./event.ts";

/** The columns of `kubectl get events`. */
export const eventColumns: readonly Column<Event>[] = [
  {
    name: "Last Seen",
    type: "string",
    description: "Time since it last happened.",
    priority: 0,
    cell: (event, nowMs) =>
      formatSince(event.series?.lastObservedTime ?? event.lastTimestamp ?? firstTime(event), nowMs),
  },
  {
    name: "Type",
    type: "string",
    description: "Normal or Warning.",
    priority: 0,
    cell: (event) => event.type ?? "",
  },
  {
    name: "Reason",
    type: "string",
    description: "Why, in one word.",
    priority: 0,
    cell: (event) => event.reason ?? "",
  },
  {
    name: "Object",
    type: "string",
    description: "The object that it happened to.",
    priority: 0,
    cell: ({ involvedObject: { kind = "", name = "" } }) =>
      name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`,
  },
  {
    name: "Subobject",
    type: "string",
    description: "The part of the object that is meant.",
    priority: 1,
    cell: (event) => event.involvedObject.fieldPath ?? "",
  },
  {
    name: "Source",
    type: "string",
    description: "Who reported it.",
    priority: 1,
    cell: formatSource,
  },
  {
    name: "Message",
    type: "string",
    description: "What happened, in a sentence.",
    priority: 0,
    cell: (event) => (event.message ?? "").trim(),
  },
  {
    name: "First Seen",
    type: "string",
    description: "Time since it first happened.",
    priority: 1,
    cell: (event, nowMs) => formatSince(firstTime(event), nowMs),
  },
  {
    name: "Count",
    type: "string",
    description: "How often it happened.",
    priority: 1,
    cell: (event) => event.series?.count ?? (event.count || 1),
  },
  { ...NAME_COLUMN, priority: 1 },
];

function firstTime(event: Event): string | undefined {
  return event.firstTimestamp ?? event.eventTime;
}

function formatSource(event: Event): string {
  const { component = "", host = "" } = event.source ?? {};
  const [who, where] =
    component === "" ? [event.reportingComponent, event.reportingInstance] : [component, host];
  return [who, where].filter((text) => (text ?? "") !== "").join(", ");
}
