import { formatAge } from "./age.ts";
import type { Column } from "./kind.ts";
import type { KubernetesObject } from "./metadata.ts";
import { parseTimestamp } from "./time.ts";

/** The first column of every kind. */
export const NAME_COLUMN: Column<KubernetesObject> = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Unique within the namespace and kind.",
  priority: 0,
  cell: (object) => object.metadata.name,
};

/** The last column of almost every kind. */
export const AGE_COLUMN: Column<KubernetesObject> = {
  name: "Age",
  type: "string",
  description: "Time since the object was created.",
  priority: 0,
  cell: (object, nowMs) => formatSince(object.metadata.creationTimestamp, nowMs),
};

/** The age of a point in time, as kubectl prints it; `<unknown>` where there is none. */
export function formatSince(time: string | undefined, nowMs: number): string {
  const timestamp = time === undefined ? undefined : parseTimestamp(time);
  if (timestamp === undefined) return "<unknown>";
  return formatAge(nowMs - timestamp.seconds * 1000 - timestamp.nanos / 1e6);
}

/** `a=1,b=2`, sorted; `<none>` where there are none. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "<none>" : pairs.toSorted().join(",");
}

const MAX_LISTED = 3;

/** The first three texts, and how many more there are; `none` where there are no texts at all. */
export function formatSome(texts: readonly string[], none: string): string {
  if (texts.length === 0) return none;
  const shown = texts.slice(0, MAX_LISTED).join(",");
  const more = texts.length - MAX_LISTED;
  return more > 0 ? `${shown} + ${String(more)} more...` : shown;
}
