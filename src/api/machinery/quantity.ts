/**
 * Quantities (`500m`, `1Gi`, `12e6`) in their canonical form: the largest suffix that leaves a whole number,
 * of the family the text was written in. Precision is nano, finer is rounded away from zero; magnitudes end
 * at 2^63-1. Source: apimachinery `pkg/api/resource/quantity.go`.
 */

export type ParsedQuantity =
  | { readonly kind: "parsed"; readonly canonical: string }
  | { readonly kind: "malformed"; readonly message: string };

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(.*)$/s;
const ALLOWED = /^[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*$/;
const FORMAT_TEXT =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_TEXT = "unable to parse quantity's suffix";

/** A longer text is no quantity anybody means, and big numbers cost more than linear time. */
const MAX_LENGTH = 100;

const DECIMAL_SUFFIXES = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_SUFFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const NANO = 1_000_000_000n;
const MAX = (2n ** 63n - 1n) * NANO;

interface Suffix {
  readonly family: "decimal" | "binary" | "exponent";
  readonly base: 2n | 10n;
  readonly exponent: number;
}

export function parseQuantity(text: string): ParsedQuantity {
  const amount = parseAmount(text);
  if (amount.kind === "malformed") return amount;
  const { nanos, family } = amount;
  const canonical = format(nanos < 0n ? -nanos : nanos, family);
  return { kind: "parsed", canonical: nanos < 0n ? `-${canonical}` : canonical };
}

/** Negative when `a` is less than `b`, 0 when they are equal; undefined when one is no quantity. */
export function compareQuantities(a: string | number, b: string | number): number | undefined {
  const [left, right] = [parseAmount(String(a)), parseAmount(String(b))];
  if (left.kind === "malformed" || right.kind === "malformed") return undefined;
  return left.nanos === right.nanos ? 0 : left.nanos < right.nanos ? -1 : 1;
}

/** As a plain number, exact to about 15 digits; undefined when the text is no quantity. */
export function quantityNumber(text: string | number): number | undefined {
  const amount = parseAmount(String(text));
  return amount.kind === "malformed" ? undefined : Number(amount.nanos) / 1e9;
}

type Amount =
  | { readonly kind: "amount"; readonly nanos: bigint; readonly family: Suffix["family"] }
  | { readonly kind: "malformed"; readonly message: string };

function parseAmount(text: string): Amount {
  const match = text.length <= MAX_LENGTH && ALLOWED.test(text) ? NUMBER.exec(text) : null;
  const [, sign, whole = "", fraction = "", rest = ""] = match ?? [];
  if (whole === "" && fraction === "") return { kind: "malformed", message: FORMAT_TEXT };
  const suffix = parseSuffix(rest);
  if (suffix === undefined) return { kind: "malformed", message: SUFFIX_TEXT };
  const exact = scaled(BigInt(whole + fraction), fraction.length, suffix);
  const nanos = exact > MAX ? MAX : exact;
  return { kind: "amount", nanos: sign === "-" ? -nanos : nanos, family: suffix.family };
}

function parseSuffix(text: string): Suffix | undefined {
  const binary = BINARY_SUFFIXES.indexOf(text);
  if (binary > 0) return { family: "binary", base: 2n, exponent: binary * 10 };
  const decimal = DECIMAL_SUFFIXES.indexOf(text);
  if (decimal >= 0) return { family: "decimal", base: 10n, exponent: decimal * 3 - 9 };
  const exponent = /^[eE]([+-]?\d+)$/.exec(text)?.[1];
  if (exponent === undefined) return undefined;
  // Past these bounds every value is 0, the least or the greatest, whatever its digits.
  const bounded = Math.max(-2 * MAX_LENGTH, Math.min(2 * MAX_LENGTH, Number(exponent)));
  return { family: "exponent", base: 10n, exponent: bounded };
}

/** The magnitude in billionths, rounded up. */
function scaled(digits: bigint, fractionDigits: number, suffix: Suffix): bigint {
  let numerator = digits * NANO;
  let denominator = 10n ** BigInt(fractionDigits);
  if (suffix.exponent >= 0) numerator *= suffix.base ** BigInt(suffix.exponent);
  else denominator *= suffix.base ** BigInt(-suffix.exponent);
  return (numerator + denominator - 1n) / denominator;
}

function format(nanos: bigint, family: Suffix["family"]): string {
  if (nanos === 0n) return "0";
  if (family === "binary" && nanos >= 1024n * NANO) {
    const [number, power] = withoutFactors((nanos + NANO - 1n) / NANO, 1024n);
    return `${String(number)}${BINARY_SUFFIXES[power] ?? ""}`;
  }
  const [number, power] = withoutFactors(nanos, 1000n);
  if (family !== "exponent") return `${String(number)}${DECIMAL_SUFFIXES[power] ?? ""}`;
  return power === 3 ? String(number) : `${String(number)}e${String(power * 3 - 9)}`;
}

function withoutFactors(number: bigint, factor: bigint): readonly [bigint, number] {
  let power = 0;
  let rest = number;
  while (rest % factor === 0n) {
    rest /= factor;
    power++;
  }
  return [rest, power];
}
