import { forbidden, invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { needsHealthCheckNodePort } from "./service.strategy.ts";
import { CLUSTER_IP_NONE } from "./service.ts";
import type { Service, ServiceSpec } from "./service.ts";
import { validateService } from "./service.validation.ts";

/** Checks a Service against the one that it replaces (VAL-033 to VAL-038). */
export function validateServiceUpdate(service: Service, old: Service): readonly FieldError[] {
  return [
    ...validateAddressChange(service.spec, old.spec),
    ...validateFamilyChange(service.spec, old.spec),
    ...validateClassChange(service.spec, old.spec),
    ...validateHealthPortChange(service.spec, old.spec),
    ...validateService(service),
  ];
}

function isHeadless(spec: ServiceSpec): boolean {
  return spec.clusterIP === CLUSTER_IP_NONE;
}

/** Addresses and families are fixed, except on the way to and from ExternalName, and between headless ones. */
function mayChangeFreely(spec: ServiceSpec, old: ServiceSpec): boolean {
  const isExternal = spec.type === "ExternalName" || old.type === "ExternalName";
  return isExternal || (isHeadless(spec) && isHeadless(old));
}

function validateAddressChange(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  if (mayChangeFreely(spec, old)) return [];
  return validateListChange(spec.clusterIPs ?? [], old.clusterIPs ?? [], spec, {
    path: "spec.clusterIPs",
    word: "clusterIP",
    goType: "string",
  });
}

function validateFamilyChange(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  if (mayChangeFreely(spec, old)) return [];
  return validateListChange(spec.ipFamilies ?? [], old.ipFamilies ?? [], spec, {
    path: "spec.ipFamilies",
    word: "ipFamily",
    goType: "core.IPFamily",
  });
}

/** The first element stays; a second may come, and go with policy SingleStack (VAL-036). */
function validateListChange(
  list: readonly string[],
  old: readonly string[],
  spec: ServiceSpec,
  names: { readonly path: string; readonly word: string; readonly goType: string },
): readonly FieldError[] {
  const value = { goType: names.goType, values: list };
  const first = `${names.path}[0]`;
  if (list.length === old.length) {
    return list.flatMap((one, i) =>
      one === old[i]
        ? []
        : [invalid(`${names.path}[${String(i)}]`, value, "may not change once set")],
    );
  }
  const errors: FieldError[] = [];
  if (list.length === 0) {
    errors.push(invalid(first, value, `primary ${names.word} can not be unset`));
  } else if (old.length > 0 && list[0] !== old[0]) {
    errors.push(invalid(first, value, "may not change once set"));
  }
  if (list.length === 1 && old.length > 1 && spec.ipFamilyPolicy !== "SingleStack") {
    const text = `must be set to 'SingleStack' when releasing the secondary ${names.word}`;
    errors.push(invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy, text));
  }
  return errors;
}

function validateClassChange(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  const stays = spec.type === "LoadBalancer" && old.type === "LoadBalancer";
  return stays && spec.loadBalancerClass !== old.loadBalancerClass
    ? [invalid("spec.loadBalancerClass", spec.loadBalancerClass, "may not change once set")]
    : [];
}

function validateHealthPortChange(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  const stays = needsHealthCheckNodePort(spec) && needsHealthCheckNodePort(old);
  return stays && spec.healthCheckNodePort !== old.healthCheckNodePort
    ? [forbidden("spec.healthCheckNodePort", "field is immutable")]
    : [];
}
