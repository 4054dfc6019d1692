import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as clientNode from "@kubernetes/client-node";
import type * as coordination from "kubernetes-types/coordination/v1.d.ts";
import type * as core from "kubernetes-types/core/v1.d.ts";
import type * as discovery from "kubernetes-types/discovery/v1.d.ts";
import { parseCidr } from "../net/cidr.ts";
import type { LeaseSpec } from "./coordination/lease.ts";
import { endpointSliceKind } from "./discovery/endpointslice.kind.ts";
import type { Endpoint, EndpointPort, EndpointSlice } from "./discovery/endpointslice.ts";
import { KINDS, servedKinds } from "./kinds.ts";
import { jsonFieldsOf, messageOf } from "./machinery/json-fields.ts";
import { apiVersionOf } from "./machinery/kind.ts";
import type { KindDefinition } from "./machinery/kind.ts";
import type { MessageType, SchemaType } from "./machinery/schema.ts";
import type { Container } from "./v1/container.ts";
import type { EndpointSubset } from "./v1/endpoints.ts";
import { REVIEWS } from "./reviews.ts";
import type { Event } from "./v1/event.ts";
import type { Node } from "./v1/node.ts";
import type { ContainerStatus, PodStatus } from "./v1/pod-status.ts";
import type { PodSpec } from "./v1/pod.ts";
import type { Probe } from "./v1/probe.ts";
import type { ServicePort, ServiceSpec, ServiceStatus } from "./v1/service.ts";

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

/** Names that client-node gives to types whose short names several groups share. */
const CLASS_NAMES: Readonly<Record<string, string>> = {
  "io.k8s.api.rbac.v1.Subject": "RbacV1Subject",
  "io.k8s.api.core.v1.Event": "CoreV1Event",
  "io.k8s.api.core.v1.EventSeries": "CoreV1EventSeries",
  "io.k8s.api.core.v1.EndpointPort": "CoreV1EndpointPort",
  "io.k8s.api.core.v1.ResourceClaim": "CoreV1ResourceClaim",
  "io.k8s.api.discovery.v1.EndpointPort": "DiscoveryV1EndpointPort",
  "io.k8s.api.events.v1.Event": "EventsV1Event",
  "io.k8s.api.events.v1.EventSeries": "EventsV1EventSeries",
  // It has no fields, and client-node no class for it.
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus": "any",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference":
    "ApiextensionsV1ServiceReference",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig":
    "ApiextensionsV1WebhookClientConfig",
};

/** `io.k8s.api.autoscaling.v2.MetricSpec` -> `V2MetricSpec`; what is in no version's package is of v1. */
function classNameOf(name: string): string {
  const [version = "", short = ""] = name.split(".").slice(-2);
  const prefix = /^v\d+$/.test(version) ? version.toUpperCase() : "V1";
  return CLASS_NAMES[name] ?? `${prefix}${short}`;
}

function attributesOf(type: MessageType): readonly Attribute[] | undefined {
  const name = classNameOf(type.name);
  const model: unknown = Reflect.get(clientNode, name);
  const isModel = typeof model === "function" && "getAttributeTypeMap" in model;
  // Every model of client-node has this static method.
  return isModel
    ? (model as unknown as { getAttributeTypeMap(): Attribute[] }).getAttributeTypeMap()
    : undefined;
}

function messagesOf(type: SchemaType, seen = new Map<string, MessageType>()) {
  const message = messageOf(type);
  if (message !== undefined) {
    if (seen.has(message.name)) return seen;
    seen.set(message.name, message);
    for (const field of Object.values(message.fields)) messagesOf(field.type, seen);
  } else if (type.kind === "list") {
    messagesOf(type.element, seen);
  } else if (type.kind === "map") {
    messagesOf(type.value, seen);
  }
  return seen;
}

function all(): readonly MessageType[] {
  const seen = new Map<string, MessageType>();
  for (const kind of [...KINDS, ...REVIEWS]) messagesOf(kind.schema, seen);
  return [...seen.values()];
}

/** What JSON types a field of ours and an attribute of client-node have in common. */
function shapeOf(type: SchemaType): string {
  if (type.kind === "list") return `Array<${shapeOf(type.element)}>`;
  if (type.kind === "map") return `{ [key: string]: ${shapeOf(type.value)}; }`;
  if (type.kind !== "scalar") {
    const name = messageOf(type)?.name ?? "";
    return classNameOf(name);
  }
  switch (type.scalar) {
    case "int32":
    case "int64":
    case "double":
      return "number";
    case "time":
      return "Date";
    case "microTime":
      return "V1MicroTime";
    case "json":
      return "any";
    case "intOrString":
      return "IntOrString";
    case "boolean":
      return "boolean";
    case "string":
    case "bytes":
    case "quantity":
      return "string";
    default:
      return type.scalar satisfies never;
  }
}

describe("KINDS", () => {
  it("declares every field that the client library of the same version knows, with its type", () => {
    let compared = 0;
    for (const type of all()) {
      const attributes = attributesOf(type);
      if (attributes === undefined) continue; // Messages that only protobuf knows.
      const { fields, preserveUnknown } = jsonFieldsOf(type);
      const ours = [...fields].map(([name, field]) => `${name}: ${shapeOf(field.type)}`);
      const theirs = attributes.map(({ baseName, type: shape }) => `${baseName}: ${shape}`);
      const missing = preserveUnknown ? [] : theirs.filter((text) => !ours.includes(text));
      assert.deepEqual({ type: type.name, missing }, { type: type.name, missing: [] });
      const invented = ours.filter((text) => !theirs.includes(text));
      assert.deepEqual({ type: type.name, invented }, { type: type.name, invented: [] });
      compared++;
    }
    assert.ok(compared > 130, `compared only ${String(compared)} types`);
  });

  it("gives every field of a message its own protobuf tag, from 1", () => {
    for (const type of all()) {
      const tags = Object.entries(type.fields)
        .filter(([name]) => name !== "apiVersion" || type.fields["kind"]?.tag !== 0)
        .filter(([name, field]) => !(name === "kind" && field.tag === 0))
        .map(([, field]) => field.tag);
      assert.equal(new Set(tags).size, tags.length, type.name);
      assert.ok(
        tags.every((tag) => tag >= 1),
        type.name,
      );
    }
  });

  it("names only fields that exist as keys of lists", () => {
    for (const type of all()) {
      for (const [name, { type: listType }] of Object.entries(type.fields)) {
        if (listType.kind !== "list") continue;
        const element = messageOf(listType.element);
        const known = element === undefined ? [""] : [...jsonFieldsOf(element).fields.keys()];
        const keys = [
          ...(listType.mapKeys ?? []),
          ...(listType.mergeKey === undefined ? [] : [listType.mergeKey]),
        ];
        for (const key of keys) assert.ok(known.includes(key), `${type.name}.${name}: ${key}`);
        assert.equal(listType.listType === "map", listType.mapKeys !== undefined, type.name);
      }
    }
  });

  it("gives each kind the field metadata, and what kubectl calls it", () => {
    const names = KINDS.map((kind) =>
      [apiVersionOf(kind), kind.kind, ...kind.shortNames].join(" "),
    );
    assert.deepEqual(names, [
      "v1 ConfigMap cm",
      "v1 Endpoints ep",
      "v1 Event ev",
      "v1 Namespace ns",
      "v1 Node no",
      "v1 Pod po",
      "v1 ReplicationController rc",
      "v1 Secret",
      "v1 ServiceAccount sa",
      "v1 Service svc",
      "apps/v1 ControllerRevision",
      "apps/v1 DaemonSet ds",
      "apps/v1 Deployment deploy",
      "apps/v1 ReplicaSet rs",
      "apps/v1 StatefulSet sts",
      "autoscaling/v2 HorizontalPodAutoscaler hpa",
      "batch/v1 CronJob cj",
      "batch/v1 Job",
      "coordination.k8s.io/v1 Lease",
      "discovery.k8s.io/v1 EndpointSlice",
      "events.k8s.io/v1 Event ev",
      "networking.k8s.io/v1 IngressClass",
      "networking.k8s.io/v1 Ingress ing",
      "networking.k8s.io/v1 IPAddress ip",
      "networking.k8s.io/v1 NetworkPolicy netpol",
      "networking.k8s.io/v1 ServiceCIDR",
      "policy/v1 PodDisruptionBudget pdb",
      "apiextensions.k8s.io/v1 CustomResourceDefinition crd crds",
      "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
      "rbac.authorization.k8s.io/v1 ClusterRole",
      "rbac.authorization.k8s.io/v1 RoleBinding",
      "rbac.authorization.k8s.io/v1 Role",
    ]);
    const inAll = KINDS.filter((kind) => kind.categories.includes("all")).map((kind) => kind.kind);
    assert.deepEqual(inAll, [
      "Pod",
      "ReplicationController",
      "Service",
      "DaemonSet",
      "Deployment",
      "ReplicaSet",
      "StatefulSet",
      "HorizontalPodAutoscaler",
      "CronJob",
      "Job",
    ]);
    for (const kind of KINDS) assert.equal(kind.schema.fields["metadata"]?.tag, 1);
  });

  it("VAL-040: admits loopback addresses only in the ranges of our own Pods", () => {
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-1", namespace: "default" },
      addressType: "IPv4",
      endpoints: [{ addresses: ["127.112.0.7"], conditions: {} }],
    } as const satisfies EndpointSlice;
    const podCidr = parseCidr("127.112.0.0/16");
    assert.ok(podCidr !== undefined);
    const served = servedKinds({ podCidrs: [podCidr] }).find(
      (kind) => kind.kind === "EndpointSlice",
    );
    const problems = (kind: KindDefinition | undefined, address: string): readonly string[] => {
      const object = { ...slice, endpoints: [{ addresses: [address], conditions: {} }] };
      return (kind?.strategy.validateCreate(object) ?? []).map((error) => error.field);
    };
    assert.deepEqual(problems(served, "127.112.0.7"), []);
    assert.deepEqual(problems(served, "127.0.0.1"), ["endpoints[0].addresses[0]"]);
    assert.deepEqual(problems(endpointSliceKind, "127.112.0.7"), ["endpoints[0].addresses[0]"]);
  });
});

// Checked by the compiler: no field of upstream's types is missing from ours.
type MissingFrom<Ours, Theirs> = Exclude<keyof Theirs, keyof Ours>;
const missing: [
  MissingFrom<ServiceSpec, core.ServiceSpec>,
  MissingFrom<ServicePort, core.ServicePort>,
  MissingFrom<ServiceStatus, core.ServiceStatus>,
  MissingFrom<EndpointSubset, core.EndpointSubset>,
  MissingFrom<PodSpec, core.PodSpec>,
  MissingFrom<PodStatus, core.PodStatus>,
  MissingFrom<Container, core.Container>,
  MissingFrom<Probe, core.Probe>,
  MissingFrom<ContainerStatus, core.ContainerStatus>,
  MissingFrom<Event, core.Event>,
  MissingFrom<Node, core.Node>,
  MissingFrom<Endpoint, discovery.Endpoint>,
  MissingFrom<EndpointPort, discovery.EndpointPort>,
  MissingFrom<EndpointSlice, discovery.EndpointSlice>,
  MissingFrom<LeaseSpec, coordination.LeaseSpec>,
][] = [];
void missing;
