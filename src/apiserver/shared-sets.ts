import type { ManagedFieldsEntry } from "../api/machinery/apply/owners.ts";

/**
 * Thousands of objects that one controller made have one set of owned fields. Each such set is kept once: as
 * objects of JavaScript it takes three times the space of its text, and more than a small Service does.
 * Sets never change, so nothing but memory tells that they are shared.
 */
const MAX_SETS = 1024;
/** In characters. Bigger sets are rarely the same, and together they bound what is kept for nothing. */
const MAX_TEXT = 4096;

const byText = new Map<string, object>();
const shared = new WeakSet<object>();

/** The entries with their sets replaced by those that are kept already. */
export function withSharedSets(
  entries: readonly ManagedFieldsEntry[],
): readonly ManagedFieldsEntry[] {
  return entries.map((entry) => {
    const { fieldsV1 } = entry;
    if (typeof fieldsV1 !== "object" || fieldsV1 === null || shared.has(fieldsV1)) return entry;
    return { ...entry, fieldsV1: sharedSet(fieldsV1) };
  });
}

function sharedSet(set: object): object {
  const text = JSON.stringify(set);
  if (text.length > MAX_TEXT) return set;
  const known = byText.get(text);
  if (known !== undefined) return known;
  // Which sets are common shows again soon enough.
  if (byText.size >= MAX_SETS) byText.clear();
  byText.set(text, set);
  shared.add(set);
  return set;
}
