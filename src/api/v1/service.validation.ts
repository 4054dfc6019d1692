import { validateCidr, validateIp, validateNonSpecialIp } from "../machinery/address.validation.ts";
import { duplicate, forbidden, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateLabels } from "../machinery/metadata.validation.ts";
import {
  validateDnsLabel,
  validateDnsSubdomain,
  validateOneOf,
  validateOneOfIfSet,
  validatePortNumber,
  validatePortNumberOrName,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import { parseIpAddress } from "../../net/address.ts";
import { isExternallyAccessible } from "./service.defaults.ts";
import { needsHealthCheckNodePort } from "./service.strategy.ts";
import {
  CLUSTER_IP_NONE,
  PROTOCOLS,
  SERVICE_TYPES,
  SESSION_AFFINITIES,
  TRAFFIC_DISTRIBUTIONS,
  TRAFFIC_POLICIES,
} from "./service.ts";
import type { Service, ServicePort, ServiceSpec } from "./service.ts";
import { validateClusterIps } from "./service-addresses.validation.ts";

export const TOPOLOGY_MODE_ANNOTATION = "service.kubernetes.io/topology-mode";
export const TOPOLOGY_HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints";
const SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges";
const KUBELET_PORT = 10_250;
const MAX_AFFINITY_TIMEOUT_SECONDS = 86_400;
const ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'";

/**
 * Checks a Service that has its defaults and its addresses (VAL-001 to VAL-028; the name is checked with the
 * metadata). Order, paths and wording follow upstream `apis/core/validation/validation.go:ValidateService`,
 * odd paths included.
 */
export function validateService(service: Service): readonly FieldError[] {
  const { spec } = service;
  return [
    ...validateTopologyAnnotations(service),
    ...validateByType(spec),
    ...validatePorts(spec),
    ...(spec.selector === undefined ? [] : validateLabels(spec.selector, "spec.selector")),
    ...validateAffinity(spec),
    ...validateClusterIps(spec),
    ...(spec.externalIPs ?? []).flatMap((ip, i) => validateExternalIp(ip, i)),
    ...validateOneOf(spec.type, SERVICE_TYPES, "spec.type"),
    ...validateNodePorts(spec),
    ...validateSourceRanges(service),
    ...validateAllocateNodePorts(spec),
    ...validateLoadBalancerClass(spec),
    ...validateExternalTraffic(spec),
    ...(spec.type === "ExternalName"
      ? []
      : validateOneOf(spec.internalTrafficPolicy, TRAFFIC_POLICIES, "spec.internalTrafficPolicy")),
    ...validateOneOfIfSet(
      spec.trafficDistribution,
      TRAFFIC_DISTRIBUTIONS,
      "spec.trafficDistribution",
    ),
  ];
}

/** VAL-027. */
function validateTopologyAnnotations(service: Service): readonly FieldError[] {
  const mode = service.metadata.annotations?.[TOPOLOGY_MODE_ANNOTATION];
  const hints = service.metadata.annotations?.[TOPOLOGY_HINTS_ANNOTATION];
  if (mode === undefined || hints === undefined || mode === hints) return [];
  return [
    invalid(
      `metadata.annotations[${TOPOLOGY_MODE_ANNOTATION}]`,
      mode,
      `must match annotations[${TOPOLOGY_HINTS_ANNOTATION}] when both are specified`,
    ),
  ];
}

/** VAL-002, VAL-010 to VAL-012. */
function validateByType(spec: ServiceSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const ports = spec.ports ?? [];
  const isHeadless = spec.clusterIP === CLUSTER_IP_NONE;
  if (ports.length === 0 && !isHeadless && spec.type !== "ExternalName") {
    errors.push(required("spec.ports"));
  }
  if (spec.type === "LoadBalancer") {
    ports.forEach(({ port }, i) => {
      if (port !== KUBELET_PORT) return;
      const text = `may not expose port ${String(KUBELET_PORT)} externally since it is used by kubelet`;
      errors.push(invalid(`spec.ports[${String(i)}]`, port, text));
    });
  }
  if (isHeadless && (spec.type === "LoadBalancer" || spec.type === "NodePort")) {
    const text = `may not be set to 'None' for ${spec.type} services`;
    errors.push(invalid("spec.clusterIPs[0]", CLUSTER_IP_NONE, text));
  }
  if (spec.type === "ExternalName") errors.push(...validateExternalName(spec));
  return errors;
}

function validateExternalName(spec: ServiceSpec): readonly FieldError[] {
  const isSet = {
    clusterIPs: (spec.clusterIPs ?? []).length > 0 || (spec.clusterIP ?? "") !== "",
    ipFamilies: (spec.ipFamilies ?? []).length > 0,
    ipFamilyPolicy: spec.ipFamilyPolicy !== undefined,
  };
  const errors: FieldError[] = Object.entries(isSet)
    .filter(([, set]) => set)
    .map(([key]) => forbidden(`spec.${key}`, "may not be set for ExternalName services"));
  // A trailing dot says that the name is absolute.
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (name === "") errors.push(required("spec.externalName"));
  else errors.push(...validateDnsSubdomain(name, "spec.externalName"));
  return errors;
}

/** VAL-003 to VAL-005, VAL-008. */
function validatePorts(spec: ServiceSpec): readonly FieldError[] {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  return ports.flatMap((port, i) => {
    const path = `spec.ports[${String(i)}]`;
    const errors = [...validatePortName(port, ports.length > 1, names, `${path}.name`)];
    errors.push(
      ...validatePortNumber(port.port, `${path}.port`),
      ...validateOneOf(port.protocol, PROTOCOLS, `${path}.protocol`),
      ...validatePortNumberOrName(port.targetPort ?? 0, `${path}.targetPort`),
    );
    if (port.appProtocol !== undefined) {
      errors.push(...validateQualifiedName(port.appProtocol, `${path}.appProtocol`));
    }
    return errors;
  });
}

function validatePortName(
  { name = "" }: ServicePort,
  isRequired: boolean,
  seen: Set<string>,
  path: string,
): readonly FieldError[] {
  if (name === "") return isRequired ? [required(path)] : [];
  const errors = [...validateDnsLabel(name, path)];
  if (seen.has(name)) errors.push(duplicate(path, name));
  seen.add(name);
  return errors;
}

/** VAL-014. */
function validateAffinity(spec: ServiceSpec): readonly FieldError[] {
  const errors = [
    ...validateOneOf(spec.sessionAffinity, SESSION_AFFINITIES, "spec.sessionAffinity"),
  ];
  const path = "spec.sessionAffinityConfig";
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "None" && config !== undefined) {
    errors.push(forbidden(path, "must not be set when session affinity is None"));
  }
  if (spec.sessionAffinity === "ClientIP") {
    const text = "when session affinity type is ClientIP";
    const timeout = config?.clientIP?.timeoutSeconds;
    if (config === undefined) errors.push(required(path, text));
    else if (config.clientIP === undefined) errors.push(required(`${path}.clientIP`, text));
    else if (timeout === undefined) errors.push(required(`${path}.clientIP.timeoutSeconds`, text));
    else if (timeout <= 0 || timeout > MAX_AFFINITY_TIMEOUT_SECONDS) {
      const bounds = `must be greater than 0 and less than ${String(MAX_AFFINITY_TIMEOUT_SECONDS)}`;
      errors.push(invalid(`${path}.clientIP.timeoutSeconds`, timeout, bounds));
    }
  }
  return errors;
}

/** VAL-018. */
function validateExternalIp(text: string, i: number): readonly FieldError[] {
  const path = `spec.externalIPs[${String(i)}]`;
  const address = parseIpAddress(text);
  return address === undefined ? validateIp(text, path) : validateNonSpecialIp(address, path);
}

/** VAL-006, VAL-007, VAL-009. */
function validateNodePorts(spec: ServiceSpec): readonly FieldError[] {
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  if (spec.type === "ClusterIP") {
    ports.forEach(({ nodePort = 0 }, i) => {
      if (nodePort === 0) return;
      const text = "may not be used when `type` is 'ClusterIP'";
      errors.push(forbidden(`spec.ports[${String(i)}].nodePort`, text));
    });
  }
  const seenNodePorts = new Set<string>();
  ports.forEach(({ nodePort = 0, protocol }, i) => {
    const key = `${protocol}/${String(nodePort)}`;
    if (nodePort !== 0 && seenNodePorts.has(key)) {
      errors.push(duplicate(`spec.ports[${String(i)}].nodePort`, nodePort));
    }
    seenNodePorts.add(key);
  });
  const seenPorts = new Set<string>();
  ports.forEach(({ port, protocol }, i) => {
    const key = `${protocol}/${String(port)}`;
    if (seenPorts.has(key)) {
      errors.push(duplicate(`spec.ports[${String(i)}]`, { protocol, port }));
    }
    seenPorts.add(key);
  });
  return errors;
}

/** VAL-019, VAL-020. The field's path has a capital L upstream. */
function validateSourceRanges(service: Service): readonly FieldError[] {
  const { spec } = service;
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = service.metadata.annotations?.[SOURCE_RANGES_ANNOTATION];
  if (ranges.length === 0 && annotation === undefined) return [];
  const path =
    ranges.length > 0
      ? "spec.LoadBalancerSourceRanges"
      : `metadata.annotations[${SOURCE_RANGES_ANNOTATION}]`;
  const errors: FieldError[] = [];
  if (spec.type !== "LoadBalancer") errors.push(forbidden(path, ONLY_LOAD_BALANCER));
  const text = annotation?.trim() ?? "";
  const values = ranges.length > 0 ? ranges : text === "" ? [] : text.split(",");
  values.forEach((value, i) => {
    errors.push(...validateCidr(value.trim(), `${path}[${String(i)}]`));
  });
  return errors;
}

/** VAL-021. The path has no `spec.` upstream. */
function validateAllocateNodePorts(spec: ServiceSpec): readonly FieldError[] {
  const path = "allocateLoadBalancerNodePorts";
  const isSet = spec.allocateLoadBalancerNodePorts !== undefined;
  if (spec.type === "LoadBalancer") return isSet ? [] : [required(path)];
  return isSet ? [forbidden(path, ONLY_LOAD_BALANCER)] : [];
}

/** VAL-022. */
function validateLoadBalancerClass(spec: ServiceSpec): readonly FieldError[] {
  const path = "spec.loadBalancerClass";
  if (spec.loadBalancerClass === undefined) return [];
  return spec.type === "LoadBalancer"
    ? validateQualifiedName(spec.loadBalancerClass, path)
    : [forbidden(path, ONLY_LOAD_BALANCER)];
}

/** VAL-023, VAL-024. */
function validateExternalTraffic(spec: ServiceSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const path = "spec.externalTrafficPolicy";
  if (isExternallyAccessible(spec)) {
    errors.push(...validateOneOf(spec.externalTrafficPolicy, TRAFFIC_POLICIES, path));
  } else if (spec.externalTrafficPolicy !== undefined) {
    const text = "may only be set for externally-accessible services";
    errors.push(invalid(path, spec.externalTrafficPolicy, text));
  }
  const port = spec.healthCheckNodePort ?? 0;
  if (needsHealthCheckNodePort(spec)) {
    errors.push(...validatePortNumber(port, "spec.healthCheckNodePort"));
  } else if (port !== 0) {
    const text =
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalid("spec.healthCheckNodePort", port, text));
  }
  return errors;
}
