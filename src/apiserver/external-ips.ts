import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Service } from "../api/v1/service.ts";
import { forbidden } from "./failures.ts";

/**
 * Admission plug-in DenyServiceExternalIPs (SVC-032): external IPs may stay and go, but not come, since who sets
 * them takes traffic that is meant for others (CVE-2020-8554).
 * @throws StatusError 403.
 */
export function denyNewExternalIps(
  kind: KindDefinition,
  service: Service,
  old: Service | undefined,
): void {
  const before = old?.spec.externalIPs ?? [];
  if ((service.spec.externalIPs ?? []).every((ip) => before.includes(ip))) return;
  throw forbidden(
    kind,
    service.metadata.name,
    "Use of external IPs is denied by admission control.",
  );
}
