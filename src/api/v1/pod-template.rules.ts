import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { labelRequirementsOf, matchesLabels } from "../machinery/label-selector.ts";
import type { LabelSelector, ObjectMeta } from "../machinery/metadata.ts";
import { validateLabels } from "../machinery/metadata.validation.ts";
import type { PodTemplateSpec } from "./pod-template.ts";
import { defaultPod } from "./pod.defaults.ts";
import type { Pod } from "./pod.ts";
import { validatePod } from "./pod.validation.ts";

/** Fills in what a template leaves out, as for a Pod. */
export function defaultPodTemplate(template: PodTemplateSpec): PodTemplateSpec {
  const { metadata } = template;
  return {
    ...template,
    ...(metadata === undefined ? {} : { metadata: withoutEmptyName(metadata) }),
    spec: defaultPod(asPod(template)).spec,
  };
}

/** A template has no name; the zero value that objects get would be shown and compared. */
function withoutEmptyName(metadata: ObjectMeta): ObjectMeta {
  if (metadata.name !== "") return metadata;
  const { name: _, ...rest } = metadata;
  // The type is that of objects, which have a name; nobody reads a template's.
  return rest as ObjectMeta;
}

function asPod({ metadata, spec }: PodTemplateSpec): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "", ...metadata }, spec };
}

/** Checks the template itself; paths are below `path`, e.g. `spec.template`. */
export function validatePodTemplate(
  template: PodTemplateSpec,
  path: string,
  restartPolicies: readonly string[],
): readonly FieldError[] {
  const policy = template.spec.restartPolicy ?? "";
  return [
    ...validateLabels(template.metadata?.labels ?? {}, `${path}.metadata.labels`),
    ...validatePod(asPod(template)).map((error) => ({ ...error, field: `${path}.${error.field}` })),
    ...(restartPolicies.includes(policy)
      ? []
      : [notSupported(`${path}.spec.restartPolicy`, policy, restartPolicies)]),
  ];
}

/**
 * Pods of sets have no deadline of their own: they would be made anew for ever. Upstream words it in two ways.
 * @param detail of the value; default the words for ReplicaSets and Deployments.
 */
export function validateNoDeadline(
  { spec }: PodTemplateSpec,
  detail?: string,
): readonly FieldError[] {
  const path = "spec.template.spec.activeDeadlineSeconds";
  const value = spec.activeDeadlineSeconds;
  if (value === undefined) return [];
  return [
    detail === undefined
      ? forbidden(path, "activeDeadlineSeconds in ReplicaSet is not Supported")
      : invalid(path, value, detail),
  ];
}

const OPERATORS = ["DoesNotExist", "Exists", "In", "NotIn"] as const;

/** Checks a selector by itself. */
function validateSelector(selector: LabelSelector, path: string): readonly FieldError[] {
  return [
    ...validateLabels(selector.matchLabels ?? {}, `${path}.matchLabels`),
    ...(selector.matchExpressions ?? []).flatMap(({ key, operator, values = [] }, i) => {
      const own = `${path}.matchExpressions[${String(i)}]`;
      const errors: FieldError[] = [...validateLabels({ [key]: "" }, `${own}.key`)];
      if (operator === "In" || operator === "NotIn") {
        if (values.length === 0) {
          errors.push(
            required(`${own}.values`, "must be specified when `operator` is 'In' or 'NotIn'"),
          );
        }
      } else if (!OPERATORS.some((one) => one === operator)) {
        errors.push(invalid(`${own}.operator`, operator, "not a valid selector operator"));
      } else if (values.length > 0) {
        errors.push({
          type: "FieldValueForbidden",
          field: `${own}.values`,
          message: "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        });
      }
      return errors;
    }),
  ];
}

/** The selector of a workload is there, is sound, and selects the Pods of its own template. */
export function validateOwnSelector(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec,
  kind: string,
): readonly FieldError[] {
  const isEmpty =
    selector === undefined ||
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
  if (selector === undefined) return [required("spec.selector")];
  if (isEmpty) {
    return [invalid("spec.selector", selector, `empty selector is invalid for ${kind}`)];
  }
  const errors = validateSelector(selector, "spec.selector");
  const parsed = labelRequirementsOf(selector);
  const labels = template.metadata?.labels ?? {};
  if (parsed.kind === "parsed" && !matchesLabels(parsed.requirements, labels)) {
    return [
      ...errors,
      invalid(
        "spec.template.metadata.labels",
        labels,
        "`selector` does not match template `labels`",
      ),
    ];
  }
  return errors;
}
