import type { Pod } from "../../api/v1/pod.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";

/** The Pod's first address of a family (DUAL-016), or undefined. */
export function podAddressOf(pod: Pod, family: IpFamily): IpAddress | undefined {
  for (const text of podAddressTexts(pod)) {
    const address = parseIpAddress(text);
    if (address !== undefined && ipFamilyOf(address) === family) return address;
  }
  return undefined;
}

/** `podIPs`, or from agents that write only the old field, `podIP`. */
function podAddressTexts(pod: Pod): readonly string[] {
  const ips = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  if (ips.length > 0) return ips;
  const { podIP = "" } = pod.status ?? {};
  return podIP === "" ? [] : [podIP];
}

/** The Ready condition is True: it takes readiness gates into account by itself (EPS-024). */
export function isPodReady(pod: Pod): boolean {
  return readyConditionOf(pod)?.status === "True";
}

export function readyConditionOf(
  pod: Pod,
): NonNullable<NonNullable<Pod["status"]>["conditions"]>[number] | undefined {
  return (pod.status?.conditions ?? []).find(({ type }) => type === "Ready");
}

export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** Has ended for good: never an endpoint, whatever else is asked for (EPS-020). */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** What of a Pod can change an endpoint (EPS-036); a change of anything else needs no look. */
export function isSameForEndpoints(before: Pod, after: Pod): boolean {
  return (
    before.metadata.uid === after.metadata.uid &&
    isSameMap(before.metadata.labels, after.metadata.labels) &&
    isTerminating(before) === isTerminating(after) &&
    isTerminal(before) === isTerminal(after) &&
    isPodReady(before) === isPodReady(after) &&
    before.spec.nodeName === after.spec.nodeName &&
    before.spec.hostname === after.spec.hostname &&
    before.spec.subdomain === after.spec.subdomain &&
    podAddressTexts(before).join() === podAddressTexts(after).join()
  );
}

export function isSameMap(
  a: Readonly<Record<string, string>> = {},
  b: Readonly<Record<string, string>> = {},
): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
