import { decodeBase64 } from "./base64.ts";
import { getOwn, isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { messageOf, resolved } from "./json-fields.ts";
import type { MessageType, ScalarType, SchemaType } from "./schema.ts";
import { parseTimestamp } from "./time.ts";
import { encodeUtf8 } from "./utf8.ts";
import { WireWriter } from "./wire.ts";

/**
 * Encodes an object that {@link decodeObject} accepted. Only what is present is written, in the order of
 * field numbers; Go's readers take missing fields for zeros. Fields that the schema lacks are left out.
 */
export function encodeProtobuf(schema: MessageType, object: JsonObject): Uint8Array {
  const writer = new WireWriter();
  const fields = Object.entries(schema.fields).filter(([, field]) => field.tag > 0);
  for (const [name, field] of fields.toSorted(([, a], [, b]) => a.tag - b.tag)) {
    const inner = field.inline === true ? messageOf(field.type) : undefined;
    if (inner !== undefined) {
      writer.delimited(field.tag, encodeProtobuf(inner, object));
      continue;
    }
    const value = getOwn(object, name);
    if (value !== undefined && value !== null) encodeField(writer, field.tag, field.type, value);
  }
  return writer.finish();
}

function encodeField(writer: WireWriter, tag: number, type: SchemaType, value: unknown): void {
  const actual = resolved(type);
  switch (actual.kind) {
    case "scalar":
      encodeScalar(writer, tag, actual, value);
      return;
    case "message":
      if (isJsonObject(value)) writer.delimited(tag, encodeProtobuf(actual, value));
      return;
    case "list":
      if (!Array.isArray(value)) return;
      for (const item of value) encodeField(writer, tag, actual.element, item);
      return;
    case "map":
      if (!isJsonObject(value)) return;
      // Go sorts the keys, so that equal objects have equal bytes.
      for (const key of Object.keys(value).toSorted()) {
        const entry = new WireWriter();
        entry.delimited(1, encodeUtf8(key));
        encodeMapValue(entry, actual.value, value[key]);
        writer.delimited(tag, entry.finish());
      }
      return;
  }
}

/** A map has no lists for values; the API wraps them in a message that has nothing else, as ExtraValue. */
function encodeMapValue(entry: WireWriter, type: SchemaType, value: unknown): void {
  if (type.kind !== "list") {
    encodeField(entry, 2, type, value);
    return;
  }
  const items = new WireWriter();
  encodeField(items, 1, type, value);
  entry.delimited(2, items.finish());
}

function encodeScalar(writer: WireWriter, tag: number, type: ScalarType, value: unknown): void {
  switch (type.scalar) {
    case "boolean":
      writer.integer(tag, value === true ? 1 : 0);
      return;
    case "int32":
    case "int64":
      writer.integer(tag, Number(value));
      return;
    case "double":
      writer.double(tag, Number(value));
      return;
    case "string":
      writer.delimited(tag, encodeUtf8(String(value)));
      return;
    case "bytes":
      writer.delimited(tag, decodeBase64(String(value)) ?? new Uint8Array());
      return;
    case "quantity":
      writer.delimited(tag, encodeText(String(value)));
      return;
    case "intOrString":
      writer.delimited(tag, encodeIntOrString(value));
      return;
    case "time":
    case "microTime":
      writer.delimited(tag, encodeTime(type.scalar, String(value)));
      return;
    case "json":
      writer.delimited(tag, encodeText(JSON.stringify(value)));
      return;
  }
}

/** A message whose field 1 is a string or bytes. */
function encodeText(text: string): Uint8Array {
  const writer = new WireWriter();
  writer.delimited(1, encodeUtf8(text));
  return writer.finish();
}

function encodeIntOrString(value: unknown): Uint8Array {
  const writer = new WireWriter();
  const isText = typeof value === "string";
  writer.integer(1, isText ? 1 : 0);
  writer.integer(2, isText ? 0 : Number(value));
  writer.delimited(3, encodeUtf8(isText ? value : ""));
  return writer.finish();
}

function encodeTime(scalar: "time" | "microTime", text: string): Uint8Array {
  const writer = new WireWriter();
  const time = parseTimestamp(text);
  if (time === undefined) return writer.finish();
  writer.integer(1, time.seconds);
  // metav1.Time has whole seconds only.
  writer.integer(2, scalar === "time" ? 0 : time.nanos);
  return writer.finish();
}
