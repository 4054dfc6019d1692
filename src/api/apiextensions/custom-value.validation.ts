import {
  duplicate,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual, getOwn, isJsonObject } from "../machinery/json.ts";
import type { JsonObject } from "../machinery/json.ts";
import { hasFormat } from "./format.ts";
import type { Budget } from "./pattern.ts";
import type { Structural } from "./structural.ts";

/**
 * Steps that the validation of one object may take, patterns included: some hundred milliseconds. Schemas come
 * from whoever may define kinds and objects from anybody; together they must not stop the server.
 */
const MAX_STEPS = 10_000_000;
/** Whoever sends a worse object has enough to mend. */
const MAX_ERRORS = 100;
/** Values deeper than this are not compared with those before them, which costs a walk at every level. */
const MAX_COMPARED_DEPTH = 32;
/** Longer lists and objects are not repeated in messages. */
const MAX_SHOWN = 4096;

interface Context {
  readonly budget: Budget;
  readonly errors: FieldError[];
}

/** A value, where it stands, and what stood there before, if that is known. */
interface Place {
  readonly value: unknown;
  readonly old: unknown;
  /** e.g. `spec.list[0].name`. */
  readonly path: string;
  readonly depth: number;
}

/**
 * Checks a value against a schema, in upstream's wording (kube-openapi `validation/errors`). What is just as it
 * was in `old` is let be, whatever the schema says now (KEP-4008), so that a stricter schema does not lock
 * objects up.
 */
export function validateCustomValue(
  schema: Structural,
  value: unknown,
  options: { readonly old?: unknown; readonly path?: string } = {},
): readonly FieldError[] {
  const context = { budget: { left: MAX_STEPS }, errors: [] };
  validate(schema, { value, old: options.old, path: options.path ?? "", depth: 0 }, context);
  if (context.budget.left >= 0) return context.errors;
  const detail = "too large for its schema: validating it takes too many steps";
  return [...context.errors, invalid(options.path ?? "<nil>", "", detail)];
}

function validate(schema: Structural, place: Place, context: Context): void {
  context.budget.left--;
  if (context.budget.left < 0 || context.errors.length >= MAX_ERRORS) return;
  const { value, old, depth } = place;
  if (old !== undefined && depth < MAX_COMPARED_DEPTH && deepEqual(value, old)) return;
  if (value === null && schema.nullable) return;
  validateType(schema, place, context);
  if (typeof value === "string") validateText(schema, value, place, context);
  else if (typeof value === "number") validateNumber(schema, value, place, context);
  else if (Array.isArray(value)) validateList(schema, value, place, context);
  else if (isJsonObject(value)) validateObject(schema, value, place, context);
  validateEnum(schema, place, context);
  validateCombined(schema, place, context);
}

function tell(context: Context, error: FieldError): void {
  if (context.errors.length < MAX_ERRORS) context.errors.push(error);
}

/** `Invalid value: V: PATH in body SHOULD` */
function tellInvalid(context: Context, { path, value }: Place, should: string): void {
  const isShort = !(typeof value === "object") || JSON.stringify(value).length <= MAX_SHOWN;
  tell(context, invalid(path, isShort ? value : "", `${path} in body ${should}`));
}

/** What stands at a schema's combination is told of no field, as upstream. */
function tellCombined(context: Context, { path }: Place, must: string): void {
  tell(context, invalid("<nil>", "", `${JSON.stringify(path)} must ${must}`));
}

function validateType(schema: Structural, place: Place, context: Context): void {
  const types = schema.intOrString
    ? ["integer", "string"]
    : schema.type === ""
      ? []
      : [schema.type];
  const actual = typeOf(place.value);
  const fits =
    types.length === 0 ||
    types.includes(actual) ||
    (actual === "integer" && types.includes("number"));
  if (fits) return;
  const type = types.join(",");
  tell(context, {
    type: "FieldValueTypeInvalid",
    field: place.path,
    message: `Invalid value: "${actual}": ${place.path} in body must be of type ${type}: "${actual}"`,
  });
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function validateText(schema: Structural, text: string, place: Place, context: Context): void {
  const { maxLength, minLength, pattern: source, format } = schema.rules;
  if (maxLength !== undefined || minLength !== undefined) {
    context.budget.left -= text.length >> 3;
    const length = codePoints(text);
    if (maxLength !== undefined && length > maxLength)
      tell(context, tooLong(place.path, maxLength));
    if (minLength !== undefined && length < minLength) {
      tellInvalid(context, place, `should be at least ${String(minLength)} chars long`);
    }
  }
  const pattern = schema.pattern();
  if (pattern?.test(text, context.budget) === false) {
    tellInvalid(context, place, `should match '${source ?? ""}'`);
  }
  if (format !== undefined && schema.type === "string" && !hasFormat(text, format)) {
    const shown = JSON.stringify(text);
    const message = `Invalid value: ${shown}: ${place.path} in body must be of type ${format}: ${shown}`;
    tell(context, { type: "FieldValueTypeInvalid", field: place.path, message });
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    // The second half of a pair is no character of its own.
    if ((text.codePointAt(i) ?? 0) > 0xffff) i++;
    count++;
  }
  return count;
}

function validateNumber(schema: Structural, value: number, place: Place, context: Context): void {
  const { maximum, exclusiveMaximum, minimum, exclusiveMinimum, multipleOf } = schema.rules;
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    tellInvalid(context, place, `should be a multiple of ${String(multipleOf)}`);
  }
  if (maximum !== undefined) {
    if (exclusiveMaximum === true && value >= maximum) {
      tellInvalid(context, place, `should be less than ${String(maximum)}`);
    } else if (value > maximum) {
      tellInvalid(context, place, `should be less than or equal to ${String(maximum)}`);
    }
  }
  if (minimum !== undefined) {
    if (exclusiveMinimum === true && value <= minimum) {
      tellInvalid(context, place, `should be greater than ${String(minimum)}`);
    } else if (value < minimum) {
      tellInvalid(context, place, `should be greater than or equal to ${String(minimum)}`);
    }
  }
}

function validateList(
  schema: Structural,
  list: readonly unknown[],
  place: Place,
  context: Context,
): void {
  const { maxItems, minItems } = schema.rules;
  const { path, depth } = place;
  if (minItems !== undefined && list.length < minItems) {
    tellInvalid(context, place, `should have at least ${String(minItems)} items`);
  }
  if (maxItems !== undefined && list.length > maxItems) {
    tell(context, tooMany(path, list.length, maxItems));
  }
  // Only items of a map have an identity by which their old state is found.
  const old = schema.listType === "map" && Array.isArray(place.old) ? place.old : [];
  const oldByKey = new Map(old.map((item) => [keyOf(schema, item), item as unknown]));
  const seen = new Set<string>();
  for (const [i, value] of list.entries()) {
    const at = `${path}[${String(i)}]`;
    const key = keyOf(schema, value);
    if (key !== undefined && seen.has(key)) tell(context, duplicate(at, shownKey(schema, value)));
    if (key !== undefined) seen.add(key);
    if (schema.items === undefined) continue;
    const item = { value, old: key === undefined ? undefined : oldByKey.get(key), path: at };
    validate(schema.items, { ...item, depth: depth + 1 }, context);
    if (context.budget.left < 0 || context.errors.length >= MAX_ERRORS) return;
  }
}

/** What makes an item of a set or map the only one of its sort; undefined in other lists. */
function keyOf(schema: Structural, item: unknown): string | undefined {
  switch (schema.listType) {
    case "atomic":
      return undefined;
    case "set":
      return canonical(item);
    case "map":
      return isJsonObject(item) ? canonical(shownKey(schema, item)) : undefined;
  }
}

function shownKey(schema: Structural, item: unknown): unknown {
  if (schema.listType !== "map" || !isJsonObject(item)) return item;
  return Object.fromEntries(schema.mapKeys.map((key) => [key, getOwn(item, key)]));
}

/** Equal values give equal texts, whatever the order of their keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isJsonObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function validateObject(
  schema: Structural,
  object: JsonObject,
  place: Place,
  context: Context,
): void {
  const { maxProperties, minProperties, required: names = [] } = schema.rules;
  const { path, depth } = place;
  const keys = Object.keys(object);
  if (minProperties !== undefined && keys.length < minProperties) {
    tellInvalid(context, place, `should have at least ${String(minProperties)} properties`);
  }
  if (maxProperties !== undefined && keys.length > maxProperties) {
    tell(context, tooMany(path, keys.length, maxProperties));
  }
  const child = (key: string) => (path === "" ? key : `${path}.${key}`);
  for (const name of names) {
    context.budget.left--;
    if (getOwn(object, name) === undefined) tell(context, required(child(name)));
  }
  if (schema.embedded) validateIdentity(object, child, context);
  const old = isJsonObject(place.old) ? place.old : {};
  for (const key of keys) {
    const inner = schema.properties.get(key) ?? schema.additional;
    if (inner === undefined || inner === true || object[key] === undefined) continue;
    const value = { value: object[key], old: getOwn(old, key), path: child(key), depth: depth + 1 };
    validate(inner, value, context);
    if (context.budget.left < 0 || context.errors.length >= MAX_ERRORS) return;
  }
}

/** An object within an object says what it is. */
function validateIdentity(
  object: JsonObject,
  child: (key: string) => string,
  context: Context,
): void {
  for (const key of ["apiVersion", "kind"]) {
    const value = getOwn(object, key);
    if (typeof value !== "string" || value === "") {
      tell(context, required(child(key), "must not be empty"));
    }
  }
}

function validateEnum(schema: Structural, { value, path }: Place, context: Context): void {
  const { enum: values } = schema.rules;
  if (values === undefined || values.length === 0) return;
  context.budget.left -= values.length;
  if (values.some((one) => deepEqual(one, value))) return;
  const texts = values.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  const isShort = !(typeof value === "object") || JSON.stringify(value).length <= MAX_SHOWN;
  tell(context, notSupported(path, isShort ? value : "", texts));
}

function validateCombined(schema: Structural, place: Place, context: Context): void {
  const { allOf, anyOf, oneOf, not } = schema;
  if (allOf.length > 0) {
    const failures = failuresOf(allOf, place, context).filter((errors) => errors.length > 0);
    for (const error of failures.flat()) tell(context, error);
    if (failures.length > 0) tellCombined(context, place, "validate all the schemas (allOf)");
  }
  if (anyOf.length > 0) {
    const failures = failuresOf(anyOf, place, context);
    if (failures.every((errors) => errors.length > 0)) {
      tellCombined(context, place, "validate at least one schema (anyOf)");
      for (const error of nearest(failures)) tell(context, error);
    }
  }
  if (oneOf.length > 0) {
    const failures = failuresOf(oneOf, place, context);
    const valid = failures.filter((errors) => errors.length === 0).length;
    if (valid !== 1) {
      const found = valid === 0 ? "Found none valid" : `Found ${String(valid)} valid alternatives`;
      tellCombined(context, place, `validate one and only one schema (oneOf). ${found}`);
      if (valid === 0) for (const error of nearest(failures)) tell(context, error);
    }
  }
  if (not !== undefined && failuresOf([not], place, context)[0]?.length === 0) {
    tellCombined(context, place, "not validate the schema (not)");
  }
}

function failuresOf(
  schemas: readonly Structural[],
  place: Place,
  { budget }: Context,
): readonly (readonly FieldError[])[] {
  return schemas.map((schema) => {
    const errors: FieldError[] = [];
    // Whether an alternative holds is a matter of the value alone, not of what it was before.
    validate(schema, { ...place, old: undefined }, { budget, errors });
    return errors;
  });
}

/** The errors of the alternative that was missed by least. */
function nearest(failures: readonly (readonly FieldError[])[]): readonly FieldError[] {
  return failures.reduce((best, errors) => (errors.length < best.length ? errors : best));
}
