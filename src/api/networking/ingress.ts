import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, inline, int32, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const NETWORKING = "io.k8s.api.networking.v1";
const REQUIRED = { required: true } as const;

const typedLocalObjectReference = message(
  "io.k8s.api.core.v1.TypedLocalObjectReference",
  "Names an object of some kind in the same namespace.",
  {
    apiGroup: field(1, string, { pointer: true }),
    kind: present(2, string, REQUIRED),
    name: present(3, string, REQUIRED),
  },
  { atomic: true },
);

const serviceBackendPort = message(
  `${NETWORKING}.ServiceBackendPort`,
  "A port of a Service, by its name or number.",
  { name: field(1, string), number: field(2, int32) },
  { atomic: true },
);

const ingressServiceBackend = message(`${NETWORKING}.IngressServiceBackend`, "A Service.", {
  name: present(1, string, REQUIRED),
  port: field(2, serviceBackendPort),
});

const ingressBackend = message(`${NETWORKING}.IngressBackend`, "Where requests go.", {
  resource: field(3, typedLocalObjectReference),
  service: field(4, ingressServiceBackend),
});

const httpIngressPath = message(`${NETWORKING}.HTTPIngressPath`, "Requests of a path.", {
  path: field(1, string),
  backend: present(2, ingressBackend, REQUIRED),
  pathType: present(3, string, REQUIRED),
});

const httpIngressRuleValue = message(`${NETWORKING}.HTTPIngressRuleValue`, "Paths of a host.", {
  paths: present(1, list(httpIngressPath), REQUIRED),
});

const ingressRuleValue = message(`${NETWORKING}.IngressRuleValue`, "What a rule does.", {
  http: field(1, httpIngressRuleValue),
});

const ingressRule = message(`${NETWORKING}.IngressRule`, "Requests for a host.", {
  host: field(1, string),
  ingressRuleValue: inline(2, ingressRuleValue),
});

const ingressTls = message(`${NETWORKING}.IngressTLS`, "Hosts of a certificate.", {
  hosts: field(1, list(string)),
  secretName: field(2, string),
});

const ingressSpec = message(`${NETWORKING}.IngressSpec`, "Which requests go where.", {
  defaultBackend: field(1, ingressBackend),
  tls: field(2, list(ingressTls)),
  rules: field(3, list(ingressRule)),
  ingressClassName: field(4, string, { pointer: true }),
});

const ingressPortStatus = message(`${NETWORKING}.IngressPortStatus`, "A port of it.", {
  port: present(1, int32, REQUIRED),
  protocol: present(2, string, REQUIRED),
  error: field(3, string, { pointer: true }),
});

const ingressLoadBalancerIngress = message(
  `${NETWORKING}.IngressLoadBalancerIngress`,
  "An address where it is reached.",
  {
    ip: field(1, string),
    hostname: field(2, string),
    ports: field(4, list(ingressPortStatus)),
  },
);

const ingressLoadBalancerStatus = message(
  `${NETWORKING}.IngressLoadBalancerStatus`,
  "Where it is reached.",
  { ingress: field(1, list(ingressLoadBalancerIngress)) },
);

const ingressStatus = message(`${NETWORKING}.IngressStatus`, "Where it is reached.", {
  loadBalancer: field(1, ingressLoadBalancerStatus),
});

export const ingress = message(`${NETWORKING}.Ingress`, "Sends HTTP requests to Services.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, ingressSpec, { description: "Which requests go where." }),
  status: field(3, ingressStatus, { description: "Where it is reached." }),
});
export interface Ingress extends ValueOf<typeof ingress> {}

const ingressClassParametersReference = message(
  `${NETWORKING}.IngressClassParametersReference`,
  "Names an object with settings.",
  {
    apiGroup: field(1, string, { pointer: true }),
    kind: present(2, string, REQUIRED),
    name: present(3, string, REQUIRED),
    scope: field(4, string, { pointer: true }),
    namespace: field(5, string, { pointer: true }),
  },
);

const ingressClassSpec = message(`${NETWORKING}.IngressClassSpec`, "Who serves the class.", {
  controller: field(1, string),
  parameters: field(2, ingressClassParametersReference),
});

export const ingressClass = message(`${NETWORKING}.IngressClass`, "A class of Ingresses.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, ingressClassSpec, { description: "Who serves the class." }),
});
export interface IngressClass extends ValueOf<typeof ingressClass> {}
