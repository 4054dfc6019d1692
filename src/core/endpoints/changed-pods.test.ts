import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service } from "../../api/v1/service.ts";
import { planChangedPods, resettled, settledSlices } from "./changed-pods.ts";
import { planSlices } from "./slices.ts";
import type { SlicePlan } from "./slices.ts";
import { noteTriggers, planTriggerTime } from "./trigger-time.ts";
import type { TriggerState } from "./trigger-time.ts";

const MAX = 4;

function service(trafficDistribution?: string): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns", uid: "service-1", labels: { a: "b" } },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.0.0.7",
      ipFamilies: ["IPv4", "IPv6"],
      sessionAffinity: "None",
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: "web" }],
      ...(trafficDistribution === undefined ? {} : { trafficDistribution }),
    },
  };
}

interface Given {
  readonly id: number;
  readonly exists: boolean;
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly port: number;
  readonly ips: number;
  readonly node: string;
  readonly phase: "Running" | "Failed";
  readonly app: string;
  readonly second: number;
}

function podOf({ id, ready, terminating, port, ips, node, phase, app, second }: Given): Pod {
  const addresses = [`10.1.0.${String(id)}`, `fd00::${String(id)}`].slice(0, ips);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `p${String(id)}`,
      namespace: "ns",
      uid: `uid-${String(id)}`,
      labels: { app },
      ...(terminating ? { deletionTimestamp: "2025-01-01T00:00:30Z" } : {}),
    },
    spec: {
      nodeName: node,
      containers: [{ name: "c", ports: [{ name: "web", containerPort: port, protocol: "TCP" }] }],
    },
    status: {
      phase,
      podIPs: addresses.map((ip) => ({ ip })),
      conditions: [
        {
          type: "Ready",
          status: ready ? "True" : "False",
          lastTransitionTime: `2025-01-01T00:00:0${String(second)}Z`,
        },
      ],
    },
  };
}

const nodeOf = (name: string): Node | undefined =>
  name === "gone"
    ? undefined
    : {
        apiVersion: "v1",
        kind: "Node",
        metadata: { name, labels: { "topology.kubernetes.io/zone": `zone-of-${name}` } },
        spec: {},
      };

let count = 0;

/** What the API server holds after the plan, and which of it was written. */
function apply(slices: readonly EndpointSlice[], plan: SlicePlan) {
  const others = new Set([...plan.update, ...plan.delete].map(({ metadata }) => metadata.name));
  const made = plan.create.map((draft): EndpointSlice => {
    count++;
    const metadata = { ...draft.metadata, name: `web-${String(count)}`, uid: String(count) };
    return { ...draft, apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata };
  });
  const kept = slices.filter(({ metadata }) => !others.has(metadata.name));
  return [...kept, ...plan.update, ...made];
}

const byName = (slices: readonly EndpointSlice[]) =>
  slices.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

/** Most changes are of readiness, so that what is worked out by changes goes on for a while. */
const change = fc.record({
  id: fc.integer({ min: 1, max: 12 }),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.record({ ready: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ terminating: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ exists: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ port: fc.constantFrom(8080, 8081) }) },
    { weight: 1, arbitrary: fc.record({ ips: fc.constantFrom(0, 1, 2) }) },
    { weight: 1, arbitrary: fc.record({ node: fc.constantFrom("a", "b", "gone") }) },
    {
      weight: 1,
      arbitrary: fc.record({ phase: fc.constantFrom("Running" as const, "Failed" as const) }),
    },
    { weight: 1, arbitrary: fc.record({ app: fc.constantFrom("web", "other") }) },
    { weight: 1, arbitrary: fc.record({ second: fc.integer({ min: 0, max: 9 }) }) },
  ),
});
const course = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 20 });

const first = (id: number): Given => ({
  id,
  exists: true,
  ready: true,
  terminating: false,
  port: 8080,
  ips: 2,
  node: "a",
  phase: "Running",
  app: "web",
  second: 0,
});

describe("planChangedPods()", () => {
  it("says what planSlices() says, or that it cannot tell, over any course of changes", () => {
    let told = 0;
    fc.assert(
      fc.property(course, fc.constantFrom(undefined, "PreferSameNode"), (steps, distribution) => {
        const web = service(distribution);
        const pods = new Map(Array.from({ length: 12 }, (_, i) => [i + 1, first(i + 1)]));
        let slices: readonly EndpointSlice[] = [];
        let settled: ReturnType<typeof settledSlices>;
        let last: TriggerState | undefined;
        for (const step of [[], ...steps]) {
          for (const { id, what } of step)
            pods.set(id, { ...(pods.get(id) ?? first(id)), ...what });
          const all = [...pods.values()].filter(({ exists }) => exists).map(podOf);
          const selected = all.filter(({ metadata }) => metadata.labels?.["app"] === "web");
          const changed = new Set(step.map(({ id }) => id));
          const isAll = [...changed].every((id) => pods.get(id)?.exists === true);
          const now = all.filter(({ metadata }) => changed.has(Number(metadata.name.slice(1))));
          const trigger = planTriggerTime(web, selected, last);
          const full = planSlices({
            service: web,
            pods: selected,
            slices,
            nodeOf,
            maxEndpointsPerSlice: MAX,
            triggerTime: trigger.triggerTime,
          });
          slices = apply(slices, full);
          if (settled !== undefined && last !== undefined && isAll) {
            const some = planTriggerTime(web, now, last);
            const update = planChangedPods(settled, now, nodeOf, some.triggerTime);
            if (update !== undefined) {
              told++;
              assert.deepEqual([full.create, full.delete, full.missingNodes], [[], [], []]);
              assert.deepEqual(byName(update), byName(full.update));
              noteTriggers(last, some.state);
              for (const [name, time] of trigger.state.pods)
                assert.equal(last.pods.get(name), time);
              settled = resettled(settled, update);
              continue;
            }
          }
          last = trigger.state;
          settled = full.missingNodes.length > 0 ? undefined : settledSlices(web, slices);
        }
      }),
    );
    assert.ok(told > 100, `told only ${String(told)} times`);
  });

  it("gives nothing of a Service whose endpoints depend on one another", () => {
    const { metadata, ...web } = service();
    const annotations = { "service.kubernetes.io/topology-mode": "Auto" };
    assert.equal(settledSlices({ ...web, metadata: { ...metadata, annotations } }, []), undefined);
  });
});
