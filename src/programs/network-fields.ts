import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";

/** Written by kubectl: all of the object once more, as text. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

/** What nearly all endpoints are, so that they share it. */
const READY = { ready: true, serving: true, terminating: false };

/**
 * For informers of a node's proxy, DNS and agent: an object without what these do not read. At 100,000 endpoints the
 * rest, such as which Pod each is, would be more than all that the proxy keeps itself.
 */
export function networkFieldsOf(
  nodeName: string,
): <T extends KubernetesObject>(kind: KindDefinition<T>, object: T) => T {
  return <T extends KubernetesObject>(kind: KindDefinition<T>, object: T): T => {
    // The cases tell the kinds apart, and what is left out is optional in each.
    switch (kind.plural) {
      case serviceKind.plural:
        return trimmedService(object as unknown as Service) as unknown as T;
      case endpointSliceKind.plural:
        return trimmedSlice(object as unknown as EndpointSlice, nodeName) as unknown as T;
      default:
        return object;
    }
  };
}

function trimmedService(service: Service): Service {
  const { ownerReferences: _owners, generation: _generation, ...metadata } = service.metadata;
  const { [LAST_APPLIED]: _applied, ...annotations } = metadata.annotations ?? {};
  const { selector: _selector, ...spec } = service.spec;
  return { ...service, metadata: { ...metadata, annotations }, spec };
}

function trimmedSlice(slice: EndpointSlice, nodeName: string): EndpointSlice {
  const { name, namespace, uid, resourceVersion, labels, annotations } = slice.metadata;
  const metadata = { name, namespace, uid, resourceVersion, labels, annotations };
  const endpoints = (slice.endpoints ?? []).map((endpoint) => trimmedEndpoint(endpoint, nodeName));
  return { ...slice, metadata, endpoints };
}

function trimmedEndpoint(endpoint: Endpoint, nodeName: string): Endpoint {
  const { addresses, conditions, hints, hostname } = endpoint;
  const isPlain =
    conditions?.ready === true && conditions.serving === true && conditions.terminating === false;
  const isHere = endpoint.nodeName === nodeName;
  return {
    addresses,
    conditions: isPlain ? READY : conditions,
    // Only whether it is on this node counts, and which Pod it is only here: the node's agent lets it end in peace.
    nodeName: isHere ? nodeName : undefined,
    targetRef: isHere ? endpoint.targetRef : undefined,
    hints,
    hostname,
  };
}
