import { deepEqual } from "../machinery/json.ts";
import { forbidden, invalid, tooLong } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { configKeyProblems } from "../machinery/name-formats.ts";

/** The most that a ConfigMap or a Secret may hold, in bytes. */
const MAX_DATA_BYTES = 1024 * 1024;

/** Checks the keys of a ConfigMap's or Secret's data. */
export function validateDataKeys(
  data: Readonly<Record<string, string>> | undefined,
  path: string,
): readonly FieldError[] {
  return Object.keys(data ?? {}).flatMap((key) =>
    configKeyProblems(key).map((problem) => invalid(`${path}[${key}]`, key, problem)),
  );
}

export function validateDataSize(bytes: number, path: string): readonly FieldError[] {
  return bytes > MAX_DATA_BYTES ? [tooLong(path, MAX_DATA_BYTES)] : [];
}

/** How many bytes a base64 text stands for. */
export function base64Length(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return Math.floor((text.length * 3) / 4) - padding;
}

interface Immutable {
  readonly immutable?: boolean | undefined;
}

/** An object marked immutable keeps its data, and the mark. */
export function validateImmutable<T extends Immutable>(
  object: T,
  old: T,
  keys: readonly (keyof T & string)[],
): readonly FieldError[] {
  if (old.immutable !== true) return [];
  const text = "field is immutable when `immutable` is set";
  const errors = object.immutable === true ? [] : [forbidden("immutable", text)];
  return [
    ...errors,
    ...keys.filter((key) => !deepEqual(object[key], old[key])).map((key) => forbidden(key, text)),
  ];
}
