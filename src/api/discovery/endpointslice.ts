import { objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  int32,
  list,
  map,
  message,
  present,
  string,
  stringOf,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectReference } from "../v1/reference.ts";
import { PROTOCOLS } from "../v1/service.ts";

const DISCOVERY = "io.k8s.api.discovery.v1";

export const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"] as const;
export type AddressType = (typeof ADDRESS_TYPES)[number];

const endpointConditions = message(
  `${DISCOVERY}.EndpointConditions`,
  "What an endpoint can do now. Absent means unknown, which is read as in each field's description.",
  {
    ready: field(1, boolean, {
      pointer: true,
      description:
        "It can take new connections: serving and not terminating. Absent reads as true.",
    }),
    serving: field(2, boolean, {
      pointer: true,
      description: "It answers, though perhaps terminating. Absent reads as ready.",
    }),
    terminating: field(3, boolean, {
      pointer: true,
      description: "It is ending. Absent reads as false.",
    }),
  },
);

const forZone = message(`${DISCOVERY}.ForZone`, "A zone that should use an endpoint.", {
  name: present(1, string, { required: true, description: "Name of the zone." }),
});

const forNode = message(`${DISCOVERY}.ForNode`, "A node that should use an endpoint.", {
  name: present(1, string, { required: true, description: "Name of the node." }),
});

const endpointHints = message(`${DISCOVERY}.EndpointHints`, "Who should use an endpoint.", {
  forZones: field(1, list(forZone), { description: "Zones that should use it." }),
  forNodes: field(2, list(forNode), { description: "Nodes that should use it." }),
});
export interface EndpointHints extends ValueOf<typeof endpointHints> {}

const endpoint = message(`${DISCOVERY}.Endpoint`, "One backend of a Service.", {
  addresses: present(1, list(string, { listType: "set" }), {
    required: true,
    description: "Addresses of the backend, of the slice's addressType; only the first is used.",
  }),
  conditions: present(2, endpointConditions, { description: "What the endpoint can do now." }),
  hostname: field(3, string, {
    pointer: true,
    description: "Its name in the DNS of a headless Service.",
  }),
  targetRef: field(4, objectReference, { description: "The object behind it, usually a Pod." }),
  deprecatedTopology: field(5, map(string), { description: "From v1beta1; not written any more." }),
  nodeName: field(6, string, { pointer: true, description: "The node that it is on." }),
  zone: field(7, string, { pointer: true, description: "The zone that it is in." }),
  hints: field(8, endpointHints, { description: "Who should use it." }),
});
export interface Endpoint extends ValueOf<typeof endpoint> {}

const endpointPort = message(
  `${DISCOVERY}.EndpointPort`,
  "One port of all endpoints of a slice.",
  {
    name: field(1, string, {
      pointer: true,
      description: "Name of the Service's port; empty if it has none.",
    }),
    protocol: field(2, stringOf(PROTOCOLS), {
      pointer: true,
      description: "TCP, UDP or SCTP; TCP by default.",
      enum: PROTOCOLS,
    }),
    port: field(3, int32, {
      pointer: true,
      description: "Number of the port; absent means all ports.",
    }),
    appProtocol: field(4, string, {
      pointer: true,
      description: "What is spoken on the port, as a hint.",
    }),
  },
  { atomic: true },
);
export interface EndpointPort extends ValueOf<typeof endpointPort> {}

export const endpointSlice = message(
  `${DISCOVERY}.EndpointSlice`,
  "Some of the backends of a Service, all of one address type and with the same ports.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    endpoints: present(2, list(endpoint), {
      required: true,
      description: "The backends, at most 1000.",
    }),
    ports: field(3, list(endpointPort), { description: "Ports of each of the endpoints." }),
    addressType: present(4, stringOf(ADDRESS_TYPES), {
      required: true,
      description: "IPv4, IPv6 or FQDN; cannot change.",
      enum: ADDRESS_TYPES,
    }),
  },
);
export interface EndpointSlice extends ValueOf<typeof endpointSlice> {}
