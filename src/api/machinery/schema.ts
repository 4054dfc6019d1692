/**
 * The schema language in which every served kind is declared once. From a declaration derive: the static
 * type ({@link ValueOf}), strict decoding and pruning, OpenAPI, protobuf, strategic-merge and apply keys.
 * Everything here is plain data, so each use is a walk over it.
 */

export type ScalarName =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "double"
  /** base64 text in JSON, raw bytes in protobuf. */
  | "bytes"
  | "quantity"
  /** A number or a name, as `targetPort`. */
  | "intOrString"
  /** RFC 3339 with seconds (metav1.Time). */
  | "time"
  /** RFC 3339 with microseconds (metav1.MicroTime). */
  | "microTime"
  /** Any JSON value, kept as it is (runtime.RawExtension, FieldsV1). */
  | "json";

export interface ScalarType<T = unknown> {
  readonly kind: "scalar";
  readonly scalar: ScalarName;
  /** Never set: carries the static type. */
  readonly _value?: T;
}

export interface ListType<E extends SchemaType = SchemaType> {
  readonly kind: "list";
  readonly element: E;
  /** How server-side apply treats the list (`x-kubernetes-list-type`). */
  readonly listType: "atomic" | "set" | "map";
  /** Keys of a `map` list in server-side apply (`x-kubernetes-list-map-keys`). */
  readonly mapKeys?: readonly string[];
  /** Key by which strategic merge merges elements; `""` merges scalars as a set; absent replaces. */
  readonly mergeKey?: string;
}

export interface MapType<V extends SchemaType = SchemaType> {
  readonly kind: "map";
  readonly value: V;
  /** `atomic` maps are replaced whole by server-side apply (`x-kubernetes-map-type`). */
  readonly mapType: "granular" | "atomic";
}

export interface MessageType<F extends Fields = Fields> {
  readonly kind: "message";
  /** Name as in OpenAPI, e.g. `io.k8s.api.core.v1.ServiceSpec`. */
  readonly name: string;
  readonly description: string;
  readonly fields: F;
  /** The whole object is one value in server-side apply (`x-kubernetes-map-type: atomic`). */
  readonly atomic?: boolean;
  /** Fields not declared are kept instead of pruned. */
  readonly preserveUnknown?: boolean;
}

/** A message named later, for types that contain themselves. */
export interface LazyType {
  readonly kind: "lazy";
  readonly resolve: () => MessageType;
}

export type SchemaType = ScalarType | ListType | MapType | MessageType | LazyType;

export interface Field<T extends SchemaType = SchemaType, P extends boolean = boolean> {
  /** Field number in the protobuf form of the API. */
  readonly tag: number;
  readonly type: T;
  /** In the static type the field is never undefined: the server sees to it. */
  readonly present: P;
  /** Listed as `required` in OpenAPI. */
  readonly required: boolean;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  /** In protobuf a message of its own whose fields JSON lists directly in the parent (Go embedding). */
  readonly inline?: boolean;
  /**
   * An explicit zero value ("", 0, false, []) means something else than absence: a pointer in the Go type.
   * Zeros of other fields that are not `required` are dropped by decoding, as Go's `omitempty` does.
   */
  readonly pointer?: boolean;
  /** Strategic merge: `retainKeys` clears keys that the patch does not name (volumes, deployment strategy). */
  readonly retainKeys?: boolean;
}

export type Fields = Readonly<Record<string, Field>>;

type PresentKeys<F extends Fields> = {
  [K in keyof F]: F[K]["present"] extends true ? K : never;
}[keyof F];

type InlineKeys<F extends Fields> = {
  [K in keyof F]: F[K]["inline"] extends true ? K : never;
}[keyof F];

type Intersection<U> = (U extends unknown ? (part: U) => void : never) extends (
  part: infer I,
) => void
  ? I
  : never;

/** What the messages of inlined fields put into their parent. */
type InlinedOf<F extends Fields> = [InlineKeys<F>] extends [never]
  ? unknown
  : Intersection<ValueOf<F[InlineKeys<F>]["type"]>>;

type ObjectOf<F extends Fields> = {
  readonly [K in Exclude<PresentKeys<F>, InlineKeys<F>>]: ValueOf<F[K]["type"]>;
} & {
  readonly [K in Exclude<keyof F, PresentKeys<F> | InlineKeys<F>>]?:
    | ValueOf<F[K]["type"]>
    | undefined;
} & InlinedOf<F>;

/** The static type of the JSON form of a schema type. */
export type ValueOf<T> =
  T extends ScalarType<infer V>
    ? V
    : T extends ListType<infer E>
      ? readonly ValueOf<E>[]
      : T extends MapType<infer V>
        ? Readonly<Record<string, ValueOf<V>>>
        : T extends MessageType<infer F>
          ? ObjectOf<F>
          : unknown;

export const string: ScalarType<string> = { kind: "scalar", scalar: "string" };
export const boolean: ScalarType<boolean> = { kind: "scalar", scalar: "boolean" };
export const int32: ScalarType<number> = { kind: "scalar", scalar: "int32" };
export const int64: ScalarType<number> = { kind: "scalar", scalar: "int64" };
export const double: ScalarType<number> = { kind: "scalar", scalar: "double" };
export const bytes: ScalarType<string> = { kind: "scalar", scalar: "bytes" };
export const quantity: ScalarType<string | number> = { kind: "scalar", scalar: "quantity" };
export const intOrString: ScalarType<string | number> = { kind: "scalar", scalar: "intOrString" };
export const time: ScalarType<string> = { kind: "scalar", scalar: "time" };
export const microTime: ScalarType<string> = { kind: "scalar", scalar: "microTime" };
export const json: ScalarType<unknown> = { kind: "scalar", scalar: "json" };

/** Narrows a string scalar to a closed set in the static type; validation still checks at run time. */
export function stringOf<const V extends readonly string[]>(_values: V): ScalarType<V[number]> {
  return { kind: "scalar", scalar: "string" };
}

export function list<E extends SchemaType>(
  element: E,
  options: {
    listType?: "atomic" | "set" | "map";
    mapKeys?: readonly string[];
    mergeKey?: string;
  } = {},
): ListType<E> {
  return { kind: "list", element, listType: "atomic", ...options };
}

export function map<V extends SchemaType>(
  value: V,
  mapType: "granular" | "atomic" = "granular",
): MapType<V> {
  return { kind: "map", value, mapType };
}

export function message<F extends Fields>(
  name: string,
  description: string,
  fields: F,
  options: { atomic?: boolean; preserveUnknown?: boolean } = {},
): MessageType<F> {
  return { kind: "message", name, description, fields, ...options };
}

export function lazy(resolve: () => MessageType): LazyType {
  return { kind: "lazy", resolve };
}

export interface FieldOptions {
  readonly required?: boolean;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly inline?: boolean;
  readonly pointer?: boolean;
  readonly retainKeys?: boolean;
}

/** A field that may be absent. */
export function field<T extends SchemaType>(
  tag: number,
  type: T,
  options: FieldOptions = {},
): Field<T, false> {
  return { tag, type, present: false, required: false, ...options };
}

/** A field that every object read from the API has. */
export function present<T extends SchemaType>(
  tag: number,
  type: T,
  options: FieldOptions = {},
): Field<T, true> {
  return { tag, type, present: true, required: false, ...options };
}

/**
 * A message that JSON lists directly in the parent, and protobuf as a sub-message with this tag. The name of
 * the field is ours alone: it appears neither in JSON nor in OpenAPI.
 */
export function inline<T extends MessageType>(
  tag: number,
  type: T,
): Field<T, false> & { readonly inline: true } {
  return { tag, type, present: false, required: false, inline: true };
}
