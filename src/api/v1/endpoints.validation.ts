import { parseIpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { validateIp, validateNonSpecialIp } from "../machinery/address.validation.ts";
import { required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import {
  validateDnsLabel,
  validateDnsSubdomain,
  validateOneOf,
  validatePortNumber,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import type { EndpointAddress, Endpoints, EndpointsPort } from "./endpoints.ts";
import { PROTOCOLS } from "./service.ts";

/**
 * Checks an Endpoints object (VAL-045).
 * @param loopbackAllowed where addresses of 127.0.0.0/8 may be; nowhere by default.
 */
export function validateEndpoints(
  endpoints: Endpoints,
  loopbackAllowed: readonly Cidr[] = [],
): readonly FieldError[] {
  return (endpoints.subsets ?? []).flatMap((subset, i) => {
    const path = `subsets[${String(i)}]`;
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    const errors: FieldError[] = [];
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      errors.push(required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    const check = (key: string) => (address: EndpointAddress, j: number) =>
      validateAddress(address, `${path}.${key}[${String(j)}]`, loopbackAllowed);
    return [
      ...errors,
      ...addresses.flatMap(check("addresses")),
      ...notReadyAddresses.flatMap(check("notReadyAddresses")),
      ...ports.flatMap((port, j) =>
        validatePort(port, ports.length > 1, `${path}.ports[${String(j)}]`),
      ),
    ];
  });
}

function validateAddress(
  address: EndpointAddress,
  path: string,
  loopbackAllowed: readonly Cidr[],
): readonly FieldError[] {
  const parsed = parseIpAddress(address.ip);
  return [
    ...(parsed === undefined ? validateIp(address.ip, `${path}.ip`) : []),
    ...(address.hostname ? validateDnsLabel(address.hostname, `${path}.hostname`) : []),
    ...(address.nodeName === undefined
      ? []
      : validateDnsSubdomain(address.nodeName, `${path}.nodeName`)),
    ...(parsed === undefined ? [] : validateNonSpecialIp(parsed, `${path}.ip`, loopbackAllowed)),
  ];
}

function validatePort(
  port: EndpointsPort,
  isNameRequired: boolean,
  path: string,
): readonly FieldError[] {
  const { name = "" } = port;
  return [
    ...(name === ""
      ? isNameRequired
        ? [required(`${path}.name`)]
        : []
      : validateDnsLabel(name, `${path}.name`)),
    ...validatePortNumber(port.port, `${path}.port`),
    ...validateOneOf(port.protocol, PROTOCOLS, `${path}.protocol`),
    ...(port.appProtocol === undefined
      ? []
      : validateQualifiedName(port.appProtocol, `${path}.appProtocol`)),
  ];
}
