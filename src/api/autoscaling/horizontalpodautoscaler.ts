import { labelSelector, objectMeta, typeFields } from "../machinery/metadata.ts";
import {
  field,
  int32,
  int64,
  list,
  message,
  present,
  quantity,
  string,
  time,
} from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V2 = "io.k8s.api.autoscaling.v2";
const REQUIRED = { required: true } as const;

const crossVersionObjectReference = message(
  `${V2}.CrossVersionObjectReference`,
  "Names what is scaled.",
  {
    kind: present(1, string, REQUIRED),
    name: present(2, string, REQUIRED),
    apiVersion: field(3, string),
  },
);

const metricIdentifier = message(`${V2}.MetricIdentifier`, "Names a metric.", {
  name: present(1, string, REQUIRED),
  selector: field(2, labelSelector),
});

const metricTarget = message(`${V2}.MetricTarget`, "What a metric should be.", {
  type: present(1, string, REQUIRED),
  value: field(2, quantity, { pointer: true }),
  averageValue: field(3, quantity, { pointer: true }),
  averageUtilization: field(4, int32, { pointer: true }),
});

const objectMetricSource = message(`${V2}.ObjectMetricSource`, "A metric of an object.", {
  describedObject: present(1, crossVersionObjectReference, REQUIRED),
  target: present(2, metricTarget, REQUIRED),
  metric: present(3, metricIdentifier, REQUIRED),
});

const podsMetricSource = message(`${V2}.PodsMetricSource`, "A metric of each Pod.", {
  metric: present(1, metricIdentifier, REQUIRED),
  target: present(2, metricTarget, REQUIRED),
});

const resourceMetricSource = message(`${V2}.ResourceMetricSource`, "A resource of each Pod.", {
  name: present(1, string, REQUIRED),
  target: present(2, metricTarget, REQUIRED),
});

const containerResourceMetricSource = message(
  `${V2}.ContainerResourceMetricSource`,
  "A resource of one container of each Pod.",
  {
    name: present(1, string, REQUIRED),
    target: present(2, metricTarget, REQUIRED),
    container: present(3, string, REQUIRED),
  },
);

const externalMetricSource = message(`${V2}.ExternalMetricSource`, "A metric of elsewhere.", {
  metric: present(1, metricIdentifier, REQUIRED),
  target: present(2, metricTarget, REQUIRED),
});

const metricSpec = message(`${V2}.MetricSpec`, "What decides on the scale.", {
  type: present(1, string, REQUIRED),
  object: field(2, objectMetricSource),
  pods: field(3, podsMetricSource),
  resource: field(4, resourceMetricSource),
  external: field(5, externalMetricSource),
  containerResource: field(7, containerResourceMetricSource),
});

const hpaScalingPolicy = message(`${V2}.HPAScalingPolicy`, "How fast to scale.", {
  type: present(1, string, REQUIRED),
  value: present(2, int32, REQUIRED),
  periodSeconds: present(3, int32, REQUIRED),
});

const hpaScalingRules = message(`${V2}.HPAScalingRules`, "How to scale in one direction.", {
  selectPolicy: field(1, string, { pointer: true }),
  policies: field(2, list(hpaScalingPolicy)),
  stabilizationWindowSeconds: field(3, int32, { pointer: true }),
  tolerance: field(4, quantity, { pointer: true }),
});

const behavior = message(`${V2}.HorizontalPodAutoscalerBehavior`, "How to scale.", {
  scaleUp: field(1, hpaScalingRules),
  scaleDown: field(2, hpaScalingRules),
});

const spec = message(`${V2}.HorizontalPodAutoscalerSpec`, "What to scale, by what.", {
  scaleTargetRef: present(1, crossVersionObjectReference, REQUIRED),
  minReplicas: field(2, int32, { pointer: true }),
  maxReplicas: present(3, int32, REQUIRED),
  metrics: field(4, list(metricSpec)),
  behavior: field(5, behavior),
});

const metricValueStatus = message(`${V2}.MetricValueStatus`, "What a metric is.", {
  value: field(1, quantity, { pointer: true }),
  averageValue: field(2, quantity, { pointer: true }),
  averageUtilization: field(3, int32, { pointer: true }),
});

const objectMetricStatus = message(`${V2}.ObjectMetricStatus`, "A metric of an object.", {
  metric: present(1, metricIdentifier, REQUIRED),
  current: present(2, metricValueStatus, REQUIRED),
  describedObject: present(3, crossVersionObjectReference, REQUIRED),
});

const podsMetricStatus = message(`${V2}.PodsMetricStatus`, "A metric of each Pod.", {
  metric: present(1, metricIdentifier, REQUIRED),
  current: present(2, metricValueStatus, REQUIRED),
});

const resourceMetricStatus = message(`${V2}.ResourceMetricStatus`, "A resource of each Pod.", {
  name: present(1, string, REQUIRED),
  current: present(2, metricValueStatus, REQUIRED),
});

const containerResourceMetricStatus = message(
  `${V2}.ContainerResourceMetricStatus`,
  "A resource of one container of each Pod.",
  {
    name: present(1, string, REQUIRED),
    current: present(2, metricValueStatus, REQUIRED),
    container: present(3, string, REQUIRED),
  },
);

const externalMetricStatus = message(`${V2}.ExternalMetricStatus`, "A metric of elsewhere.", {
  metric: present(1, metricIdentifier, REQUIRED),
  current: present(2, metricValueStatus, REQUIRED),
});

const metricStatus = message(`${V2}.MetricStatus`, "What decided on the scale.", {
  type: present(1, string, REQUIRED),
  object: field(2, objectMetricStatus),
  pods: field(3, podsMetricStatus),
  resource: field(4, resourceMetricStatus),
  external: field(5, externalMetricStatus),
  containerResource: field(7, containerResourceMetricStatus),
});

const condition = message(`${V2}.HorizontalPodAutoscalerCondition`, "One aspect of the state.", {
  type: present(1, string, REQUIRED),
  status: present(2, string, REQUIRED),
  lastTransitionTime: field(3, time),
  reason: field(4, string),
  message: field(5, string),
});

const status = message(`${V2}.HorizontalPodAutoscalerStatus`, "What the scale is.", {
  observedGeneration: field(1, int64, { pointer: true }),
  lastScaleTime: field(2, time),
  currentReplicas: field(3, int32),
  desiredReplicas: present(4, int32, REQUIRED),
  currentMetrics: field(5, list(metricStatus)),
  conditions: field(6, list(condition, { listType: "map", mapKeys: ["type"], mergeKey: "type" })),
});

export const horizontalPodAutoscaler = message(
  `${V2}.HorizontalPodAutoscaler`,
  "Scales a workload by metrics.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, spec, { description: "What to scale, by what." }),
    status: field(3, status, { description: "What the scale is." }),
  },
);
export interface HorizontalPodAutoscaler extends ValueOf<typeof horizontalPodAutoscaler> {}
