import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { dnsSubdomainProblems } from "../../net/names.ts";
import { validateNonSpecialIp } from "../machinery/address.validation.ts";
import { duplicate, invalid, required, tooMany } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { labelValueProblems } from "../machinery/label-names.ts";
import {
  validateDnsLabel,
  validateDnsSubdomain,
  validateOneOf,
  validatePortNumber,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import { PROTOCOLS } from "../v1/service.ts";
import { ADDRESS_TYPES } from "./endpointslice.ts";
import type { AddressType, Endpoint, EndpointHints, EndpointSlice } from "./endpointslice.ts";

const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;
const MAX_HINTS = 8;

/**
 * Checks an EndpointSlice (VAL-039 to VAL-042) in upstream's order and wording
 * (`apis/discovery/validation/validation.go`).
 * @param loopbackAllowed where addresses of 127.0.0.0/8 may be; nowhere by default (CVE-2021-25737).
 */
export function validateEndpointSlice(
  slice: EndpointSlice,
  loopbackAllowed: readonly Cidr[] = [],
): readonly FieldError[] {
  return [
    ...validateOneOf(slice.addressType, ADDRESS_TYPES, "addressType"),
    ...validateEndpoints(slice, loopbackAllowed),
    ...validatePorts(slice),
  ];
}

export function validateEndpointSliceUpdate(
  slice: EndpointSlice,
  old: EndpointSlice,
  loopbackAllowed: readonly Cidr[] = [],
): readonly FieldError[] {
  return [
    ...validateEndpointSlice(slice, loopbackAllowed),
    ...(slice.addressType === old.addressType
      ? []
      : [invalid("addressType", slice.addressType, "field is immutable")]),
  ];
}

function validateEndpoints(
  { endpoints, addressType }: EndpointSlice,
  loopbackAllowed: readonly Cidr[],
): readonly FieldError[] {
  if (endpoints.length > MAX_ENDPOINTS) {
    return [tooMany("endpoints", endpoints.length, MAX_ENDPOINTS)];
  }
  return endpoints.flatMap((endpoint, i) => {
    const path = `endpoints[${String(i)}]`;
    return [
      ...validateAddresses(endpoint, addressType, `${path}.addresses`, loopbackAllowed),
      ...validatePlace(endpoint, path),
      ...validateHints(endpoint.hints ?? {}, `${path}.hints`),
    ];
  });
}

function validateAddresses(
  { addresses }: Endpoint,
  type: AddressType,
  path: string,
  loopbackAllowed: readonly Cidr[],
): readonly FieldError[] {
  if (addresses.length === 0) return [required(path, "must contain at least 1 address")];
  if (addresses.length > MAX_ADDRESSES) return [tooMany(path, addresses.length, MAX_ADDRESSES)];
  return addresses.flatMap((text, i) => {
    const at = `${path}[${String(i)}]`;
    if (type === "FQDN") return validateFqdn(text, at);
    const address = parseIpAddress(text);
    if (address === undefined || ipFamilyOf(address) !== type) {
      return [invalid(at, text, `must be a valid ${type} address`)];
    }
    return validateNonSpecialIp(address, at, loopbackAllowed);
  });
}

function validateFqdn(text: string, path: string): readonly FieldError[] {
  const name = text.replace(/\.$/, "");
  const errors = [...validateDnsSubdomain(name, path)];
  if (errors.length === 0 && !name.includes(".")) {
    errors.push(
      invalid(path, text, "should be a domain with at least two segments separated by dots"),
    );
  }
  return errors;
}

function validatePlace(endpoint: Endpoint, path: string): readonly FieldError[] {
  const { nodeName, hostname } = endpoint;
  return [
    ...(nodeName === undefined
      ? []
      : dnsSubdomainProblems(nodeName).map((problem) =>
          invalid(`${path}.nodeName`, nodeName, problem),
        )),
    ...(hostname === undefined ? [] : validateDnsLabel(hostname, `${path}.hostname`)),
  ];
}

function validateHints(hints: EndpointHints, path: string): readonly FieldError[] {
  return (["forZones", "forNodes"] as const).flatMap((key) => {
    const names = (hints[key] ?? []).map((entry) => entry.name);
    if (names.length > MAX_HINTS) return [tooMany(`${path}.${key}`, names.length, MAX_HINTS)];
    return names.flatMap((name, i) => {
      const at = `${path}.${key}[${String(i)}].name`;
      if (names.indexOf(name) < i) return [duplicate(at, name)];
      if (name === "") return [required(at)];
      return key === "forNodes" ? validateDnsSubdomain(name, at) : validateZone(name, at);
    });
  });
}

/** Zones are label values of nodes. */
function validateZone(name: string, path: string): readonly FieldError[] {
  return labelValueProblems(name).map((problem) => invalid(path, name, problem));
}

function validatePorts({ ports = [] }: EndpointSlice): readonly FieldError[] {
  if (ports.length > MAX_PORTS) return [tooMany("ports", ports.length, MAX_PORTS)];
  const seen = new Set<string>();
  return ports.flatMap((port, i) => {
    const path = `ports[${String(i)}]`;
    const errors: FieldError[] = [];
    const name = port.name ?? "";
    if (name !== "") errors.push(...validateDnsLabel(name, `${path}.name`));
    if (seen.has(name)) errors.push(duplicate(`${path}.name`, name));
    seen.add(name);
    errors.push(...validateOneOf(port.protocol, PROTOCOLS, `${path}.protocol`));
    if (port.port !== undefined) errors.push(...validatePortNumber(port.port, `${path}.port`));
    if (port.appProtocol !== undefined) {
      errors.push(...validateQualifiedName(port.appProtocol, `${path}.appProtocol`));
    }
    return errors;
  });
}
