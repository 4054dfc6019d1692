import { cidrBits, cidrFamily, parseCidr } from "../../net/cidr.ts";
import { validateCidr } from "../machinery/address.validation.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { ServiceCIDR } from "./servicecidr.ts";

const PATH = "spec.cidrs";
const IMMUTABLE = "field is immutable";
/** The search for a free address counts offsets up to 2^64 (ALLOC-006). */
const SHORTEST_IPV6_PREFIX = 64;

/** Checks a ServiceCIDR (ALLOC-014; upstream `apis/networking/validation:ValidateServiceCIDR`). */
export function validateServiceCidr({ spec }: ServiceCIDR): readonly FieldError[] {
  const { cidrs = [] } = spec;
  if (cidrs.length === 0) return [required(PATH, "at least one CIDR required")];
  if (cidrs.length > 2) return [invalid(PATH, cidrs, "may only hold up to 2 values")];
  const families = cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : [cidrFamily(cidr)];
  });
  if (families.length === 2 && families[0] === families[1]) {
    const text =
      "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
    return [invalid(PATH, cidrs, text)];
  }
  return cidrs.flatMap((text, i) => validateRange(text, `${PATH}[${String(i)}]`));
}

/** Ranges are fixed, but a second family may be added to the first. */
export function validateServiceCidrUpdate(
  next: ServiceCIDR,
  old: ServiceCIDR,
): readonly FieldError[] {
  const cidrs = next.spec.cidrs ?? [];
  const before = old.spec.cidrs ?? [];
  const changed = (i: number): readonly FieldError[] =>
    cidrs[i] === before[i] ? [] : [invalid(`${PATH}[${String(i)}]`, cidrs[i], IMMUTABLE)];
  if (cidrs.length === before.length) return cidrs.flatMap((_, i) => changed(i));
  if (before.length === 1 && cidrs.length === 2) {
    return [...changed(0), ...validateServiceCidr(next)];
  }
  return [invalid(PATH, cidrs, IMMUTABLE)];
}

function validateRange(text: string, path: string): readonly FieldError[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) return validateCidr(text, path);
  if (cidr !== text) {
    return [invalid(path, text, `must be in canonical form (${JSON.stringify(cidr)})`)];
  }
  if (cidrFamily(cidr) === "IPv6" && cidrBits(cidr) < SHORTEST_IPV6_PREFIX) {
    const bits = String(cidrBits(cidr));
    const detail = `shortest allowed prefix length for service CIDR is ${String(SHORTEST_IPV6_PREFIX)}, got ${bits}`;
    return [invalid(path, text, detail)];
  }
  return [];
}
