import { cidrFamily, parseCidr } from "../../net/cidr.ts";
import { validateCidr } from "../machinery/address.validation.ts";
import { deepEqual } from "../machinery/json.ts";
import { duplicate, forbidden, invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { labelValueProblems } from "../machinery/label-names.ts";
import { validateOneOf, validateQualifiedName } from "../machinery/value.validation.ts";
import type { Node } from "./node.ts";

const TAINT_EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"] as const;

export function validateNode({ spec, status }: Node): readonly FieldError[] {
  const errors: FieldError[] = [];
  const taints = spec.taints ?? [];
  taints.forEach((taint, i) => {
    const path = `spec.taints[${String(i)}]`;
    errors.push(
      ...validateQualifiedName(taint.key, `${path}.key`),
      ...labelValueProblems(taint.value ?? "").map((problem) =>
        invalid(`${path}.value`, taint.value, problem),
      ),
      ...validateOneOf(taint.effect, TAINT_EFFECTS, `${path}.effect`),
    );
    const first = taints.findIndex(
      (other) => other.key === taint.key && other.effect === taint.effect,
    );
    if (first < i) errors.push(duplicate(path, taint));
  });
  const ranges = spec.podCIDRs ?? [];
  ranges.forEach((range, i) => {
    errors.push(...validateCidr(range, `spec.podCIDRs[${String(i)}]`));
  });
  const families = ranges.flatMap((range) => {
    const cidr = parseCidr(range);
    return cidr === undefined ? [] : [cidrFamily(cidr)];
  });
  if (ranges.length > 2 || new Set(families).size < families.length) {
    const text =
      "may specify no more than one CIDR for each IP family or the number of podCIDRs is more than 2";
    errors.push(invalid("spec.podCIDRs", ranges, text));
  }
  (status?.addresses ?? []).forEach((address, i, all) => {
    const first = all.findIndex((other) => deepEqual(other, address));
    if (first < i) errors.push(duplicate(`status.addresses[${String(i)}]`, address));
  });
  return errors;
}

export function validateNodeUpdate(object: Node, old: Node): readonly FieldError[] {
  const errors = [...validateNode(object)];
  const isSet = (value: readonly string[] | string | undefined): boolean =>
    value !== undefined && value.length > 0;
  if (isSet(old.spec.podCIDRs) && !deepEqual(object.spec.podCIDRs, old.spec.podCIDRs)) {
    const text = 'node updates may not change podCIDR except from "" to valid';
    errors.push(forbidden("spec.podCIDRs", text));
  }
  if (isSet(old.spec.providerID) && object.spec.providerID !== old.spec.providerID) {
    const text = 'node updates may not change providerID except from "" to valid';
    errors.push(forbidden("spec.providerID", text));
  }
  return errors;
}
