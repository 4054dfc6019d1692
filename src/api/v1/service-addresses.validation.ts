import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { validateIp } from "../machinery/address.validation.ts";
import { duplicate, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateOneOf, validateOneOfIfSet } from "../machinery/value.validation.ts";
import { CLUSTER_IP_NONE, IP_FAMILY_POLICIES, SERVICE_IP_FAMILIES } from "./service.ts";
import type { ServiceSpec } from "./service.ts";

/**
 * Checks clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy against each other (VAL-015 to VAL-017, VAL-028).
 * For ExternalName they are checked with the type. Allocation runs the same checks before it allocates.
 */
export function validateClusterIps(spec: ServiceSpec): readonly FieldError[] {
  if (spec.type === "ExternalName") return [];
  return [
    ...validatePair(spec),
    ...validateFamilies(spec),
    ...validateOneOfIfSet(spec.ipFamilyPolicy, IP_FAMILY_POLICIES, "spec.ipFamilyPolicy"),
    ...validateAddresses(spec),
  ];
}

function validatePair(spec: ServiceSpec): readonly FieldError[] {
  const path = "spec.clusterIPs";
  const { clusterIP = "", clusterIPs = [] } = spec;
  if (clusterIP === "") {
    return clusterIPs.length === 0
      ? []
      : [invalid(path, clusterIPs, "must be empty when `clusterIP` is not specified")];
  }
  if (clusterIPs.length === 0) return [required(path)];
  return clusterIPs[0] === clusterIP
    ? []
    : [invalid(path, clusterIPs, "first value must match `clusterIP`")];
}

function validateFamilies({ ipFamilies = [] }: ServiceSpec): readonly FieldError[] {
  return ipFamilies.flatMap((family, i) => {
    const path = `spec.ipFamilies[${String(i)}]`;
    const errors = [...validateOneOf(family, SERVICE_IP_FAMILIES, path)];
    if (ipFamilies.indexOf(family) < i) errors.push(duplicate(path, family));
    return errors;
  });
}

function validateAddresses(spec: ServiceSpec): readonly FieldError[] {
  const path = "spec.clusterIPs";
  const { clusterIPs = [], ipFamilies = [] } = spec;
  const errors: FieldError[] = [];
  const addresses: IpAddress[] = [];
  clusterIPs.forEach((text, i) => {
    if (i === 0 && text === CLUSTER_IP_NONE) {
      if (clusterIPs.length > 1) {
        errors.push(invalid(path, clusterIPs, "'None' must be the first and only value"));
      }
      return;
    }
    const address = parseIpAddress(text);
    if (address === undefined) errors.push(...validateIp(text, `${path}[${String(i)}]`));
    else addresses.push(address);
  });
  const isValid = errors.length === 0;
  if (clusterIPs.length > 2) {
    errors.push(invalid(path, clusterIPs, "may only hold up to 2 values"));
  }
  // What follows would only confuse where an address is none.
  if (!isValid) return errors;
  if (addresses.length > 1 && new Set(addresses.map(ipFamilyOf)).size < addresses.length) {
    const text = "may specify no more than one IP for each IP family, i.e. one IPv4 and one IPv6";
    errors.push(invalid(path, clusterIPs, text));
  }
  addresses.forEach((address, i) => {
    const family = ipFamilies[i];
    if (family === undefined || family === ipFamilyOf(address)) return;
    const text = `expected an ${family} value as indicated by \`ipFamilies[${String(i)}]\``;
    errors.push(invalid(`${path}[${String(i)}]`, clusterIPs[i], text));
  });
  return errors;
}
