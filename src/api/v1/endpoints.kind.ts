import { parseIpAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import { formatHostPort } from "../../net/host-port.ts";
import { AGE_COLUMN, formatSome, NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { endpoints } from "./endpoints.ts";
import type { Endpoints } from "./endpoints.ts";
import { validateEndpoints } from "./endpoints.validation.ts";

const DEPRECATION = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

function defaultEndpoints(object: Endpoints): Endpoints {
  const filled = withZeroValues(endpoints, object);
  if (filled.subsets === undefined) return filled;
  const subsets = filled.subsets.map((subset) =>
    subset.ports === undefined
      ? subset
      : {
          ...subset,
          ports: subset.ports.map((port) => ({ ...port, protocol: port.protocol || "TCP" })),
        },
  );
  return { ...filled, subsets };
}

/** `address:port` of every ready address, or the bare addresses where a subset has no ports. */
function formatEndpoints({ subsets = [] }: Endpoints): string {
  const texts = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map((address) => address.ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => formatEndpoint(ip, port))),
  );
  return subsets.length === 0 ? "<none>" : formatSome(texts, "");
}

function formatEndpoint(ip: string, port: number): string {
  const address = parseIpAddress(ip);
  return address === undefined ? `${ip}:${String(port)}` : formatHostPort(address, port);
}

/** Endpoints as a server serves it; see `endpointSliceKindFor`. */
export function endpointsKindFor(loopbackAllowed: readonly Cidr[]): KindDefinition<Endpoints> {
  const validate = (object: Endpoints) => validateEndpoints(object, loopbackAllowed);
  return {
    group: "",
    version: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    shortNames: ["ep"],
    categories: [],
    namespaced: true,
    schema: endpoints,
    columns: [
      NAME_COLUMN,
      {
        name: "Endpoints",
        type: "string",
        description: "Addresses that are ready, with their ports.",
        priority: 0,
        cell: formatEndpoints,
      },
      AGE_COLUMN,
    ],
    selectableFields: [],
    deprecation: DEPRECATION,
    strategy: {
      ...PLAIN_STRATEGY,
      defaults: defaultEndpoints,
      validateCreate: validate,
      validateUpdate: validate,
      createOnUpdate: true,
    },
  };
}

/** Endpoints as clients know it; as a server's kind it refuses all loopback addresses. */
export const endpointsKind: KindDefinition<Endpoints> = endpointsKindFor([]);
