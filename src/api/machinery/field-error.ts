/** Why a field was refused; texts and order follow upstream's field errors, since kubectl users compare. */
export interface FieldError {
  readonly type:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueNotFound"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueTypeInvalid"
    | "InternalError";
  /** e.g. `spec.ports[0].port`. */
  readonly field: string;
  /** The text after the field, e.g. `Invalid value: 0: must be between 1 and 65535, inclusive`. */
  readonly message: string;
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return {
    type: "FieldValueInvalid",
    field,
    message: `Invalid value: ${formatValue(value)}: ${detail}`,
  };
}

export function required(field: string, detail = ""): FieldError {
  return {
    type: "FieldValueRequired",
    field,
    message: detail === "" ? "Required value" : `Required value: ${detail}`,
  };
}

export function duplicate(field: string, value: unknown): FieldError {
  return {
    type: "FieldValueDuplicate",
    field,
    message: `Duplicate value: ${formatValue(value)}`,
  };
}

export function forbidden(field: string, detail: string): FieldError {
  return { type: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
}

export function notSupported(
  field: string,
  value: unknown,
  supported: readonly string[],
): FieldError {
  const values = supported.map((s) => JSON.stringify(s)).join(", ");
  return {
    type: "FieldValueNotSupported",
    field,
    message: `Unsupported value: ${formatValue(value)}: supported values: ${values}`,
  };
}

export function notFound(field: string, value: unknown): FieldError {
  return { type: "FieldValueNotFound", field, message: `Not found: ${formatValue(value)}` };
}

export function tooLong(field: string, maxBytes: number): FieldError {
  return {
    type: "FieldValueTooLong",
    field,
    message: `Too long: may not be more than ${String(maxBytes)} bytes`,
  };
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  return {
    type: "FieldValueTooMany",
    field,
    message: `Too many: ${String(actual)}: must have at most ${String(max)} items`,
  };
}

/** A list whose Go type upstream names in its messages, e.g. `[]core.IPFamily{"IPv4"}`. */
export interface TypedList {
  readonly goType: string;
  readonly values: readonly string[];
}

/**
 * A value as upstream prints it in a field error (Go's %#v): strings quoted, lists of strings as
 * `[]string{"a", "b"}`; other lists and objects as JSON, since no reader gains from Go's way with them.
 */
function formatValue(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quote(value);
  if (isTextList(value)) return formatList("string", value);
  if (isTypedList(value)) return formatList(value.goType, value.values);
  return shortened(JSON.stringify(value));
}

/** So much of a value is quoted; upstream quotes it whole. Our longest golden text is a tenth of this. */
const MAX_QUOTED = 4096;

function shortened(text: string): string {
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}...`;
}

function quote(text: string): string {
  return JSON.stringify(shortened(text));
}

function formatList(goType: string, values: readonly string[]): string {
  const shown = values.slice(0, MAX_QUOTED).map(quote).join(", ");
  return `[]${goType}{${shortened(shown)}}`;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isTypedList(value: unknown): value is TypedList {
  return typeof value === "object" && value !== null && "goType" in value;
}
