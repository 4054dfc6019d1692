import { isJsonObject, setOwn } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { jsonFieldsOf, resolved } from "./json-fields.ts";
import { decodeScalar } from "./decode-scalar.ts";
import type { Field, MessageType, ScalarType, SchemaType } from "./schema.ts";

/** Upstream tells at most this many strict errors of one body. */
const MAX_UNKNOWN_FIELDS = 100;

export type Decoded =
  | {
      readonly kind: "decoded";
      /** The value in canonical form; it has the static type of the schema as far as decoding can see to it. */
      readonly object: JsonObject;
      /** One text for each field that was pruned: `unknown field "spec.ports[0].prt"`. */
      readonly unknownFields: readonly string[];
    }
  | {
      readonly kind: "malformed";
      /** As Go words it: `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`. */
      readonly message: string;
    };

interface Context {
  readonly unknownFields: string[];
  problem: string | undefined;
}

/** Where a value stands, for messages. */
interface Place {
  /** With indices: `spec.ports[0].port`. */
  readonly path: string;
  /** Name of the innermost message and the path without indices: `ServicePort.spec.ports.port`; "" at the root. */
  readonly goField: string;
  readonly goPath: string;
}

/**
 * Checks a parsed JSON value against a schema and brings it into canonical form, as a round trip through
 * upstream's Go types would:
 * fields that are not declared are pruned (unless the message keeps them), null is absence, times are UTC,
 * quantities canonical, and zeros of fields that are neither required nor pointers are dropped.
 * Does not fill in defaults and does not judge values; those are the kind's strategy.
 */
export function decodeObject(schema: MessageType, value: unknown): Decoded {
  const context: Context = { unknownFields: [], problem: undefined };
  const place = { path: "", goField: "", goPath: "" };
  const object = decodeMessage(schema, value, place, context);
  if (context.problem !== undefined) return { kind: "malformed", message: context.problem };
  return { kind: "decoded", object, unknownFields: context.unknownFields };
}

function decodeValue(type: SchemaType, value: unknown, place: Place, context: Context): unknown {
  const actual = resolved(type);
  switch (actual.kind) {
    case "scalar":
      return decodeScalarAt(actual, value, place, context);
    case "list": {
      if (!Array.isArray(value)) return mismatch(value, actual, place, context);
      const { element } = actual;
      return value.map((item: unknown, i) => {
        const itemPlace = { ...place, path: `${place.path}[${String(i)}]` };
        return decodeValue(element, item ?? zeroOf(element), itemPlace, context);
      });
    }
    case "map": {
      if (!isJsonObject(value)) return mismatch(value, actual, place, context);
      const result: Record<string, unknown> = {};
      for (const key of Object.keys(value)) {
        const item = value[key] ?? zeroOf(actual.value);
        const itemPlace = { ...place, path: `${place.path}.${key}` };
        setOwn(result, key, decodeValue(actual.value, item, itemPlace, context));
      }
      return result;
    }
    case "message":
      return decodeMessage(actual, value, place, context);
  }
}

function decodeMessage(
  type: MessageType,
  value: unknown,
  place: Place,
  context: Context,
): JsonObject {
  const result: Record<string, unknown> = {};
  if (!isJsonObject(value)) {
    mismatch(value, type, place, context);
    return result;
  }
  const { fields, preserveUnknown } = jsonFieldsOf(type);
  const goName = type.name.slice(type.name.lastIndexOf(".") + 1);
  for (const key of Object.keys(value)) {
    const given = value[key];
    const field = fields.get(key);
    const path = place.path === "" ? key : `${place.path}.${key}`;
    if (field === undefined) {
      if (preserveUnknown) setOwn(result, key, given);
      else if (context.unknownFields.length < MAX_UNKNOWN_FIELDS) {
        context.unknownFields.push(`unknown field "${path}"`);
      }
      continue;
    }
    if (given === null || given === undefined) continue;
    const goPath = place.goPath === "" ? key : `${place.goPath}.${key}`;
    const at = { path, goPath, goField: `${goName}.${goPath}` };
    const decoded = decodeValue(field.type, given, at, context);
    if (!isDroppedZero(field, decoded)) result[key] = decoded;
  }
  return result;
}

/** Whether Go's `omitempty` would leave the value out. Numbers that readers rely on stay. */
function isDroppedZero(field: Field, value: unknown): boolean {
  if (field.required || field.pointer === true) return false;
  const type = resolved(field.type);
  switch (type.kind) {
    case "scalar":
      if (value === "") return true;
      if (field.present || type.scalar === "json") return false;
      return value === 0 || value === false;
    case "list":
      return !field.present && Array.isArray(value) && value.length === 0;
    case "map":
      return !field.present && isJsonObject(value) && Object.keys(value).length === 0;
    case "message":
      return false;
  }
}

function decodeScalarAt(type: ScalarType, value: unknown, place: Place, context: Context): unknown {
  const scalar = decodeScalar(type.scalar, value);
  switch (scalar.kind) {
    case "value":
      return scalar.value;
    case "malformed":
      context.problem ??= scalar.message;
      return undefined;
    case "mismatch":
      return mismatch(value, type, place, context);
  }
}

function mismatch(value: unknown, type: SchemaType, place: Place, context: Context): undefined {
  const target =
    place.goField === ""
      ? `Go value of type ${goTypeOf(type)}`
      : `Go struct field ${place.goField} of type ${goTypeOf(type)}`;
  context.problem ??= `json: cannot unmarshal ${describe(value, type)} into ${target}`;
  return undefined;
}

function describe(value: unknown, type: SchemaType): string {
  if (typeof value === "number") {
    // Go shows the number where the type is a number too and this one does not fit.
    const isNumeric = type.kind === "scalar" && /^(int|double)/.test(type.scalar);
    return isNumeric ? `number ${String(value)}` : "number";
  }
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  if (value === null || value === undefined) return "null";
  return Array.isArray(value) ? "array" : "object";
}

function goTypeOf(type: SchemaType): string {
  const actual = resolved(type);
  switch (actual.kind) {
    case "list":
      return `[]${goTypeOf(actual.element)}`;
    case "map":
      return `map[string]${goTypeOf(actual.value)}`;
    case "message":
      return actual.name.split(".").slice(-2).join(".");
    case "scalar":
      return GO_TYPES[actual.scalar];
  }
}

const GO_TYPES = {
  string: "string",
  boolean: "bool",
  int32: "int32",
  int64: "int64",
  double: "float64",
  bytes: "[]uint8",
  quantity: "resource.Quantity",
  intOrString: "intstr.IntOrString",
  time: "v1.Time",
  microTime: "v1.MicroTime",
  json: "runtime.RawExtension",
} as const;

/** What null stands for as an element of a list or map, where it cannot be absent. */
function zeroOf(type: SchemaType): unknown {
  const actual = resolved(type);
  switch (actual.kind) {
    case "list":
      return [];
    case "map":
    case "message":
      return {};
    case "scalar":
      return ZEROS[actual.scalar];
  }
}

const ZEROS = {
  string: "",
  boolean: false,
  int32: 0,
  int64: 0,
  double: 0,
  bytes: "",
  quantity: "0",
  intOrString: 0,
  time: null,
  microTime: null,
  json: null,
} as const;
