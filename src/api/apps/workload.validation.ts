import { deepEqual } from "../machinery/json.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";

const PERCENT = /^\d+%$/;

/** An amount as a number or percent; upstream `ValidatePositiveIntOrPercent`. */
function validateAmount(value: string | number | undefined, path: string): readonly FieldError[] {
  if (value === undefined) return [];
  if (typeof value === "number") return validateNonNegative(value, path);
  return PERCENT.test(value)
    ? []
    : [
        invalid(
          path,
          value,
          "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
      ];
}

/** Pods that may be missing are at most all. */
function validateNotMoreThanAll(
  value: string | number | undefined,
  path: string,
): readonly FieldError[] {
  const isMore =
    typeof value === "string" && PERCENT.test(value) && Number(value.slice(0, -1)) > 100;
  return isMore ? [invalid(path, value, "must not be greater than 100%")] : [];
}

/** Neither may be zero when the other is: nothing could ever be replaced. */
export function validatePace(
  pace:
    | {
        readonly maxUnavailable?: string | number | undefined;
        readonly maxSurge?: string | number | undefined;
      }
    | undefined,
  path: string,
  kind: "Deployment" | "DaemonSet",
): readonly FieldError[] {
  if (pace === undefined) return [required(path, "this should be defaulted and never be nil")];
  const { maxUnavailable, maxSurge } = pace;
  const isZero = (value: string | number | undefined): boolean =>
    value === undefined || value === 0 || value === "0%";
  const errors = [
    ...validateAmount(maxUnavailable, `${path}.maxUnavailable`),
    ...validateAmount(maxSurge, `${path}.maxSurge`),
    ...validateNotMoreThanAll(maxUnavailable, `${path}.maxUnavailable`),
  ];
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    errors.push(
      kind === "Deployment"
        ? invalid(`${path}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0")
        : required(`${path}.maxUnavailable`, "cannot be 0 when maxSurge is 0"),
    );
  }
  if (kind === "DaemonSet" && !isZero(maxUnavailable) && !isZero(maxSurge)) {
    errors.push(
      invalid(`${path}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"),
    );
  }
  return errors;
}

export function validateImmutable(
  value: unknown,
  old: unknown,
  path: string,
): readonly FieldError[] {
  return deepEqual(value, old) ? [] : [invalid(path, value, "field is immutable")];
}

/** Checks an update as `validate` does, and that the selector is the one it was. */
export function withSameSelector<T extends { readonly spec: { readonly selector?: unknown } }>(
  validate: (object: T) => readonly FieldError[],
): (object: T, old: T) => readonly FieldError[] {
  return (object, old) => [
    ...validate(object),
    ...validateImmutable(object.spec.selector, old.spec.selector, "spec.selector"),
  ];
}

/** Counts of a status are never negative. */
export function validateCounts(
  status: object | undefined,
  fields: readonly string[],
): readonly FieldError[] {
  return fields.flatMap((name) => {
    const value: unknown = status === undefined ? undefined : Reflect.get(status, name);
    return typeof value === "number" ? validateNonNegative(value, `status.${name}`) : [];
  });
}
