import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, list, message, present, string, stringOf } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { PROTOCOLS } from "../v1/service.ts";

const MULTICLUSTER = "io.k8s.multicluster.v1alpha1";

/** Label of an imported EndpointSlice: the ServiceImport that it belongs to (KEP-1645). */
export const IMPORTED_SERVICE_LABEL = "multicluster.kubernetes.io/service-name";
/** Label of an imported EndpointSlice: the cluster of the set whose Pods it lists (KEP-1645). */
export const SOURCE_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster";

const SERVICE_IMPORT_TYPES = ["ClusterSetIP", "Headless"] as const;

const servicePort = message(`${MULTICLUSTER}.ServicePort`, "One port of an imported Service.", {
  name: field(1, string, { description: "Its name, as in the Service." }),
  protocol: field(2, stringOf(PROTOCOLS), {
    description: "TCP, UDP or SCTP; TCP by default.",
    enum: PROTOCOLS,
  }),
  appProtocol: field(3, string, { pointer: true, description: "What is spoken on it, as a hint." }),
  port: present(4, int32, { required: true, description: "Its number." }),
});

const serviceImportSpec = message(`${MULTICLUSTER}.ServiceImportSpec`, "How it is reached.", {
  ports: field(1, list(servicePort), { description: "Its ports." }),
  ips: field(2, list(string), { description: "Its addresses, where the type is ClusterSetIP." }),
  type: present(3, stringOf(SERVICE_IMPORT_TYPES), {
    required: true,
    description: "ClusterSetIP or Headless.",
    enum: SERVICE_IMPORT_TYPES,
  }),
  sessionAffinity: field(4, string, { description: "As of a Service." }),
});

const clusterStatus = message(`${MULTICLUSTER}.ClusterStatus`, "A cluster that exports it.", {
  cluster: present(1, string, { required: true, description: "Its name in the set." }),
});

const serviceImportStatus = message(`${MULTICLUSTER}.ServiceImportStatus`, "Where it is from.", {
  clusters: field(1, list(clusterStatus), { description: "The clusters that export it." }),
});

/** A Service of a set of clusters (KEP-1645), as its CustomResourceDefinition serves it. */
export const serviceImport = message(
  `${MULTICLUSTER}.ServiceImport`,
  "A Service that clusters of a set export under one name, as this cluster sees it.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: field(2, serviceImportSpec, { description: "How it is reached." }),
    status: field(3, serviceImportStatus, { description: "Where it is from." }),
  },
);
export interface ServiceImport extends ValueOf<typeof serviceImport> {}
