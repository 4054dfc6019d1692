import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpFamily } from "../../net/address.ts";
import { CLUSTER_IP_NONE } from "./service.ts";
import type { Service, ServiceSpec } from "./service.ts";

/**
 * Derives addresses, families and policy of a Service that was stored before these fields were (SVC-010;
 * upstream `storage.go:defaultOnRead`).
 * @param primary the cluster's first family, which headless Services have.
 */
export function completeStoredService(service: Service, primary: IpFamily): Service {
  const { spec } = service;
  if (spec.type === "ExternalName" || (spec.clusterIP ?? "") === "") return service;
  const isComplete =
    (spec.clusterIPs ?? []).length > 0 &&
    (spec.ipFamilies ?? []).length > 0 &&
    spec.ipFamilyPolicy !== undefined;
  if (isComplete) return service;
  const clusterIPs = (spec.clusterIPs ?? []).length > 0 ? spec.clusterIPs : [spec.clusterIP ?? ""];
  return { ...service, spec: withFamilies({ ...spec, clusterIPs }, primary) };
}

function withFamilies(spec: ServiceSpec, primary: IpFamily): ServiceSpec {
  const isHeadless = spec.clusterIP === CLUSTER_IP_NONE;
  const isFree = isHeadless && Object.keys(spec.selector ?? {}).length === 0;
  const other = primary === "IPv4" ? "IPv6" : "IPv4";
  const headless: readonly IpFamily[] = isFree ? [primary, other] : [primary];
  const { ipFamilies: stored = [] } = spec;
  const derived = isHeadless ? headless : familiesOf(spec);
  const ipFamilies = stored.length > 0 ? stored : derived;
  const isDual = ipFamilies.length > 1;
  return {
    ...spec,
    ipFamilies,
    ipFamilyPolicy: spec.ipFamilyPolicy ?? (isDual ? "RequireDualStack" : "SingleStack"),
  };
}

function familiesOf(spec: ServiceSpec): readonly IpFamily[] {
  return (spec.clusterIPs ?? []).flatMap((text) => {
    const ip = parseIpAddress(text);
    return ip === undefined ? [] : [ipFamilyOf(ip)];
  });
}
