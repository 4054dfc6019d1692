import type { Field, LazyType, MessageType, SchemaType } from "./schema.ts";

/** The fields of a message as its JSON form has them: those of inline messages stand among its own. */
export interface JsonFields {
  readonly fields: ReadonlyMap<string, Field>;
  /** Keys that are not declared are kept. */
  readonly preserveUnknown: boolean;
}

// Derived from schemas, which never change, and held only as long as they are: not state, only haste.
const derived = new WeakMap<MessageType, JsonFields>();

export function jsonFieldsOf(type: MessageType): JsonFields {
  const known = derived.get(type);
  if (known !== undefined) return known;
  const fields = new Map<string, Field>();
  let preserveUnknown = type.preserveUnknown ?? false;
  for (const [name, field] of Object.entries(type.fields)) {
    const inner = field.inline === true ? messageOf(field.type) : undefined;
    if (inner === undefined) {
      fields.set(name, field);
      continue;
    }
    const flat = jsonFieldsOf(inner);
    for (const [innerName, innerField] of flat.fields) fields.set(innerName, innerField);
    preserveUnknown ||= flat.preserveUnknown;
  }
  const result = { fields, preserveUnknown };
  derived.set(type, result);
  return result;
}

/** The message that a type is or stands for; undefined for scalars, lists and maps. */
export function messageOf(type: SchemaType): MessageType | undefined {
  if (type.kind === "message") return type;
  return type.kind === "lazy" ? type.resolve() : undefined;
}

/** A type without its laziness. */
export function resolved(type: SchemaType): Exclude<SchemaType, LazyType> {
  return type.kind === "lazy" ? type.resolve() : type;
}
