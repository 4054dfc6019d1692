import type { ObjectMeta } from "../metadata.ts";
import { parseFieldsV1 } from "./path-element.ts";
import { sortedSet, union } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";

export type ManagedFieldsEntry = NonNullable<ObjectMeta["managedFields"]>[number];

/** Who set which fields, by which operation: an entry of `metadata.managedFields`. */
export interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** "" for the object itself. */
  readonly subresource: string;
  /** RFC 3339, seconds. */
  readonly time: string | undefined;
  readonly fields: PathSet;
}

/** Longest names, as upstream bounds them. */
const MAX_MANAGER = 128;
const MAX_SUBRESOURCE = 256;

/** Entries of one identity are one: an applier is itself in whatever version it applies. */
export function isSameOwner(a: Owner, b: Omit<Owner, "time" | "fields">): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === "Apply" || a.apiVersion === b.apiVersion)
  );
}

/** Reads what this server stored. */
export function storedOwners(entries: readonly ManagedFieldsEntry[] = []): readonly Owner[] {
  return entries.map((entry) => ({
    ...identityOf(entry),
    // Written by encodeOwners: fieldsV1 is the set itself.
    fields: (entry.fieldsV1 ?? {}) as PathSet,
  }));
}

/**
 * Reads what a client sent.
 * @returns undefined when it is not something that a server could have given out.
 */
export function readOwners(entries: readonly ManagedFieldsEntry[]): readonly Owner[] | undefined {
  const owners: Owner[] = [];
  for (const entry of entries) {
    const { operation, apiVersion = "", fieldsType, manager = "", subresource = "" } = entry;
    if (manager.length > MAX_MANAGER || subresource.length > MAX_SUBRESOURCE) return undefined;
    const fields = parseFieldsV1(entry.fieldsV1 ?? {});
    if (operation !== "Apply" && operation !== "Update") return undefined;
    if (apiVersion === "" || fieldsType !== "FieldsV1" || fields === undefined) return undefined;
    const owner = { ...identityOf(entry), fields };
    const twin = owners.findIndex((one) => isSameOwner(one, owner));
    if (twin === -1) owners.push(owner);
    else owners[twin] = owner;
  }
  return owners;
}

function identityOf(entry: ManagedFieldsEntry): Omit<Owner, "fields"> {
  return {
    manager: entry.manager ?? "",
    operation: entry.operation === "Apply" ? "Apply" : "Update",
    apiVersion: entry.apiVersion ?? "",
    subresource: entry.subresource ?? "",
    time: entry.time,
  };
}

/** Appliers first, then by time; undefined when there are none. */
export function encodeOwners(owners: readonly Owner[]): readonly ManagedFieldsEntry[] | undefined {
  if (owners.length === 0) return undefined;
  return owners.toSorted(byOperationAndTime).map((owner) => ({
    ...(owner.manager === "" ? {} : { manager: owner.manager }),
    operation: owner.operation,
    apiVersion: owner.apiVersion,
    ...(owner.time === undefined ? {} : { time: owner.time }),
    fieldsType: "FieldsV1",
    fieldsV1: sortedSet(owner.fields),
    ...(owner.subresource === "" ? {} : { subresource: owner.subresource }),
  }));
}

function byOperationAndTime(a: Owner, b: Owner): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time ?? "", b.time ?? "") ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** How many updaters an object remembers one by one (upstream `DefaultMaxUpdateManagers`). */
const MAX_UPDATERS = 10;
const ANCIENT = "ancient-changes";

/** Joins the oldest updaters into one when there are too many; appliers stay. */
export function capUpdaters(owners: readonly Owner[]): readonly Owner[] {
  const updaters = owners.filter(({ operation }) => operation === "Update");
  if (updaters.length <= MAX_UPDATERS) return owners;
  // One more than is over, since the joined entry counts too.
  // What was joined before is older than all else, even if it has the time of a later write.
  const rank = ({ manager }: Owner) => (manager === ANCIENT ? 0 : 1);
  const oldest = updaters
    .toSorted((a, b) => rank(a) - rank(b) || byOperationAndTime(a, b))
    .slice(0, updaters.length - MAX_UPDATERS + 1);
  const rest = owners.filter((owner) => !oldest.includes(owner));
  const joined = new Map<string, Owner>();
  for (const { apiVersion, fields, time } of oldest) {
    const before = joined.get(apiVersion);
    joined.set(apiVersion, {
      manager: ANCIENT,
      operation: "Update",
      apiVersion,
      subresource: "",
      time,
      fields: before === undefined ? fields : union(before.fields, fields),
    });
  }
  return [...joined.values(), ...rest];
}
