import { labelSelector } from "../machinery/metadata.ts";
import { field, int32, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const nodeSelectorRequirement = message(`${V1}.NodeSelectorRequirement`, "A test of one label.", {
  key: present(1, string, { required: true }),
  operator: present(2, string, { required: true }),
  values: field(3, list(string)),
});

const nodeSelectorTerm = message(
  `${V1}.NodeSelectorTerm`,
  "Tests of a node that must all hold.",
  {
    matchExpressions: field(1, list(nodeSelectorRequirement)),
    matchFields: field(2, list(nodeSelectorRequirement)),
  },
  { atomic: true },
);
export interface NodeSelectorTerm extends ValueOf<typeof nodeSelectorTerm> {}

const nodeSelector = message(
  `${V1}.NodeSelector`,
  "Terms of which one must hold.",
  { nodeSelectorTerms: present(1, list(nodeSelectorTerm), { required: true }) },
  { atomic: true },
);

const preferredSchedulingTerm = message(
  `${V1}.PreferredSchedulingTerm`,
  "A wish about nodes, with its weight.",
  {
    weight: present(1, int32, { required: true }),
    preference: present(2, nodeSelectorTerm, { required: true }),
  },
);

const nodeAffinity = message(`${V1}.NodeAffinity`, "Which nodes a Pod may or should run on.", {
  requiredDuringSchedulingIgnoredDuringExecution: field(1, nodeSelector),
  preferredDuringSchedulingIgnoredDuringExecution: field(2, list(preferredSchedulingTerm)),
});

const podAffinityTerm = message(`${V1}.PodAffinityTerm`, "Names Pods to be near to or far from.", {
  labelSelector: field(1, labelSelector),
  namespaces: field(2, list(string)),
  topologyKey: present(3, string, { required: true }),
  namespaceSelector: field(4, labelSelector),
  matchLabelKeys: field(5, list(string)),
  mismatchLabelKeys: field(6, list(string)),
});
export interface PodAffinityTerm extends ValueOf<typeof podAffinityTerm> {}

const weightedPodAffinityTerm = message(
  `${V1}.WeightedPodAffinityTerm`,
  "A wish about nearness to Pods, with its weight.",
  {
    weight: present(1, int32, { required: true }),
    podAffinityTerm: present(2, podAffinityTerm, { required: true }),
  },
);

const podAffinityFields = {
  requiredDuringSchedulingIgnoredDuringExecution: field(1, list(podAffinityTerm)),
  preferredDuringSchedulingIgnoredDuringExecution: field(2, list(weightedPodAffinityTerm)),
} as const;

const podAffinity = message(`${V1}.PodAffinity`, "Pods to be near to.", podAffinityFields);
const podAntiAffinity = message(`${V1}.PodAntiAffinity`, "Pods to be far from.", podAffinityFields);

export const affinity = message(`${V1}.Affinity`, "Where a Pod may or should run.", {
  nodeAffinity: field(1, nodeAffinity),
  podAffinity: field(2, podAffinity),
  podAntiAffinity: field(3, podAntiAffinity),
});

export const topologySpreadConstraint = message(
  `${V1}.TopologySpreadConstraint`,
  "How evenly Pods are spread.",
  {
    maxSkew: present(1, int32, { required: true }),
    topologyKey: present(2, string, { required: true }),
    whenUnsatisfiable: present(3, string, { required: true }),
    labelSelector: field(4, labelSelector),
    minDomains: field(5, int32, { pointer: true }),
    nodeAffinityPolicy: field(6, string, { pointer: true }),
    nodeTaintsPolicy: field(7, string, { pointer: true }),
    matchLabelKeys: field(8, list(string)),
  },
);
export interface TopologySpreadConstraint extends ValueOf<typeof topologySpreadConstraint> {}
