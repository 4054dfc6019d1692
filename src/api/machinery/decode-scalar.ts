import { parseQuantity } from "./quantity.ts";
import type { ScalarName } from "./schema.ts";
import { formatMicroTime, formatTime, parseTimestamp } from "./time.ts";

const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);

export type DecodedScalar =
  | { readonly kind: "value"; readonly value: unknown }
  /** The JSON type is wrong; the caller knows the place and words the message. */
  | { readonly kind: "mismatch" }
  /** The JSON type is right, the text is not. */
  | { readonly kind: "malformed"; readonly message: string };

const MISMATCH: DecodedScalar = { kind: "mismatch" };

/** Checks one scalar and gives its canonical form. */
export function decodeScalar(scalar: ScalarName, value: unknown): DecodedScalar {
  switch (scalar) {
    case "string":
      return typeof value === "string" ? { kind: "value", value: wellFormed(value) } : MISMATCH;
    case "boolean":
      return typeof value === "boolean" ? { kind: "value", value } : MISMATCH;
    case "int32":
      return isInt32(value) ? { kind: "value", value } : MISMATCH;
    case "int64":
      return Number.isInteger(value) ? { kind: "value", value } : MISMATCH;
    case "double":
      return typeof value === "number" ? { kind: "value", value } : MISMATCH;
    case "intOrString":
      return typeof value === "string" || isInt32(value) ? { kind: "value", value } : MISMATCH;
    case "bytes":
      return typeof value === "string" ? decodeBase64Text(value) : MISMATCH;
    case "quantity":
      return typeof value === "string" || typeof value === "number"
        ? decodeQuantity(String(value))
        : MISMATCH;
    case "time":
      return typeof value === "string" ? decodeTime(value, formatTime) : MISMATCH;
    case "microTime":
      return typeof value === "string" ? decodeTime(value, formatMicroTime) : MISMATCH;
    case "json":
      return { kind: "value", value };
  }
}

function isInt32(value: unknown): boolean {
  return (
    typeof value === "number" && Number.isInteger(value) && value >= INT32_MIN && value <= INT32_MAX
  );
}

/** Halves of surrogate pairs become U+FFFD, as in Go: no URL could name an object that has one in its name. */
function wellFormed(text: string): string {
  // With the flag "u" the class matches only those that stand alone.
  return MAYBE_ALONE.test(text) ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text;
}

const MAYBE_ALONE = /[\ud800-\udfff]/;

function decodeQuantity(text: string): DecodedScalar {
  const parsed = parseQuantity(text);
  return parsed.kind === "parsed" ? { kind: "value", value: parsed.canonical } : parsed;
}

function decodeTime(
  text: string,
  format: (time: { seconds: number; nanos: number }) => string,
): DecodedScalar {
  const time = parseTimestamp(text);
  if (time !== undefined) return { kind: "value", value: format(time) };
  const quoted = JSON.stringify(text);
  return {
    kind: "malformed",
    message: `parsing time ${quoted} as "2006-01-02T15:04:05Z07:00": cannot parse ${quoted} as "2006"`,
  };
}

/** Standard base64 with padding; line breaks are skipped, as Go's decoder does. */
function decodeBase64Text(text: string): DecodedScalar {
  const value = text.replaceAll(/[\r\n]/g, "");
  const good = /^[A-Za-z0-9+/]*={0,2}/.exec(value)?.[0].length ?? 0;
  if (good === value.length && value.length % 4 === 0) return { kind: "value", value };
  const at = good < value.length ? good : value.length;
  return { kind: "malformed", message: `illegal base64 data at input byte ${String(at)}` };
}
