import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { podColumns } from "./pod.columns.ts";
import { defaultPod } from "./pod.defaults.ts";
import {
  podGraceSeconds,
  preparePodForCreate,
  preparePodForStatusUpdate,
  preparePodForUpdate,
} from "./pod.strategy.ts";
import { pod } from "./pod.ts";
import type { Pod } from "./pod.ts";
import { validatePodUpdate } from "./pod-update.validation.ts";
import { validatePod } from "./pod.validation.ts";

export const podKind: KindDefinition<Pod> = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  namespaced: true,
  schema: pod,
  columns: podColumns,
  selectableFields: [
    { path: "spec.nodeName", value: (object) => object.spec.nodeName ?? "" },
    { path: "spec.host", value: (object) => object.spec.nodeName ?? "" },
    { path: "spec.restartPolicy", value: (object) => object.spec.restartPolicy ?? "" },
    { path: "spec.schedulerName", value: (object) => object.spec.schedulerName ?? "" },
    { path: "spec.serviceAccountName", value: (object) => object.spec.serviceAccountName ?? "" },
    { path: "spec.hostNetwork", value: (object) => String(object.spec.hostNetwork ?? false) },
    { path: "status.phase", value: (object) => object.status?.phase ?? "" },
    { path: "status.podIP", value: (object) => object.status?.podIP ?? "" },
    {
      path: "status.podIPs",
      value: (object) => (object.status?.podIPs ?? []).map(({ ip }) => ip).join(","),
    },
    {
      path: "status.nominatedNodeName",
      value: (object) => object.status?.nominatedNodeName ?? "",
    },
  ],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: defaultPod,
    prepareForCreate: preparePodForCreate,
    prepareForUpdate: preparePodForUpdate,
    prepareForStatusUpdate: preparePodForStatusUpdate,
    validateCreate: validatePod,
    validateUpdate: validatePodUpdate,
    validateStatusUpdate: () => [],
    generation: "spec",
    deleteGraceSeconds: podGraceSeconds,
  },
};
