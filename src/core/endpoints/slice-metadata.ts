import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { OwnerReference } from "../../api/machinery/metadata.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { Service } from "../../api/v1/service.ts";

export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
/** Value of {@link MANAGED_BY_LABEL}: slices with another one, or none, are somebody else's (EPS-014). */
const SLICE_CONTROLLER = "endpointslice-controller.k8s.io";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
export const TRIGGER_TIME_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time";

const RESERVED: readonly string[] = [SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL];

/** The Service's labels and the reserved ones, which no user can set through the Service (EPS-008..010). */
export function sliceLabelsOf(service: Service): Readonly<Record<string, string>> {
  const own = Object.entries(service.metadata.labels ?? {}).filter(
    ([key]) => !RESERVED.includes(key),
  );
  const isHeadless = service.spec.clusterIP === CLUSTER_IP_NONE;
  return {
    ...Object.fromEntries(own),
    ...(isHeadless ? { [HEADLESS_LABEL]: "" } : {}),
    [SERVICE_NAME_LABEL]: service.metadata.name,
    [MANAGED_BY_LABEL]: SLICE_CONTROLLER,
  };
}

export function sliceOwnerOf(service: Service): OwnerReference {
  return {
    apiVersion: "v1",
    kind: "Service",
    name: service.metadata.name,
    uid: service.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Made by this controller, for whichever Service. */
export function isManagedSlice(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.[MANAGED_BY_LABEL] === SLICE_CONTROLLER;
}

/** Made for this Service, not for a deleted one of the same name (EPS-012). */
export function isOwnedBy(slice: EndpointSlice, service: Service): boolean {
  const owner = (slice.metadata.ownerReferences ?? []).find(
    ({ controller }) => controller === true,
  );
  return owner !== undefined && owner.uid === service.metadata.uid;
}
