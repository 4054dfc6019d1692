import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, list, message, present, string, stringOf } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectReference } from "./reference.ts";
import { PROTOCOLS } from "./service.ts";

const V1 = "io.k8s.api.core.v1";

const endpointAddress = message(
  `${V1}.EndpointAddress`,
  "One address that serves.",
  {
    ip: present(1, string, { required: true, description: "The address." }),
    targetRef: field(2, objectReference, { description: "The object behind it, usually a Pod." }),
    hostname: field(3, string, { description: "Its name in the DNS of a headless Service." }),
    nodeName: field(4, string, { pointer: true, description: "The node that it is on." }),
  },
  { atomic: true },
);
export interface EndpointAddress extends ValueOf<typeof endpointAddress> {}

const endpointsPort = message(
  `${V1}.EndpointPort`,
  "One port of all addresses of a subset.",
  {
    name: field(1, string, { description: "Name of the Service's port." }),
    port: present(2, int32, { required: true, description: "Number of the port." }),
    protocol: present(3, stringOf(PROTOCOLS), {
      description: "TCP, UDP or SCTP.",
      enum: PROTOCOLS,
    }),
    appProtocol: field(4, string, {
      pointer: true,
      description: "What is spoken on the port, as a hint.",
    }),
  },
  { atomic: true },
);
export interface EndpointsPort extends ValueOf<typeof endpointsPort> {}

const endpointSubset = message(`${V1}.EndpointSubset`, "Addresses that have the same ports.", {
  addresses: field(1, list(endpointAddress), { description: "Addresses that are ready." }),
  notReadyAddresses: field(2, list(endpointAddress), {
    description: "Addresses that are not ready.",
  }),
  ports: field(3, list(endpointsPort), { description: "Ports of each of the addresses." }),
});
export interface EndpointSubset extends ValueOf<typeof endpointSubset> {}

export const endpoints = message(
  `${V1}.Endpoints`,
  "The addresses behind a Service, in the old form. Deprecated in favour of EndpointSlice.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    subsets: field(2, list(endpointSubset), { description: "All addresses with their ports." }),
  },
);
export interface Endpoints extends ValueOf<typeof endpoints> {}
