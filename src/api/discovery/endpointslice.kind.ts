import type { Cidr } from "../../net/cidr.ts";
import { AGE_COLUMN, formatSome, NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { endpointSlice } from "./endpointslice.ts";
import type { EndpointSlice } from "./endpointslice.ts";
import { validateEndpointSlice, validateEndpointSliceUpdate } from "./endpointslice.validation.ts";

function defaultEndpointSlice(object: EndpointSlice): EndpointSlice {
  const slice = withZeroValues(endpointSlice, object);
  if (slice.ports === undefined) return slice;
  const ports = slice.ports.map((port) => ({
    ...port,
    name: port.name ?? "",
    protocol: port.protocol ?? ("TCP" as const),
  }));
  return { ...slice, ports };
}

/** The v1 form does not write the old topology (VAL-043). */
function withoutTopology(object: EndpointSlice): EndpointSlice {
  if (object.endpoints.every((endpoint) => endpoint.deprecatedTopology === undefined)) {
    return object;
  }
  const endpoints = object.endpoints.map(({ deprecatedTopology, ...endpoint }) => {
    void deprecatedTopology; // Taken out.
    return endpoint;
  });
  return { ...object, endpoints };
}

/**
 * EndpointSlice as a server serves it that admits loopback addresses of Pods.
 * @param loopbackAllowed the ranges of our own Pods in the loopback mode. Who may write such slices is the
 *   server's decision.
 */
export function endpointSliceKindFor(
  loopbackAllowed: readonly Cidr[],
): KindDefinition<EndpointSlice> {
  return {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    shortNames: [],
    categories: [],
    namespaced: true,
    schema: endpointSlice,
    columns: [
      NAME_COLUMN,
      {
        name: "AddressType",
        type: "string",
        description: "IPv4, IPv6 or FQDN.",
        priority: 0,
        cell: (slice) => slice.addressType,
      },
      {
        name: "Ports",
        type: "string",
        description: "Ports of each of the endpoints; * is all.",
        priority: 0,
        cell: (slice) =>
          formatSome(
            (slice.ports ?? []).map(({ port, name }) =>
              port === undefined ? name || "*" : String(port),
            ),
            "<unset>",
          ),
      },
      {
        name: "Endpoints",
        type: "string",
        description: "Addresses of the endpoints.",
        priority: 0,
        cell: (slice) =>
          formatSome(
            slice.endpoints.flatMap((endpoint) => endpoint.addresses),
            "<unset>",
          ),
      },
      AGE_COLUMN,
    ],
    selectableFields: [],
    strategy: {
      ...PLAIN_STRATEGY,
      defaults: defaultEndpointSlice,
      prepareForCreate: withoutTopology,
      prepareForUpdate: withoutTopology,
      validateCreate: (slice) => validateEndpointSlice(slice, loopbackAllowed),
      validateUpdate: (slice, old) => validateEndpointSliceUpdate(slice, old, loopbackAllowed),
      generation: "content",
    },
  };
}

/** EndpointSlice as clients know it; as a server's kind it refuses all loopback addresses. */
export const endpointSliceKind: KindDefinition<EndpointSlice> = endpointSliceKindFor([]);
