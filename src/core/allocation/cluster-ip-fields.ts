import { duplicate, invalid, notSupported, required } from "../../api/machinery/field-error.ts";
import type { FieldError } from "../../api/machinery/field-error.ts";
import { CLUSTER_IP_NONE, IP_FAMILY_POLICIES } from "../../api/v1/service.ts";
import type { ServiceSpec } from "../../api/v1/service.ts";
import { IP_FAMILIES, ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";

const POLICIES: readonly string[] = IP_FAMILY_POLICIES;
const FIELD = "spec.clusterIPs";

/**
 * What is wrong with the cluster IPs and families by themselves (VAL-015, 016, 017, 028; upstream
 * `ValidateServiceClusterIPsRelatedFields`). Allocation asks first, since it cannot work on nonsense.
 */
export function clusterIpFieldErrors(spec: ServiceSpec): readonly FieldError[] {
  const errors = [...syncErrors(spec), ...familyErrors(spec)];
  const texts = spec.clusterIPs ?? [];
  const addresses: IpAddress[] = [];
  let isMalformed = false;
  for (const [i, text] of texts.entries()) {
    if (i === 0 && text === CLUSTER_IP_NONE) {
      if (texts.length === 1) continue;
      errors.push(invalid(FIELD, texts, "'None' must be the first and only value"));
      isMalformed = true;
      continue;
    }
    const address = parseIpAddress(text);
    if (address !== undefined) {
      addresses.push(address);
      continue;
    }
    const detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    errors.push(invalid(`${FIELD}[${String(i)}]`, text, detail));
    isMalformed = true;
  }
  if (texts.length > 2) errors.push(invalid(FIELD, texts, "may only hold up to 2 values"));
  // What follows would only repeat that an address is none.
  if (isMalformed) return errors;

  const families = addresses.map((address) => ipFamilyOf(address));
  if (addresses.length > 1 && (addresses.length > 2 || families[0] === families[1])) {
    const detail = "may specify no more than one IP for each IP family";
    errors.push(invalid(FIELD, texts, detail));
  }
  if (errors.length > 0) return errors;
  for (const [i, family] of families.entries()) {
    const expected = spec.ipFamilies?.[i];
    if (expected === undefined || expected === family) continue;
    const article = expected === "IPv4" ? "an IPv4" : "an IPv6";
    const detail = `expected ${article} value as indicated by \`ipFamilies[${String(i)}]\``;
    errors.push(invalid(`${FIELD}[${String(i)}]`, texts[i], detail));
  }
  return errors;
}

function syncErrors({ clusterIP = "", clusterIPs = [] }: ServiceSpec): readonly FieldError[] {
  if (clusterIP === "") {
    return clusterIPs.length === 0
      ? []
      : [invalid(FIELD, clusterIPs, "must be empty when `clusterIP` is not specified")];
  }
  if (clusterIPs.length === 0) return [required(FIELD)];
  return clusterIPs[0] === clusterIP
    ? []
    : [invalid(FIELD, clusterIPs, "first value must match `clusterIP`")];
}

function familyErrors(spec: ServiceSpec): readonly FieldError[] {
  const supported: readonly string[] = IP_FAMILIES;
  const families = spec.ipFamilies ?? [];
  const errors = families.flatMap((family, i) => {
    const field = `spec.ipFamilies[${String(i)}]`;
    return [
      ...(supported.includes(family) ? [] : [notSupported(field, family, supported)]),
      ...(families.indexOf(family) < i ? [duplicate(field, family)] : []),
    ];
  });
  const policy = spec.ipFamilyPolicy;
  if (policy !== undefined && !POLICIES.includes(policy)) {
    errors.push(notSupported("spec.ipFamilyPolicy", policy, POLICIES));
  }
  return errors;
}
