import { labelSelector } from "../machinery/metadata.ts";
import {
  boolean,
  field,
  inline,
  int32,
  int64,
  list,
  map,
  message,
  present,
  quantity,
  string,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectFieldSelector, resourceFieldSelector } from "./env.ts";
import { localObjectReference } from "./reference.ts";

const V1 = "io.k8s.api.core.v1";

const keyToPath = message(`${V1}.KeyToPath`, "A key, and the file that it becomes.", {
  key: present(1, string, { required: true }),
  path: present(2, string, { required: true }),
  mode: field(3, int32, { pointer: true }),
});

const configMapVolumeSource = message(`${V1}.ConfigMapVolumeSource`, "A ConfigMap as files.", {
  localObjectReference: inline(1, localObjectReference),
  items: field(2, list(keyToPath)),
  defaultMode: field(3, int32, { pointer: true }),
  optional: field(4, boolean, { pointer: true }),
});

const secretVolumeSource = message(`${V1}.SecretVolumeSource`, "A Secret as files.", {
  secretName: field(1, string),
  items: field(2, list(keyToPath)),
  defaultMode: field(3, int32, { pointer: true }),
  optional: field(4, boolean, { pointer: true }),
});

const downwardApiVolumeFile = message(`${V1}.DownwardAPIVolumeFile`, "A field as a file.", {
  path: present(1, string, { required: true }),
  fieldRef: field(2, objectFieldSelector),
  resourceFieldRef: field(3, resourceFieldSelector),
  mode: field(4, int32, { pointer: true }),
});

const downwardApiVolumeSource = message(`${V1}.DownwardAPIVolumeSource`, "The Pod as files.", {
  items: field(1, list(downwardApiVolumeFile)),
  defaultMode: field(2, int32, { pointer: true }),
});

const emptyDirVolumeSource = message(`${V1}.EmptyDirVolumeSource`, "An empty directory.", {
  medium: field(1, string),
  sizeLimit: field(2, quantity),
});

const hostPathVolumeSource = message(`${V1}.HostPathVolumeSource`, "A path of the node.", {
  path: present(1, string, { required: true }),
  type: field(2, string, { pointer: true }),
});

const persistentVolumeClaimVolumeSource = message(
  `${V1}.PersistentVolumeClaimVolumeSource`,
  "A claimed volume.",
  {
    claimName: present(1, string, { required: true }),
    readOnly: field(2, boolean),
  },
);

const csiVolumeSource = message(`${V1}.CSIVolumeSource`, "A volume of a CSI driver.", {
  driver: present(1, string, { required: true }),
  readOnly: field(2, boolean, { pointer: true }),
  fsType: field(3, string, { pointer: true }),
  volumeAttributes: field(4, map(string)),
  nodePublishSecretRef: field(5, localObjectReference),
});

const nfsVolumeSource = message(`${V1}.NFSVolumeSource`, "A directory of an NFS server.", {
  server: present(1, string, { required: true }),
  path: present(2, string, { required: true }),
  readOnly: field(3, boolean),
});

const imageVolumeSource = message(`${V1}.ImageVolumeSource`, "The files of an image.", {
  reference: field(1, string),
  pullPolicy: field(2, string),
});

const secretProjection = message(`${V1}.SecretProjection`, "A Secret as files.", {
  localObjectReference: inline(1, localObjectReference),
  items: field(2, list(keyToPath)),
  optional: field(4, boolean, { pointer: true }),
});

const configMapProjection = message(`${V1}.ConfigMapProjection`, "A ConfigMap as files.", {
  localObjectReference: inline(1, localObjectReference),
  items: field(2, list(keyToPath)),
  optional: field(4, boolean, { pointer: true }),
});

const downwardApiProjection = message(`${V1}.DownwardAPIProjection`, "The Pod as files.", {
  items: field(1, list(downwardApiVolumeFile)),
});

const serviceAccountTokenProjection = message(
  `${V1}.ServiceAccountTokenProjection`,
  "A token of the Pod's ServiceAccount as a file.",
  {
    audience: field(1, string),
    expirationSeconds: field(2, int64, { pointer: true }),
    path: present(3, string, { required: true }),
  },
);

const clusterTrustBundleProjection = message(
  `${V1}.ClusterTrustBundleProjection`,
  "Trusted certificates as a file.",
  {
    name: field(1, string, { pointer: true }),
    signerName: field(2, string, { pointer: true }),
    labelSelector: field(3, labelSelector),
    path: present(4, string, { required: true }),
    optional: field(5, boolean, { pointer: true }),
  },
);

const podCertificateProjection = message(
  `${V1}.PodCertificateProjection`,
  "A certificate for the Pod as files.",
  {
    signerName: field(1, string),
    keyType: field(2, string),
    maxExpirationSeconds: field(3, int32, { pointer: true }),
    credentialBundlePath: field(4, string),
    keyPath: field(5, string),
    certificateChainPath: field(6, string),
  },
);

const volumeProjection = message(`${V1}.VolumeProjection`, "One part of a projected volume.", {
  secret: field(1, secretProjection),
  downwardAPI: field(2, downwardApiProjection),
  configMap: field(3, configMapProjection),
  serviceAccountToken: field(4, serviceAccountTokenProjection),
  clusterTrustBundle: field(5, clusterTrustBundleProjection),
  podCertificate: field(6, podCertificateProjection),
});

const projectedVolumeSource = message(`${V1}.ProjectedVolumeSource`, "Several sources in one.", {
  sources: field(1, list(volumeProjection)),
  defaultMode: field(2, int32, { pointer: true }),
});

/** The sources that Pods of services commonly have; the others (cloud disks and the like) are kept unread. */
const volumeSource = message(
  `${V1}.VolumeSource`,
  "Where a volume's files are from.",
  {
    hostPath: field(1, hostPathVolumeSource),
    emptyDir: field(2, emptyDirVolumeSource),
    secret: field(6, secretVolumeSource),
    nfs: field(7, nfsVolumeSource),
    persistentVolumeClaim: field(10, persistentVolumeClaimVolumeSource),
    downwardAPI: field(16, downwardApiVolumeSource),
    configMap: field(19, configMapVolumeSource),
    projected: field(26, projectedVolumeSource),
    csi: field(28, csiVolumeSource),
    image: field(30, imageVolumeSource),
  },
  { preserveUnknown: true },
);

export const volume = message(
  `${V1}.Volume`,
  "Files that the containers of a Pod may mount.",
  {
    name: present(1, string, { required: true, description: "Unique in the Pod." }),
    source: inline(2, volumeSource),
  },
  { preserveUnknown: true },
);
export interface Volume extends ValueOf<typeof volume> {}

export const volumeMount = message(`${V1}.VolumeMount`, "Where a container sees a volume.", {
  name: present(1, string, { required: true }),
  readOnly: field(2, boolean),
  mountPath: present(3, string, { required: true }),
  subPath: field(4, string),
  mountPropagation: field(5, string, { pointer: true }),
  subPathExpr: field(6, string),
  recursiveReadOnly: field(7, string, { pointer: true }),
});

export const volumeDevice = message(`${V1}.VolumeDevice`, "Where a container sees a raw device.", {
  name: present(1, string, { required: true }),
  devicePath: present(2, string, { required: true }),
});
