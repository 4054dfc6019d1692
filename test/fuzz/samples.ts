import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import { derivedOf } from "./derived.ts";
import type { JsonObject } from "../../src/api/machinery/json.ts";

type Sample = JsonObject & { readonly metadata: JsonObject };

const META = {
  name: "a",
  labels: { app: "x" },
  annotations: { "example.org/a": "b" },
} as const;

/** One valid object of each kind, with as many fields as random changes can do harm to. */
const SAMPLES: Readonly<Record<string, Sample>> = {
  Service: {
    metadata: { ...META, finalizers: ["example.org/f"] },
    spec: {
      type: "NodePort",
      selector: { app: "x" },
      ports: [
        { name: "http", port: 80, targetPort: 8080, protocol: "TCP", appProtocol: "http" },
        { name: "dns", port: 53, targetPort: "dns", protocol: "UDP" },
      ],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      externalTrafficPolicy: "Local",
      internalTrafficPolicy: "Cluster",
      ipFamilyPolicy: "SingleStack",
      externalIPs: ["192.0.2.1"],
    },
    status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } },
  },
  Pod: {
    metadata: META,
    spec: {
      containers: [
        {
          name: "c",
          image: "i",
          command: ["x"],
          env: [
            { name: "A", value: "b" },
            { name: "F", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          ports: [{ name: "http", containerPort: 80 }],
          readinessProbe: { httpGet: { path: "/", port: 80 }, periodSeconds: 1 },
          resources: { requests: { cpu: "100m", memory: "1Gi" } },
          volumeMounts: [{ name: "v", mountPath: "/v" }],
        },
      ],
      volumes: [{ name: "v", emptyDir: {} }],
      tolerations: [{ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 }],
      nodeSelector: { a: "b" },
    },
    status: {
      phase: "Running",
      podIP: "10.1.0.1",
      podIPs: [{ ip: "10.1.0.1" }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  },
  Node: {
    metadata: META,
    spec: {
      podCIDR: "10.1.0.0/24",
      podCIDRs: ["10.1.0.0/24"],
      taints: [{ key: "k", effect: "NoSchedule" }],
    },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
      capacity: { cpu: "2", memory: "1Gi" },
    },
  },
  Namespace: { metadata: META, spec: { finalizers: ["kubernetes"] } },
  ConfigMap: { metadata: META, data: { a: "b" }, binaryData: { c: "AAEC" }, immutable: false },
  Secret: { metadata: META, type: "Opaque", data: { a: "AAEC" } },
  ServiceAccount: { metadata: META, secrets: [{ name: "s" }], automountServiceAccountToken: false },
  Event: {
    metadata: META,
    involvedObject: { kind: "Pod", name: "a", namespace: "fuzz" },
    reason: "R",
    message: "m",
    type: "Normal",
    count: 1,
    firstTimestamp: "2024-01-01T00:00:00Z",
  },
  Endpoints: {
    metadata: META,
    subsets: [
      {
        addresses: [{ ip: "10.1.0.1", nodeName: "n" }],
        notReadyAddresses: [{ ip: "10.1.0.2" }],
        ports: [{ name: "http", port: 80, protocol: "TCP" }],
      },
    ],
  },
  EndpointSlice: {
    metadata: META,
    addressType: "IPv4",
    endpoints: [
      {
        addresses: ["10.1.0.1"],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: "n",
        zone: "z",
      },
    ],
    ports: [{ name: "http", port: 80, protocol: "TCP" }],
  },
  Lease: {
    metadata: META,
    spec: {
      holderIdentity: "h",
      leaseDurationSeconds: 15,
      acquireTime: "2024-01-01T00:00:00.000000Z",
      renewTime: "2024-01-01T00:00:00.000000Z",
      leaseTransitions: 1,
    },
  },
  IPAddress: {
    metadata: { ...META, name: "10.96.77.7" },
    spec: { parentRef: { group: "", resource: "services", namespace: "fuzz", name: "a" } },
  },
  ServiceCIDR: { metadata: META, spec: { cidrs: ["10.97.0.0/24"] } },
  Role: {
    metadata: META,
    rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["a"] }],
  },
  ClusterRole: {
    metadata: META,
    rules: [
      { apiGroups: ["apps"], resources: ["*/scale"], verbs: ["*"] },
      { nonResourceURLs: ["/healthz/*"], verbs: ["get"] },
    ],
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] },
  },
  RoleBinding: {
    metadata: META,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "a" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "u" }],
  },
  ClusterRoleBinding: {
    metadata: META,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ kind: "ServiceAccount", name: "a", namespace: "fuzz" }],
  },
  A: {
    metadata: META,
    spec: { replicas: 1, name: "ab", list: [{ k: "x" }, { k: "y" }] },
    status: { replicas: 1, any: { thing: [] } },
  },
  CustomResourceDefinition: {
    metadata: { ...META, name: "as.example.org" },
    spec: {
      group: "example.org",
      scope: "Namespaced",
      names: { plural: "as", singular: "a", kind: "A", listKind: "AList", shortNames: ["aa"] },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
          },
          additionalPrinterColumns: [{ name: "N", type: "integer", jsonPath: ".spec.replicas" }],
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: {
                  type: "object",
                  required: ["replicas"],
                  properties: {
                    replicas: { type: "integer", minimum: 0, default: 1 },
                    name: { type: "string", pattern: "^(a|b)*$", maxLength: 10 },
                    list: {
                      type: "array",
                      "x-kubernetes-list-type": "map",
                      "x-kubernetes-list-map-keys": ["k"],
                      items: {
                        type: "object",
                        required: ["k"],
                        properties: { k: { type: "string" } },
                      },
                    },
                  },
                },
                status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              },
            },
          },
        },
      ],
    },
  },
};

/** Kinds without a sample of their own get all fields that their schema declares. */
export function sampleOf(kind: KindDefinition): Sample {
  // An Event of events.k8s.io has other fields than that of v1.
  const sample = kind.storedAs === undefined ? SAMPLES[kind.kind] : undefined;
  return sample ?? { ...derivedOf(kind.schema), metadata: META };
}

/** Every field that the schema declares, whether it goes together with the others or not. */
export function wideSampleOf(kind: KindDefinition): Sample {
  return { ...derivedOf(kind.schema), metadata: META };
}
