import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, intOrString, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const NETWORKING = "io.k8s.api.networking.v1";

const networkPolicyPort = message(`${NETWORKING}.NetworkPolicyPort`, "Ports of a protocol.", {
  protocol: field(1, string, { pointer: true }),
  port: field(2, intOrString, { pointer: true }),
  endPort: field(3, int32, { pointer: true }),
});

const ipBlock = message(`${NETWORKING}.IPBlock`, "A range of addresses.", {
  cidr: present(1, string, { required: true }),
  except: field(2, list(string)),
});

const networkPolicyPeer = message(`${NETWORKING}.NetworkPolicyPeer`, "Who is on the other side.", {
  podSelector: field(1, labelSelector),
  namespaceSelector: field(2, labelSelector),
  ipBlock: field(3, ipBlock),
});

const ingressRule = message(`${NETWORKING}.NetworkPolicyIngressRule`, "What may come in.", {
  ports: field(1, list(networkPolicyPort)),
  from: field(2, list(networkPolicyPeer)),
});

const egressRule = message(`${NETWORKING}.NetworkPolicyEgressRule`, "What may go out.", {
  ports: field(1, list(networkPolicyPort)),
  to: field(2, list(networkPolicyPeer)),
});

const networkPolicySpec = message(`${NETWORKING}.NetworkPolicySpec`, "Which traffic may be.", {
  podSelector: field(1, labelSelector, { description: "Whose; all Pods' when it is empty." }),
  ingress: field(2, list(ingressRule)),
  egress: field(3, list(egressRule)),
  policyTypes: field(4, list(string)),
});

export const networkPolicy = message(`${NETWORKING}.NetworkPolicy`, "Bounds Pods' traffic.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, networkPolicySpec, { description: "Which traffic may be." }),
});
export interface NetworkPolicy extends ValueOf<typeof networkPolicy> {}
