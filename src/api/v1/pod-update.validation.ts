import { deepEqual } from "../machinery/json.ts";
import { forbidden, invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { Container } from "./container.ts";
import type { Pod, PodSpec } from "./pod.ts";
import { validatePod } from "./pod.validation.ts";

const UPDATABLE =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/**
 * Checks a Pod against the one that it replaces: almost all of the spec is fixed. Other than upstream, which has a
 * subresource for it, an update may give a Pod that has no node one.
 */
export function validatePodUpdate(pod: Pod, old: Pod): readonly FieldError[] {
  const errors = [...validatePod(pod)];
  const { spec } = pod;
  for (const key of ["containers", "initContainers"] as const) {
    if ((spec[key] ?? []).length !== (old.spec[key] ?? []).length) {
      return [...errors, forbidden(`spec.${key}`, "pod updates may not add or remove containers")];
    }
  }
  errors.push(...validateDeadline(spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds));
  errors.push(...validateGates(spec.schedulingGates, old.spec.schedulingGates));
  const tolerations = spec.tolerations ?? [];
  const keepsTolerations = (old.spec.tolerations ?? []).every((toleration) =>
    tolerations.some((other) => deepEqual(other, toleration)),
  );
  if (!keepsTolerations || !deepEqual(withOldValues(spec, old.spec), old.spec)) {
    errors.push(forbidden("spec", UPDATABLE));
  }
  return errors;
}

function validateDeadline(
  deadline: number | undefined,
  old: number | undefined,
): readonly FieldError[] {
  const path = "spec.activeDeadlineSeconds";
  if (old === undefined || deadline === old) return [];
  if (deadline === undefined) {
    return [invalid(path, deadline, "must not update from a positive integer to nil value")];
  }
  return deadline < old
    ? []
    : [invalid(path, deadline, "must be less than or equal to previous value")];
}

/** Gates can be opened, never closed again. */
function validateGates(
  gates: PodSpec["schedulingGates"] = [],
  olds: PodSpec["schedulingGates"] = [],
): readonly FieldError[] {
  return gates.flatMap(({ name }, i) =>
    olds.some((old) => old.name === name)
      ? []
      : [
          forbidden(
            `spec.schedulingGates[${String(i)}].name`,
            `only deletion is allowed, but found new scheduling gate '${name}'`,
          ),
        ],
  );
}

/** The new spec with what may change set back. What then differs may not. */
function withOldValues(spec: PodSpec, old: PodSpec): PodSpec {
  const withImages = (
    containers: readonly Container[],
    olds: readonly Container[],
  ): readonly Container[] =>
    containers.map((container, i) => ({ ...container, image: olds[i]?.image }));
  const isEscape =
    spec.terminationGracePeriodSeconds === 1 && (old.terminationGracePeriodSeconds ?? 0) < 0;
  return {
    ...spec,
    containers: withImages(spec.containers, old.containers),
    initContainers:
      spec.initContainers && withImages(spec.initContainers, old.initContainers ?? []),
    activeDeadlineSeconds: old.activeDeadlineSeconds,
    tolerations: old.tolerations,
    schedulingGates: old.schedulingGates,
    terminationGracePeriodSeconds: isEscape
      ? old.terminationGracePeriodSeconds
      : spec.terminationGracePeriodSeconds,
    nodeName: old.nodeName ? spec.nodeName : old.nodeName,
  };
}
