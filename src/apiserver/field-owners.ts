import { encodeOwners, readOwners, storedOwners } from "../api/machinery/apply/owners.ts";
import type { ManagedFieldsEntry, Owner } from "../api/machinery/apply/owners.ts";
import { recordUpdate } from "../api/machinery/apply/ownership.ts";
import type { Writing } from "../api/machinery/apply/ownership.ts";
import type { PathSet } from "../api/machinery/apply/path-set.ts";
import { fieldElement } from "../api/machinery/apply/path-element.ts";
import { shapeOf } from "../api/machinery/apply/shape.ts";
import { deepEqual } from "../api/machinery/json.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { timestamp } from "./object-identity.ts";
import { withSharedSets } from "./shared-sets.ts";

/** Which part of an object a write may change. */
export type Part = "main" | "status" | "whole";

/** Who comes to own the fields that a write changes. */
export type Ownership =
  /** The named manager. */
  | { readonly kind: "updater"; readonly manager: string }
  /** The object's managedFields say it already: it was applied, or the write is nobody's. */
  | { readonly kind: "recorded" };

/** The writer that a request names, or else the program that sent it (upstream `prefixFromUserAgent`). */
export function managerOf(fieldManager: string, userAgent: string | undefined): string {
  if (fieldManager !== "") return fieldManager;
  const program = (userAgent ?? "").split("/", 1)[0] ?? "";
  const printable = program.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "");
  return printable.slice(0, 128) || "unknown";
}

export function writingOf(
  kind: KindDefinition,
  part: Part,
  manager: string,
  nowMs: number,
): Writing {
  return {
    shape: shapeOf(kind.schema),
    apiVersion: apiVersionOf(kind),
    manager,
    subresource: part === "status" ? "status" : "",
    ignored: unreachedBy(kind, part),
    time: timestamp(nowMs),
  };
}

interface Unreached {
  readonly main: PathSet;
  readonly status: PathSet;
}

// Derived from declarations of kinds, and held only as long as they are: not state, only haste.
const unreached = new WeakMap<KindDefinition, Unreached>();

/** What a write of this part cannot change (upstream `GetResetFields` of each strategy). */
function unreachedBy(kind: KindDefinition, part: Part): PathSet {
  if (part === "whole") return {};
  const known = unreached.get(kind);
  if (known !== undefined) return known[part];
  const content = Object.keys(kind.schema.fields).filter(
    (name) => !["apiVersion", "kind", "metadata", "status"].includes(name),
  );
  const made: Unreached = {
    main: kind.strategy.prepareForStatusUpdate === undefined ? {} : { "f:status": {} },
    status: {
      ...Object.fromEntries(content.map((name) => [fieldElement(name), {}])),
      "f:metadata": { "f:ownerReferences": {} },
    },
  };
  unreached.set(kind, made);
  return made[part];
}

/**
 * The managedFields of an object that is being created as `next`, or changed to it from `old`. Those that the
 * client sends along (`given`) count if they can be read; an empty list is what clients send that do not know them, and changes
 * nothing; a list with one empty entry clears them.
 */
export function managedFieldsOf(
  kind: KindDefinition,
  part: Part,
  next: KubernetesObject,
  old: KubernetesObject | undefined,
  given: readonly ManagedFieldsEntry[] | undefined,
  ownership: Ownership,
  nowMs: number,
): readonly ManagedFieldsEntry[] | undefined {
  if (ownership.kind === "recorded") return given;
  const stored = old?.metadata.managedFields;
  const isGiven = given !== undefined && part !== "status" && !deepEqual(given, stored);
  const owners = isGiven ? ownersSent(given, stored) : storedOwners(stored);
  const writing = writingOf(kind, part, ownership.manager, nowMs);
  const live = old && comparable(kind, part, old);
  const recorded = recordUpdate(writing, live, comparable(kind, part, next), owners);
  return recorded === owners && !isGiven ? stored : managedFieldsFor(recorded);
}

/** The metadata.managedFields that tell of these owners; undefined when there are none. */
export function managedFieldsFor(
  owners: readonly Owner[],
): readonly ManagedFieldsEntry[] | undefined {
  const entries = encodeOwners(owners);
  return entries && withSharedSets(entries);
}

function ownersSent(
  given: readonly ManagedFieldsEntry[],
  stored: readonly ManagedFieldsEntry[] | undefined,
): readonly Owner[] {
  const [first] = given;
  const isReset = given.length === 1 && first !== undefined && Object.keys(first).length === 0;
  if (isReset) return [];
  const read = readOwners(given);
  return read === undefined || read.length === 0 ? storedOwners(stored) : read;
}

/**
 * What comparing needs to see: neither what is nobody's nor what this way of writing does not reach. They would be
 * taken out of the outcome anyway; most of a small object is that.
 */
function comparable(kind: KindDefinition, part: Part, object: KubernetesObject): object {
  const { apiVersion: _type, kind: _kind, metadata: own, ...all } = object;
  const {
    name: _name,
    namespace: _namespace,
    uid: _uid,
    resourceVersion: _version,
    generation: _generation,
    creationTimestamp: _created,
    managedFields: _managed,
    ...metadata
  } = own;
  if (part !== "main" || unreachedBy(kind, part)["f:status"] === undefined)
    return { ...all, metadata };
  // Not every kind has a status, and of those that have it is taken out as any other field.
  const { status: _status, ...content } = all as { readonly status?: unknown };
  return { ...content, metadata };
}

/**
 * Whether a write gives what is there already. The times in managedFields do not count, or no apply and no
 * update would ever change nothing.
 */
export function isUnchanged(object: KubernetesObject, old: KubernetesObject): boolean {
  const { resourceVersion: _, ...metadata } = old.metadata;
  const { managedFields: next, ...others } = object.metadata;
  const { managedFields: before, ...oldOthers } = metadata;
  return (
    deepEqual({ ...object, metadata: others }, { ...old, metadata: oldOthers }) &&
    areSameButTimes(next, before)
  );
}

function areSameButTimes(
  a: readonly ManagedFieldsEntry[] = [],
  b: readonly ManagedFieldsEntry[] = [],
): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  const untimed = (entries: readonly ManagedFieldsEntry[]) =>
    entries.map((entry) => ({ ...entry, time: undefined }));
  // Their order is by time.
  const rest = untimed(b);
  return untimed(a).every((entry) => {
    const at = rest.findIndex((one) => deepEqual(one, entry));
    if (at !== -1) rest.splice(at, 1);
    return at !== -1;
  });
}
