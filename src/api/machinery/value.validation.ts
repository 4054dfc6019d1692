import { dnsLabelProblems, dnsSubdomainProblems } from "../../net/names.ts";
import { invalid, notSupported, required } from "./field-error.ts";
import type { FieldError } from "./field-error.ts";
import { qualifiedNameProblems } from "./label-names.ts";
import { portNameProblems, portNumberProblems } from "./name-formats.ts";

/** Checks of single values that several kinds share; each names the field that it looked at. */

export function validateDnsLabel(text: string, path: string): readonly FieldError[] {
  return dnsLabelProblems(text).map((problem) => invalid(path, text, problem));
}

export function validateDnsSubdomain(text: string, path: string): readonly FieldError[] {
  return dnsSubdomainProblems(text).map((problem) => invalid(path, text, problem));
}

export function validateQualifiedName(text: string, path: string): readonly FieldError[] {
  return qualifiedNameProblems(text).map((problem) => invalid(path, text, problem));
}

export function validatePortNumber(port: number, path: string): readonly FieldError[] {
  return portNumberProblems(port).map((problem) => invalid(path, port, problem));
}

export function validatePortNumberOrName(
  port: string | number,
  path: string,
): readonly FieldError[] {
  const problems = typeof port === "number" ? portNumberProblems(port) : portNameProblems(port);
  return problems.map((problem) => invalid(path, port, problem));
}

/** Checks a value of a closed set; `undefined` and "" are `Required value`. */
export function validateOneOf(
  value: string | undefined,
  values: readonly string[],
  path: string,
): readonly FieldError[] {
  if (value === undefined || value === "") return [required(path)];
  return validateOneOfIfSet(value, values, path);
}

/** Checks a value of a closed set that may be left out. */
export function validateOneOfIfSet(
  value: string | undefined,
  values: readonly string[],
  path: string,
): readonly FieldError[] {
  if (value === undefined || values.includes(value)) return [];
  return [notSupported(path, value, values.toSorted())];
}
