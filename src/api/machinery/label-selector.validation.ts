import { forbidden, invalid, required } from "./field-error.ts";
import type { FieldError } from "./field-error.ts";
import type { LabelSelector } from "./metadata.ts";
import { validateLabels } from "./metadata.validation.ts";
import { validateQualifiedName } from "./value.validation.ts";

/** As upstream's `pkg/apis/meta/v1/validation:ValidateLabelSelector`. */
export function validateLabelSelector(
  selector: LabelSelector,
  path: string,
): readonly FieldError[] {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const errors = [...validateLabels(matchLabels, `${path}.matchLabels`)];
  for (const [i, { key, operator, values = [] }] of matchExpressions.entries()) {
    const at = `${path}.matchExpressions[${String(i)}]`;
    switch (operator) {
      case "In":
      case "NotIn":
        if (values.length === 0) {
          const why = "must be specified when `operator` is 'In' or 'NotIn'";
          errors.push(required(`${at}.values`, why));
        }
        break;
      case "Exists":
      case "DoesNotExist":
        if (values.length > 0) {
          const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
          errors.push(forbidden(`${at}.values`, why));
        }
        break;
      default:
        errors.push(invalid(`${at}.operator`, operator, "not a valid selector operator"));
    }
    errors.push(...validateQualifiedName(key, `${at}.key`));
  }
  return errors;
}
