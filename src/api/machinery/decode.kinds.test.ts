import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KINDS } from "../kinds.ts";
import { decodeObject } from "./decode.ts";
import { resolved } from "./json-fields.ts";
import type { SchemaType } from "./schema.ts";

/**
 * Optional numbers and booleans whose explicit zero means the same as absence: values, not pointers, in Go.
 * A new field belongs either here or is declared with `pointer: true`; there is no safe third.
 */
const ZERO_IS_ABSENT = `
  Condition.observedGeneration
  Container.stdin Container.stdinOnce Container.tty
  ContainerImage.sizeBytes
  ContainerPort.hostPort
  ContainerStateTerminated.signal
  EphemeralContainerCommon.stdin EphemeralContainerCommon.stdinOnce EphemeralContainerCommon.tty
  CustomResourceColumnDefinition.priority
  CustomResourceDefinitionSpec.preserveUnknownFields
  CustomResourceDefinitionVersion.deprecated
  Event.count Event.deprecatedCount
  EventSeries.count
  JSONSchemaProps.exclusiveMaximum JSONSchemaProps.exclusiveMinimum JSONSchemaProps.nullable
  JSONSchemaProps.uniqueItems
  JSONSchemaProps.x-kubernetes-embedded-resource JSONSchemaProps.x-kubernetes-int-or-string
  HorizontalPodAutoscalerStatus.currentReplicas
  NFSVolumeSource.readOnly
  NodeSpec.unschedulable
  ObjectMeta.generation
  PersistentVolumeClaimVolumeSource.readOnly
  PodCondition.observedGeneration PodDisruptionBudgetStatus.observedGeneration
  PodSpec.hostIPC PodSpec.hostNetwork PodSpec.hostPID
  PodStatus.observedGeneration
  Probe.failureThreshold Probe.initialDelaySeconds Probe.periodSeconds Probe.successThreshold Probe.timeoutSeconds
  ServiceBackendPort.number ServicePort.nodePort ServicePort.targetPort
  ServiceSpec.healthCheckNodePort ServiceSpec.publishNotReadyAddresses
  VolumeMount.readOnly
  VolumeMountStatus.readOnly
  DaemonSetSpec.minReadySeconds
  DaemonSetStatus.numberAvailable DaemonSetStatus.numberUnavailable
  DaemonSetStatus.observedGeneration DaemonSetStatus.updatedNumberScheduled
  DeploymentSpec.minReadySeconds DeploymentSpec.paused
  DeploymentStatus.availableReplicas DeploymentStatus.observedGeneration
  DeploymentStatus.readyReplicas DeploymentStatus.replicas
  DeploymentStatus.unavailableReplicas DeploymentStatus.updatedReplicas
  JobStatus.active JobStatus.failed JobStatus.succeeded
  ReplicaSetSpec.minReadySeconds
  ReplicaSetStatus.availableReplicas ReplicaSetStatus.fullyLabeledReplicas
  ReplicaSetStatus.observedGeneration ReplicaSetStatus.readyReplicas
  ReplicationControllerSpec.minReadySeconds
  ReplicationControllerStatus.availableReplicas
  ReplicationControllerStatus.fullyLabeledReplicas
  ReplicationControllerStatus.observedGeneration ReplicationControllerStatus.readyReplicas
  StatefulSetSpec.minReadySeconds
  StatefulSetStatus.availableReplicas StatefulSetStatus.currentReplicas
  StatefulSetStatus.observedGeneration StatefulSetStatus.readyReplicas
  StatefulSetStatus.updatedReplicas
`;

const NUMBERS = ["boolean", "int32", "int64", "double", "intOrString"];

function collectPlainZeros(type: SchemaType, found: Set<string>, seen: Set<string>): void {
  const actual = resolved(type);
  if (actual.kind === "list") collectPlainZeros(actual.element, found, seen);
  if (actual.kind === "map") collectPlainZeros(actual.value, found, seen);
  if (actual.kind !== "message" || seen.has(actual.name)) return;
  seen.add(actual.name);
  for (const [name, field] of Object.entries(actual.fields)) {
    const member = resolved(field.type);
    const isNumber = member.kind === "scalar" && NUMBERS.includes(member.scalar);
    if (isNumber && field.pointer !== true && !field.required) {
      found.add(`${actual.name.split(".").at(-1) ?? ""}.${name}`);
    }
    collectPlainZeros(member, found, seen);
  }
}

describe("the served kinds", () => {
  it("have decided for every number and boolean whether its zero is kept", () => {
    const found = new Set<string>();
    const seen = new Set<string>();
    for (const kind of KINDS) collectPlainZeros(kind.schema, found, seen);
    assert.deepEqual([...found].toSorted(), ZERO_IS_ABSENT.trim().split(/\s+/).toSorted());
  });

  function decoded(kindName: string, value: unknown): unknown {
    const kind = KINDS.find((k) => k.kind === kindName);
    assert.ok(kind !== undefined);
    const result = decodeObject(kind.schema, value);
    assert.equal(result.kind, "decoded");
    return result.kind === "decoded" ? result.object : undefined;
  }

  it("keep a condition that is false", () => {
    const slice = {
      metadata: { name: "a" },
      endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: false } }],
    };
    assert.deepEqual(decoded("EndpointSlice", slice), slice);
  });

  it("keep what a Service says no to, and drop what it leaves empty", () => {
    const service = {
      metadata: { name: "a", creationTimestamp: null, labels: {} },
      spec: {
        clusterIP: "",
        allocateLoadBalancerNodePorts: false,
        publishNotReadyAddresses: false,
        ports: [{ name: "", port: 80, nodePort: 0, targetPort: 0 }],
      },
      status: { loadBalancer: {} },
    };
    assert.deepEqual(decoded("Service", service), {
      metadata: { name: "a" },
      spec: { allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] },
      status: { loadBalancer: {} },
    });
  });
});
