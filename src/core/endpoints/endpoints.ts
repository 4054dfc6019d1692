import type { Draft } from "../../api/machinery/metadata.ts";
import type { Endpoints, EndpointSubset } from "../../api/v1/endpoints.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { CLUSTER_IP_NONE } from "../../api/v1/service.ts";
import type { Service } from "../../api/v1/service.ts";
import { isSameMap } from "./pod-address.ts";
import { HEADLESS_LABEL, TRIGGER_TIME_ANNOTATION } from "./slice-metadata.ts";
import type { podEndpointOf } from "./pod-endpoint.ts";
import { endpointSubsetsOf } from "./subsets.ts";

const ENDPOINTS_MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by";
const ENDPOINTS_CONTROLLER = "endpoint-controller";
const OVER_CAPACITY_ANNOTATION = "endpoints.kubernetes.io/over-capacity";

export interface EndpointsObserved {
  /** One with a selector that is not of type ExternalName. */
  readonly service: Service;
  /** Pods of the Service's namespace that its selector takes. */
  readonly pods: readonly Pod[];
  /** The Endpoints object of the Service's name. */
  readonly existing?: Endpoints | undefined;
  readonly triggerTime?: string | undefined;
  /** {@link podEndpointOf}, or what remembers its results. */
  readonly endpointOf?: typeof podEndpointOf | undefined;
}

export type EndpointsPlan =
  | { readonly kind: "none" }
  | { readonly kind: "create"; readonly object: Draft<Endpoints> }
  | { readonly kind: "update"; readonly object: Endpoints };

/** What to write so that the Service's Endpoints object says where its Pods are (EP-001..017). */
export function planEndpoints(observed: EndpointsObserved): EndpointsPlan {
  const { service, pods, existing, triggerTime, endpointOf } = observed;
  const { subsets, isTruncated } = endpointSubsetsOf(service, pods, endpointOf);
  const labels = endpointsLabelsOf(service);
  const others = Object.entries(existing?.metadata.annotations ?? {}).filter(
    ([key]) => key !== TRIGGER_TIME_ANNOTATION && key !== OVER_CAPACITY_ANNOTATION,
  );
  const annotations: Record<string, string> = Object.fromEntries(others);
  if (triggerTime !== undefined) annotations[TRIGGER_TIME_ANNOTATION] = triggerTime;
  if (isTruncated) annotations[OVER_CAPACITY_ANNOTATION] = "truncated";
  const withAnnotations = Object.keys(annotations).length === 0 ? {} : { annotations };
  if (existing === undefined) {
    const { name, namespace } = service.metadata;
    const metadata = { name, namespace, labels, ...withAnnotations };
    return {
      kind: "create",
      object: { apiVersion: "v1", kind: "Endpoints", metadata, ...withSubsets(subsets) },
    };
  }
  const wasTruncated = existing.metadata.annotations?.[OVER_CAPACITY_ANNOTATION] === "truncated";
  const isSame =
    isSameSubsets(existing.subsets ?? [], subsets) &&
    isSameMap(existing.metadata.labels, labels) &&
    wasTruncated === isTruncated;
  if (isSame) return { kind: "none" };
  const { annotations: _old, ...metadata } = existing.metadata;
  const { subsets: _oldSubsets, ...rest } = existing;
  return {
    kind: "update",
    object: {
      ...rest,
      metadata: { ...metadata, labels, ...withAnnotations },
      ...withSubsets(subsets),
    },
  };
}

/** Made by this controller: when its Service is gone, it goes too. */
export function isManagedEndpoints(endpoints: Endpoints): boolean {
  return endpoints.metadata.labels?.[ENDPOINTS_MANAGED_BY_LABEL] === ENDPOINTS_CONTROLLER;
}

/** EP-008. */
function endpointsLabelsOf(service: Service): Readonly<Record<string, string>> {
  const own = Object.entries(service.metadata.labels ?? {}).filter(
    ([key]) => key !== HEADLESS_LABEL,
  );
  const isHeadless = service.spec.clusterIP === CLUSTER_IP_NONE;
  return {
    ...Object.fromEntries(own),
    ...(isHeadless ? { [HEADLESS_LABEL]: "" } : {}),
    [ENDPOINTS_MANAGED_BY_LABEL]: ENDPOINTS_CONTROLLER,
  };
}

function withSubsets(subsets: readonly EndpointSubset[]): {
  readonly subsets?: readonly EndpointSubset[];
} {
  return subsets.length === 0 ? {} : { subsets };
}

/** The server keeps the order of lists, so what was written comes back in the order of the plan. */
function isSameSubsets(a: readonly EndpointSubset[], b: readonly EndpointSubset[]): boolean {
  return fingerprint(a) === fingerprint(b);
}

/** A text that is the same for equal values, however their keys are ordered and whatever is spelled out. */
function fingerprint(subsets: readonly EndpointSubset[]): string {
  const addresses = (list: EndpointSubset["addresses"]): unknown =>
    (list ?? []).map(({ ip, hostname = "", nodeName = "", targetRef = {} }) => [
      ip,
      hostname,
      nodeName,
      targetRef.kind,
      targetRef.namespace,
      targetRef.name,
      targetRef.uid,
    ]);
  return JSON.stringify(
    subsets.map((subset) => [
      addresses(subset.addresses),
      addresses(subset.notReadyAddresses),
      (subset.ports ?? []).map((p) => [p.name ?? "", p.port, p.protocol, p.appProtocol ?? ""]),
    ]),
  );
}
