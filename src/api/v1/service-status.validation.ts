import { parseIpAddress } from "../../net/address.ts";
import { validateIp } from "../machinery/address.validation.ts";
import { forbidden, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import {
  validateDnsSubdomain,
  validateOneOf,
  validateOneOfIfSet,
  validatePortNumber,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import { IP_MODES, PROTOCOLS } from "./service.ts";
import type { LoadBalancerIngress, Service } from "./service.ts";

/** Checks what a load balancer reports (VAL-031, VAL-032). */
export function validateServiceStatus(service: Service): readonly FieldError[] {
  const path = "status.loadBalancer.ingress";
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  if (ingress.length > 0 && service.spec.type !== "LoadBalancer") {
    return [forbidden(path, 'may only be used when `spec.type` is "LoadBalancer"')];
  }
  return ingress.flatMap((entry, i) => validateIngress(entry, `${path}[${String(i)}]`));
}

function validateIngress(entry: LoadBalancerIngress, path: string): readonly FieldError[] {
  const { ip = "", hostname = "", ipMode } = entry;
  const errors: FieldError[] = [];
  if (ip !== "") errors.push(...validateIp(ip, `${path}.ip`));
  if (ip !== "" && ipMode === undefined) {
    errors.push(required(`${path}.ipMode`, "must be specified when `ip` is set"));
  } else if (ip === "" && ipMode !== undefined) {
    errors.push(forbidden(`${path}.ipMode`, "may not be specified when `ip` is not set"));
  } else {
    errors.push(...validateOneOfIfSet(ipMode, IP_MODES, `${path}.ipMode`));
  }
  if (hostname !== "") {
    errors.push(...validateDnsSubdomain(hostname, `${path}.hostname`));
    if (parseIpAddress(hostname) !== undefined) {
      const text = "must be a DNS name, not an IP address";
      errors.push(invalid(`${path}.hostname`, hostname, text));
    }
  }
  (entry.ports ?? []).forEach((port, i) => {
    const at = `${path}.ports[${String(i)}]`;
    errors.push(
      ...validatePortNumber(port.port, `${at}.port`),
      ...validateOneOf(port.protocol, PROTOCOLS, `${at}.protocol`),
      ...(port.error === undefined ? [] : validateQualifiedName(port.error, `${at}.error`)),
    );
  });
  return errors;
}
