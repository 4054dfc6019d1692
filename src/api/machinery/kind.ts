import type { Decoded } from "./decode.ts";
import type { FieldError } from "./field-error.ts";
import type { JsonObject } from "./json.ts";
import type { KubernetesObject } from "./metadata.ts";
import type { MessageType } from "./schema.ts";

/** What a table shows of an object in one column; null: nothing. */
export type Cell = string | number | boolean | null;

/** A column of `kubectl get`, with the cell it shows for an object. */
export interface Column<T> {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** `name` marks the column that kubectl prefixes with the kind. */
  readonly format?: string;
  readonly description: string;
  /** 0 is always shown, others only with `-o wide`. */
  readonly priority: number;
  /** `nowMs` is the time of the request, in epoch milliseconds, for ages. */
  cell(object: T, nowMs: number): Cell;
}

export interface SelectableField<T> {
  /** e.g. `spec.nodeName`. */
  readonly path: string;
  /** The text that a selector's value is compared with; "" where the field is not set. */
  value(object: T): string;
}

/**
 * What a kind adds to the general verbs. Every method is pure and returns a new object. Order on create:
 * decode, `defaults`, allocation, `prepareForCreate`, `validateCreate`, store; on update likewise with `old`.
 */
export interface Strategy<T extends KubernetesObject> {
  /** Fills in static defaults; applied to every decoded body, and on read of what is stored. */
  defaults(object: T): T;
  /** Derives, on read of what is stored, what an older version did not store (SVC-010). */
  completeStored?(object: T): T;
  /** Clears what a create may not set (status), sets what the server owns. */
  prepareForCreate(object: T): T;
  /** Clears what an update of the main resource may not change; wipes fields that the new type lacks. */
  prepareForUpdate(object: T, old: T): T;
  /** Keeps all but the status (and metadata, where the kind lets /status change it). Absent: no /status. */
  prepareForStatusUpdate?(object: T, old: T): T;
  /** Called after general metadata validation. */
  validateCreate(object: T): readonly FieldError[];
  validateUpdate(object: T, old: T): readonly FieldError[];
  validateStatusUpdate?(object: T, old: T): readonly FieldError[];
  /** Texts for `Warning: 299` headers; never an error. */
  warnings?(object: T, old?: T): readonly string[];
  /** Validates metadata.name: problems in upstream's wording, empty when fine. */
  nameProblems(name: string, isPrefix: boolean): readonly string[];
  /**
   * Finalizers need no domain: what upstream asks of its own kinds it does not ask of custom resources and
   * their definitions.
   */
  readonly plainFinalizers?: boolean;
  /** PUT to a missing name creates it. */
  readonly createOnUpdate: boolean;
  /** PUT without resourceVersion is accepted. */
  readonly unconditionalUpdate: boolean;
  /** metadata.generation: absent, bumped when `spec` changes, or when anything but status changes. */
  readonly generation: "none" | "spec" | "content";
  /**
   * A deletion that names no policy leaves the dependents alone, as the two oldest kinds with dependents still do
   * (upstream `DefaultGarbageCollectionPolicy`); all others' dependents go.
   */
  readonly orphansByDefault?: boolean;
  /** Seconds of grace on delete when the caller names none; undefined means deleted at once. */
  deleteGraceSeconds?(object: T): number | undefined;
}

/** The one declaration of a served kind. */
export interface KindDefinition<T extends KubernetesObject = KubernetesObject> {
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly schema: MessageType;
  readonly columns: readonly Column<T>[];
  /** What field selectors may name, beside metadata.name and metadata.namespace. */
  readonly selectableFields: readonly SelectableField<T>[];
  readonly strategy: Strategy<T>;
  /** Where /scale reads and writes; absent: it is not served. */
  readonly scale?: ScalePaths | undefined;
  /** For the `Warning` header of every answer, reads too; absent: the version is not deprecated. */
  readonly deprecation?: string | undefined;
  /** Absent for kinds that are built in. */
  readonly custom?: CustomKind | undefined;
  /** Absent for kinds that are stored as they are. */
  readonly storedAs?: StoredAs | undefined;
}

/** Another served kind, of the same names, whose objects these are by other names of fields. */
export interface StoredAs {
  readonly group: string;
  readonly plural: string;
  toStored(object: KubernetesObject): KubernetesObject;
  fromStored(object: KubernetesObject): KubernetesObject;
}

/** What a kind that was defined at run time (CustomResourceDefinition) does differently. */
export interface CustomKind {
  /**
   * Pruning, defaults and metadata of a body, in place of decoding by `schema`. Nothing but the metadata can be
   * malformed: types are judged by validation.
   */
  decode(value: JsonObject): Decoded;
  /** The schema of the kind in OpenAPI, in place of what follows from `schema`. */
  readonly openApi: () => JsonObject;
  /** The form in which the object is stored: that of the version for storage. */
  toStored(object: KubernetesObject): KubernetesObject;
  /** What is stored, in whatever version, as an object of this version. */
  fromStored(object: KubernetesObject): KubernetesObject;
  readonly isStorageVersion: boolean;
  /** As its lists say. */
  readonly listKind: string;
}

export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  /** Leads to a selector: as text, as an object, or as a plain map of labels. */
  readonly labelSelector: readonly string[] | undefined;
}

/**
 * A kind that can only be created and is not stored: a question whose answer is in the status of what comes
 * back, such as SubjectAccessReview.
 */
export type ReviewKind = Pick<
  KindDefinition,
  "group" | "version" | "kind" | "plural" | "singular" | "namespaced" | "schema"
>;

/** "v1" or "discovery.k8s.io/v1". */
export function apiVersionOf(kind: Pick<KindDefinition, "group" | "version">): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** "services" or "endpointslices.discovery.k8s.io", as in messages. */
export function resourceNameOf(kind: Pick<KindDefinition, "group" | "plural">): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}
