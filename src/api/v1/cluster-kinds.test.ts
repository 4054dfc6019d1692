import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leaseKind } from "../coordination/lease.kind.ts";
import { eventKind } from "./event.kind.ts";
import type { Event } from "./event.ts";
import { namespaceKind } from "./namespace.kind.ts";
import type { Namespace } from "./namespace.ts";
import { nodeKind } from "./node.kind.ts";
import type { Node } from "./node.ts";

const NOW_MS = Date.parse("2026-01-02T03:04:05Z");

describe("namespaceKind", () => {
  const { strategy } = namespaceKind;
  const bare: Namespace = {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "a" },
    spec: {},
  };

  it("gets its finalizer, its phase and the label of its name", () => {
    assert.deepEqual(strategy.prepareForCreate(bare), {
      ...bare,
      metadata: { name: "a", labels: { "kubernetes.io/metadata.name": "a" } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    });
    const renamed = { name: "a", labels: { "kubernetes.io/metadata.name": "b", x: "y" } };
    assert.deepEqual(strategy.defaults({ ...bare, metadata: renamed }).metadata.labels, {
      "kubernetes.io/metadata.name": "a",
      x: "y",
    });
  });

  it("keeps finalizers and phase in updates", () => {
    const old = strategy.prepareForCreate(bare);
    assert.deepEqual(strategy.prepareForUpdate(bare, old), { ...old, metadata: bare.metadata });
  });

  it("is Terminating exactly while it is being deleted", () => {
    const fields = (object: Namespace) =>
      strategy.validateStatusUpdate?.(object, bare).map((error) => error.message);
    const deleted = { ...bare.metadata, deletionTimestamp: "2026-01-02T03:04:05Z" };
    assert.deepEqual(fields({ ...bare, status: { phase: "Active" } }), []);
    assert.deepEqual(fields({ ...bare, status: { phase: "Terminating" } }), [
      "Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
    ]);
    assert.deepEqual(fields({ ...bare, metadata: deleted, status: { phase: "Active" } }), [
      "Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty",
    ]);
  });

  it("has a DNS label for a name", () => {
    assert.deepEqual(strategy.nameProblems("team-1", false), []);
    assert.equal(strategy.nameProblems("team.1", false).length, 1);
  });
});

describe("nodeKind", () => {
  const { strategy, columns } = nodeKind;
  const node = (spec: Node["spec"], status?: Node["status"]): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "local", labels: { "node-role.kubernetes.io/worker": "" } },
    spec,
    status,
  });
  const ready = { type: "Ready", status: "True" };

  it("brings its status when it is created", () => {
    const object = node({}, { conditions: [ready] });
    assert.equal(strategy.prepareForCreate(object), object);
    assert.deepEqual(strategy.prepareForUpdate(node({}), object).status, object.status);
  });

  it("keeps podCIDR in step with podCIDRs, and fixed", () => {
    const old = strategy.defaults(node({ podCIDR: "10.0.0.0/24" }));
    assert.deepEqual(old.spec, { podCIDR: "10.0.0.0/24", podCIDRs: ["10.0.0.0/24"] });
    const fields = (next: Node) => strategy.validateUpdate(next, old).map((error) => error.field);
    assert.deepEqual(fields(old), []);
    assert.deepEqual(fields(strategy.defaults(node({ podCIDR: "10.0.1.0/24" }))), [
      "spec.podCIDRs",
    ]);
    const two = node({ podCIDRs: ["10.0.0.0/24", "10.0.1.0/24"] });
    assert.deepEqual(
      strategy.validateCreate(two).map((error) => error.field),
      ["spec.podCIDRs"],
    );
  });

  it("refuses taints that are none", () => {
    const taints = [
      { key: "a", effect: "NoSchedule" },
      { key: "a", effect: "NoSchedule" },
      { key: "", effect: "Never" },
    ];
    const fields = strategy.validateCreate(node({ taints })).map((error) => error.field);
    assert.deepEqual(
      new Set(fields),
      new Set(["spec.taints[1]", "spec.taints[2].key", "spec.taints[2].effect"]),
    );
  });

  it("is printed as kubectl does", () => {
    const row = (object: Node) => columns.map((column) => column.cell(object, NOW_MS));
    const addresses = [{ type: "InternalIP", address: "127.112.0.1" }];
    assert.deepEqual(row(node({ unschedulable: true }, { conditions: [ready], addresses })), [
      "local",
      "Ready,SchedulingDisabled",
      "worker",
      "<unknown>",
      "",
      "127.112.0.1",
      "<none>",
      "<unknown>",
      "<unknown>",
      "<unknown>",
    ]);
    const status = (object: Node) => row(object)[1];
    assert.equal(status(node({})), "Unknown");
    assert.equal(
      status(node({}, { conditions: [{ type: "Ready", status: "Unknown" }] })),
      "NotReady",
    );
    assert.equal(nodeKind.selectableFields[0]?.value(node({})), "false");
  });
});

describe("eventKind", () => {
  const { strategy, columns, selectableFields } = eventKind;
  const event = (fields: Partial<Event> = {}): Event => ({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "web.1", namespace: "default" },
    involvedObject: {
      kind: "Pod",
      namespace: "default",
      name: "web",
      fieldPath: "spec.containers{c}",
    },
    ...fields,
  });
  const fieldsOf = (object: Event) => strategy.validateCreate(object).map((error) => error.field);

  it("is in the namespace of its object", () => {
    assert.deepEqual(fieldsOf(event()), []);
    const other = { kind: "Pod", namespace: "other", name: "web" };
    assert.deepEqual(fieldsOf(event({ involvedObject: other })), ["involvedObject.namespace"]);
    assert.deepEqual(fieldsOf(event({ involvedObject: { kind: "Node", name: "local" } })), []);
  });

  it("says who reported it, when it has an eventTime", () => {
    const eventTime = "2026-01-02T03:04:05.000000Z";
    assert.deepEqual(fieldsOf(event({ eventTime })), [
      "reportingComponent",
      "reportingInstance",
      "action",
      "reason",
    ]);
    const reporter = { reportingComponent: "a.example/b", reportingInstance: "b-1" };
    assert.deepEqual(
      fieldsOf(event({ eventTime, ...reporter, action: "Start", reason: "Why" })),
      [],
    );
  });

  it("is printed as kubectl does", () => {
    const object = event({
      type: "Warning",
      reason: "Failed",
      message: "no such program\n",
      source: { component: "agent", host: "local" },
      firstTimestamp: "2026-01-02T03:03:05Z",
      lastTimestamp: "2026-01-02T03:04:00Z",
      count: 2,
    });
    const row = (of: Event) => columns.map((column) => column.cell(of, NOW_MS));
    assert.deepEqual(row(object), [
      "5s",
      "Warning",
      "Failed",
      "pod/web",
      "spec.containers{c}",
      "agent, local",
      "no such program",
      "60s",
      2,
      "web.1",
    ]);
    const newer = event({
      eventTime: "2026-01-02T03:03:05.000000Z",
      series: { count: 7, lastObservedTime: "2026-01-02T03:04:04.000000Z" },
      reportingComponent: "agent",
      reportingInstance: "agent-1",
    });
    assert.deepEqual(
      [row(newer)[0], row(newer)[5], row(newer)[7], row(newer)[8]],
      ["1s", "agent, agent-1", "60s", 7],
    );
    assert.deepEqual(
      columns.filter((column) => column.priority === 0).map((column) => column.name),
      ["Last Seen", "Type", "Reason", "Object", "Message"],
    );
  });

  it("is selected by its object", () => {
    const value = (path: string) =>
      selectableFields.find((field) => field.path === path)?.value(event());
    assert.equal(value("involvedObject.name"), "web");
    assert.equal(value("involvedObject.uid"), "");
    assert.equal(value("reason"), "");
  });
});

describe("leaseKind", () => {
  it("has a duration above zero", () => {
    const lease = (leaseDurationSeconds?: number) =>
      leaseKind.strategy.defaults({
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "local", namespace: "kube-node-lease" },
        spec: { leaseDurationSeconds, leaseTransitions: -1 },
      });
    const texts = (seconds?: number) =>
      leaseKind.strategy.validateCreate(lease(seconds)).map((e) => `${e.field}: ${e.message}`);
    const transitions =
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0";
    assert.deepEqual(texts(40), [transitions]);
    assert.deepEqual(texts(), [transitions]);
    assert.deepEqual(texts(0), [
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      transitions,
    ]);
  });
});
