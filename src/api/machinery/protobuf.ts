import { encodeBase64 } from "./base64.ts";
import { setOwn } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { messageOf, resolved } from "./json-fields.ts";
import { MAX_JSON_VALUES, parseJson } from "./json-text.ts";
import type { Field, ListType, MessageType, ScalarType, SchemaType } from "./schema.ts";
import { formatMicroTime, formatTime, isWritable } from "./time.ts";
import { decodeUtf8 } from "./utf8.ts";
import { DELIMITED, FIXED64, VARINT, WireError, WireReader } from "./wire.ts";

/** Types that contain themselves may nest at most so deep. */
const MAX_DEPTH = 100;

export type DecodedProtobuf =
  | {
      readonly kind: "decoded";
      /** JSON as Go's types would give it but for zero values, which decodeObject drops where Go omits them. */
      readonly value: JsonObject;
    }
  | { readonly kind: "malformed"; readonly message: string }
  /** More than {@link MAX_JSON_VALUES} fields and items. */
  | { readonly kind: "tooMany" };

/**
 * Decodes a message of the Kubernetes API by its schema. Fields that the schema does not have are skipped.
 * Go writes zeros of fields that are not pointers; they stay in the result, so pass it through decodeObject
 * like any other body.
 */
export function decodeProtobuf(schema: MessageType, bytes: Uint8Array): DecodedProtobuf {
  try {
    return {
      kind: "decoded",
      value: decodeMessage(schema, bytes, { depth: 0, budget: { left: MAX_JSON_VALUES } }),
    };
  } catch (error) {
    if (error instanceof TooManyError) return { kind: "tooMany" };
    if (!(error instanceof WireError)) throw error;
    return { kind: "malformed", message: `proto: ${error.message}` };
  }
}

/** How deep a message lies, and how many fields and items the whole may still have. */
interface Place {
  readonly depth: number;
  readonly budget: { left: number };
}

/** Ends the decoding; never leaves this file. */
class TooManyError extends Error {}

function deeper({ depth, budget }: Place): Place {
  return { depth: depth + 1, budget };
}

function spend({ budget }: Place): void {
  budget.left--;
  if (budget.left < 0) throw new TooManyError("too many fields");
}

interface NamedField {
  readonly name: string;
  readonly field: Field;
}

// Derived from schemas, which never change: not state, only haste.
const byTag = new WeakMap<MessageType, ReadonlyMap<number, NamedField>>();

function fieldsByTag(type: MessageType): ReadonlyMap<number, NamedField> {
  const known = byTag.get(type);
  if (known !== undefined) return known;
  const fields = new Map<number, NamedField>();
  for (const [name, field] of Object.entries(type.fields)) fields.set(field.tag, { name, field });
  byTag.set(type, fields);
  return fields;
}

function decodeMessage(type: MessageType, bytes: Uint8Array, at: Place): Record<string, unknown> {
  if (at.depth > MAX_DEPTH) throw new WireError("exceeded max depth");
  const reader = new WireReader(bytes);
  const fields = fieldsByTag(type);
  const result: Record<string, unknown> = {};
  while (!reader.isAtEnd) {
    spend(at);
    const { field: tag, form } = reader.tag();
    const named = fields.get(tag);
    if (named === undefined) {
      reader.skip(form);
      continue;
    }
    const { name, field } = named;
    const inner = field.inline === true ? messageOf(field.type) : undefined;
    if (inner === undefined) decodeField(result, name, field.type, reader, form, at);
    else {
      expectForm(form, DELIMITED, name);
      Object.assign(result, decodeMessage(inner, reader.delimited(), deeper(at)));
    }
  }
  return result;
}

function decodeField(
  target: Record<string, unknown>,
  name: string,
  type: SchemaType,
  reader: WireReader,
  form: number,
  at: Place,
): void {
  const actual = resolved(type);
  if (actual.kind === "list") {
    const held = target[name];
    const items: unknown[] = Array.isArray(held) ? held : [];
    target[name] = items;
    const element = resolved(actual.element);
    const isNumber = element.kind === "scalar" && formOf(element) !== DELIMITED;
    if (!isNumber || form !== DELIMITED) {
      items.push(decodeValue(element, name, reader, form, at));
      return;
    }
    // Numbers may come packed.
    const packed = new WireReader(reader.delimited());
    while (!packed.isAtEnd) {
      spend(at);
      items.push(decodeScalar(element, packed));
    }
  } else if (actual.kind === "map") {
    expectForm(form, DELIMITED, name);
    const held = target[name];
    // Only this function puts a value there, and it is an object that is ours.
    const entries = (held ?? {}) as Record<string, unknown>;
    target[name] = entries;
    decodeEntry(entries, actual.value, name, reader.delimited(), at);
  } else {
    const value = decodeValue(actual, name, reader, form, at);
    if (value !== undefined) target[name] = value;
  }
}

function decodeEntry(
  entries: Record<string, unknown>,
  valueType: SchemaType,
  name: string,
  bytes: Uint8Array,
  at: Place,
): void {
  const reader = new WireReader(bytes);
  let key = "";
  const holder: Record<string, unknown> = {};
  while (!reader.isAtEnd) {
    spend(at);
    const { field, form } = reader.tag();
    if (field === 1) {
      expectForm(form, DELIMITED, name);
      key = decodeUtf8(reader.delimited());
    } else if (field !== 2) reader.skip(form);
    else if (valueType.kind === "list")
      decodeListMessage(holder, valueType, reader, form, deeper(at));
    else decodeField(holder, "value", valueType, reader, form, deeper(at));
  }
  // null stands for the zero value of the type, which decodeObject knows.
  setOwn(entries, key, holder["value"] ?? null);
}

/** A map has no lists for values; the API wraps them in a message that has nothing else, as ExtraValue. */
function decodeListMessage(
  holder: Record<string, unknown>,
  type: ListType,
  reader: WireReader,
  form: number,
  at: Place,
): void {
  expectForm(form, DELIMITED, "value");
  const items = new WireReader(reader.delimited());
  while (!items.isAtEnd) {
    spend(at);
    const { field, form: itemForm } = items.tag();
    if (field === 1) decodeField(holder, "value", type, items, itemForm, at);
    else items.skip(itemForm);
  }
}

function decodeValue(
  type: Exclude<SchemaType, { kind: "lazy" }>,
  name: string,
  reader: WireReader,
  form: number,
  at: Place,
): unknown {
  if (type.kind === "message") {
    expectForm(form, DELIMITED, name);
    return decodeMessage(type, reader.delimited(), deeper(at));
  }
  // The API has neither lists of lists nor lists or maps of maps.
  if (type.kind !== "scalar") throw new WireError(`field ${name} holds a list of lists`);
  expectForm(form, formOf(type), name);
  return decodeScalar(type, reader);
}

function expectForm(actual: number, expected: number, name: string): void {
  if (actual === expected) return;
  throw new WireError(`wrong wireType = ${String(actual)} for field ${name}`);
}

function formOf(type: ScalarType): number {
  switch (type.scalar) {
    case "boolean":
    case "int32":
    case "int64":
      return VARINT;
    case "double":
      return FIXED64;
    case "string":
    case "bytes":
    case "quantity":
    case "intOrString":
    case "time":
    case "microTime":
    case "json":
      return DELIMITED;
  }
}

/** undefined for a zero time and for a raw value without bytes, which JSON does not show. */
function decodeScalar(type: ScalarType, reader: WireReader): unknown {
  switch (type.scalar) {
    case "boolean":
      return reader.varint() !== 0;
    case "int32":
      return reader.varint() | 0;
    case "int64":
      return reader.varint();
    case "double":
      return reader.double();
    case "string":
      return decodeUtf8(reader.delimited());
    case "bytes":
      return encodeBase64(reader.delimited());
    case "quantity": {
      const { text } = decodeParts(reader.delimited(), { text: 1 });
      return typeof text === "string" && text !== "" ? text : "0";
    }
    case "intOrString": {
      const parts = decodeParts(reader.delimited(), { type: 1, int: 2, text: 3 });
      if (parts["type"] === 1) return typeof parts["text"] === "string" ? parts["text"] : "";
      return typeof parts["int"] === "number" ? parts["int"] | 0 : 0;
    }
    case "time":
    case "microTime":
      return decodeTime(type.scalar, reader.delimited());
    case "json":
      return decodeRaw(reader.delimited());
  }
}

/** A few fields, of which the last one of a number counts; who repeats them more often means harm. */
const MAX_PARTS = 100;

/** A small message of integers and strings. */
function decodeParts<K extends string>(
  bytes: Uint8Array,
  tags: Readonly<Record<K, number>>,
): Partial<Record<K, string | number>> {
  const reader = new WireReader(bytes);
  const parts: Partial<Record<string, string | number>> = {};
  for (let count = 0; !reader.isAtEnd; count++) {
    if (count === MAX_PARTS) throw new WireError("too many fields in a small message");
    const { field, form } = reader.tag();
    const name = Object.keys(tags).find((key) => Reflect.get(tags, key) === field);
    if (name === undefined) reader.skip(form);
    else if (form === VARINT) parts[name] = reader.varint();
    else {
      expectForm(form, DELIMITED, name);
      parts[name] = decodeUtf8(reader.delimited());
    }
  }
  return parts;
}

function decodeTime(scalar: "time" | "microTime", bytes: Uint8Array): string | undefined {
  // The zero time of Go, which is not 1970.
  if (bytes.length === 0) return undefined;
  const parts = decodeParts(bytes, { seconds: 1, nanos: 2 });
  const seconds = Number(parts.seconds ?? 0);
  const nanos = Number(parts.nanos ?? 0);
  if (!isWritable(seconds) || !(nanos >= 0 && nanos < 1e9))
    throw new WireError("time out of range");
  const time = { seconds, nanos };
  return scalar === "time" ? formatTime(time) : formatMicroTime(time);
}

function decodeRaw(bytes: Uint8Array): unknown {
  const { raw } = decodeParts(bytes, { raw: 1 });
  if (typeof raw !== "string" || raw === "") return undefined;
  const parsed = parseJson(raw);
  if (parsed.kind === "malformed") throw new WireError(`raw value is no JSON: ${parsed.message}`);
  if (parsed.kind === "tooMany") throw new WireError("raw value has too many fields");
  return parsed.value;
}
