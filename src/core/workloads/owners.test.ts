import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DaemonSet } from "../../api/apps/daemonset.ts";
import type { StatefulSet } from "../../api/apps/statefulset.ts";
import type { Job, JobStatus } from "../../api/batch/job.ts";
import type { Draft } from "../../api/machinery/metadata.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { planDaemonSet } from "./daemonset.ts";
import { planJob } from "./job.ts";
import { isReady } from "./pods.ts";
import { planStatefulSet } from "./statefulset.ts";

const NOW = 1_735_689_604_000; // 2025-01-01T00:00:04Z
const THEN = "2025-01-01T00:00:00Z";
const LABELS = { app: "x" };
const TEMPLATE = { metadata: { name: "", labels: LABELS }, spec: { containers: [{ name: "m" }] } };
const REVISION = "controller-revision-hash";

let made = 0;
/** What the server makes of a draft. */
function born({ metadata, spec }: Draft<Pod>): Pod {
  made++;
  const uid = String(made);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, name: metadata.name ?? `p${uid}`, uid, creationTimestamp: THEN },
    spec: { nodeName: "n", ...spec } as Pod["spec"], // A draft of ours is whole.
    status: { phase: "Running" },
  };
}

function readied(pod: Pod): Pod {
  const conditions = [{ type: "Ready", status: "True", lastTransitionTime: THEN }];
  return { ...pod, status: { ...pod.status, conditions } };
}

describe("planStatefulSet()", () => {
  function set(replicas: number, more: Partial<StatefulSet["spec"]> = {}): StatefulSet {
    return {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "db", namespace: "default", uid: "s" },
      spec: {
        replicas,
        serviceName: "db",
        selector: { matchLabels: LABELS },
        template: TEMPLATE,
        ...more,
      },
    };
  }
  const plan = (given: StatefulSet, pods: readonly Pod[], updateRevision = "r1") =>
    planStatefulSet({ set: given, pods, updateRevision, currentTemplate: TEMPLATE, nowMs: NOW });

  it("makes, updates and removes one Pod at a time, in order, from any sizes and states", () => {
    fc.assert(
      fc.property(
        fc.nat(5),
        fc.nat(5),
        fc.nat(3),
        fc.array(fc.nat(9), { maxLength: 40 }),
        (from, to, start, steps) => {
          let pods: readonly Pod[] = [];
          let [size, revision] = [from, "r1"];
          const walk = (isPodsTurn: boolean, n: number): boolean => {
            if (isPodsTurn) {
              const waiting = pods.filter((pod) => !isReady(pod));
              const one = waiting[n % Math.max(1, waiting.length)];
              pods = pods.map((pod) => (pod === one ? readied(pod) : pod));
              return one !== undefined;
            }
            const given = set(size, { ordinals: { start } });
            const { create, delete: remove } = plan(given, pods, revision);
            assert.ok(create.length + remove.length <= 1);
            const ready = new Set(pods.filter(isReady).map(({ metadata }) => metadata.name));
            for (const draft of create) {
              const ordinal = Number(draft.metadata.name?.slice(3));
              for (let i = start; i < ordinal; i++) assert.ok(ready.has(`db-${String(i)}`));
              assert.deepEqual(
                [draft.spec?.hostname, draft.spec?.subdomain],
                [draft.metadata.name, "db"],
              );
            }
            pods = [...pods.filter((pod) => !remove.includes(pod)), ...create.map(born)];
            return create.length + remove.length > 0;
          };
          for (const n of steps) walk(n % 2 === 0, n);
          [size, revision] = [to, "r2"];
          for (let round = 0; round < 200; round++) {
            const moved = [walk(false, 0), walk(true, 0)];
            if (!moved.includes(true)) break;
          }
          const found = pods.map(
            ({ metadata }) => `${metadata.name} ${metadata.labels?.[REVISION] ?? ""}`,
          );
          const wanted = Array.from({ length: to }, (_, i) => `db-${String(start + i)} r2`);
          assert.deepEqual(found.toSorted(), wanted.toSorted());
        },
      ),
      { numRuns: 100 },
    );
  });

  it("with Parallel makes and removes all at once", () => {
    const parallel = { podManagementPolicy: "Parallel" } as const;
    const { create } = plan(set(3, parallel), []);
    assert.deepEqual(
      create.map(({ metadata }) => metadata.name),
      ["db-0", "db-1", "db-2"],
    );
    const pods = create.map(born);
    assert.equal(plan(set(1, parallel), pods).delete.length, 2);
  });

  it("updates from the last down to the partition, and with OnDelete not at all", () => {
    const pods = plan(set(3, { podManagementPolicy: "Parallel" }), [])
      .create.map(born)
      .map(readied);
    const at = (partition: number) => ({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition } },
    });
    const names = (given: StatefulSet) =>
      plan(given, pods, "r2").delete.map(({ metadata }) => metadata.name);
    assert.deepEqual(names(set(3, at(0))), ["db-2"]);
    assert.deepEqual(names(set(3, at(3))), []);
    assert.deepEqual(names(set(3, { updateStrategy: { type: "OnDelete" } })), []);
  });
});

describe("planDaemonSet()", () => {
  const node = (
    name: string,
    more: Partial<Node["spec"]> = {},
    labels: Record<string, string> = {},
  ): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    spec: { ...more },
  });
  function daemons(rollingUpdate: object, spec: object = {}): DaemonSet {
    return {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "log", namespace: "default", uid: "d" },
      spec: {
        selector: { matchLabels: LABELS },
        template: { ...TEMPLATE, spec: { ...TEMPLATE.spec, ...spec } },
        updateStrategy: { type: "RollingUpdate", rollingUpdate },
      },
    };
  }
  const plan = (set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[], updateHash = "h1") =>
    planDaemonSet({ set, nodes, pods, updateHash, nowMs: NOW });
  const taint = (effect: string) => ({ taints: [{ key: "k", value: "v", effect }] });

  it("chooses nodes by selector, affinity and taints, and leaves a Pod where only NoSchedule is new", () => {
    const nodes = [
      node("a", {}, { disk: "ssd" }),
      node("b"),
      node("c", taint("NoSchedule"), { disk: "ssd" }),
    ];
    const set = daemons({ maxUnavailable: 1 }, { nodeSelector: { disk: "ssd" } });
    const { create } = plan(set, nodes, []);
    assert.deepEqual(
      create.map(({ spec }) => spec?.nodeName),
      ["a"],
    );
    const there = ["a", "b", "c"].map((nodeName) =>
      born({
        metadata: { name: nodeName, labels: { [REVISION]: "h1" } },
        spec: { containers: [], nodeName },
      }),
    );
    const next = plan(set, nodes, there);
    assert.deepEqual(
      next.delete.map(({ spec }) => spec.nodeName),
      ["b"],
    );
    assert.equal(next.status.numberMisscheduled, 2);
    const evicted = plan(set, [node("c", taint("NoExecute"), { disk: "ssd" })], there.slice(2));
    assert.equal(evicted.delete.length, 1);
  });

  it("updates every node, never more than maxUnavailable at once, or beside the old Pods by maxSurge", () => {
    const nodes = ["a", "b", "c", "d", "e"].map((name) => node(name));
    fc.assert(
      fc.property(
        fc.constantFrom("maxUnavailable", "maxSurge"),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.nat(9), { maxLength: 40 }),
        (how, limit, steps) => {
          const other = how === "maxSurge" ? "maxUnavailable" : "maxSurge";
          const set = daemons({ [how]: limit, [other]: 0 });
          let pods: readonly Pod[] = plan(set, nodes, []).create.map(born).map(readied);
          const walk = (isPodsTurn: boolean, n: number): boolean => {
            if (isPodsTurn) {
              const waiting = pods.filter((pod) => !isReady(pod));
              const one = waiting[n % Math.max(1, waiting.length)];
              pods = pods.map((pod) => (pod === one ? readied(pod) : pod));
              return one !== undefined;
            }
            const { create, delete: remove } = plan(set, nodes, pods, "h2");
            pods = [...pods.filter((pod) => !remove.includes(pod)), ...create.map(born)];
            return create.length + remove.length > 0;
          };
          const check = (): void => {
            const serving = new Set(pods.filter(isReady).map(({ spec }) => spec.nodeName)).size;
            assert.ok(
              serving >= 5 - (how === "maxSurge" ? 0 : limit),
              `${String(serving)} nodes serve`,
            );
            assert.ok(
              pods.length <= 5 + (how === "maxSurge" ? limit : 0),
              `${String(pods.length)} Pods`,
            );
          };
          for (const n of steps) {
            walk(n % 2 === 0, n);
            check();
          }
          for (let round = 0; round < 100; round++) {
            const moved = [walk(false, 0), walk(true, 0)];
            check();
            if (!moved.includes(true)) break;
          }
          assert.deepEqual(
            pods.map(({ metadata }) => metadata.labels?.[REVISION]),
            Array(5).fill("h2"),
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("planJob()", () => {
  function job(spec: Partial<Job["spec"]>, status: JobStatus = {}): Job {
    return {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "sum", namespace: "default", uid: "j" },
      spec: { template: TEMPLATE, parallelism: 1, backoffLimit: 1000, ...spec },
      status,
    };
  }

  it("counts every end once, whoever deletes Pods and whenever it is stopped between its steps", () => {
    const action = fc.record({
      kind: fc.constantFrom("plan", "succeed", "fail", "delete", "killed"),
      n: fc.nat(9),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        fc.array(action, { maxLength: 60 }),
        (completions, parallelism, isIndexed, actions) => {
          const spec = {
            completions,
            parallelism,
            ...(isIndexed ? { completionMode: "Indexed" } : {}),
          };
          let [now, status, pods]: [number, JobStatus, readonly Pod[]] = [NOW, {}, []];
          const ends = { succeeded: new Set<string>(), failed: new Set<string>() };
          const isHeld = ({ metadata }: Pod): boolean => (metadata.finalizers ?? []).length > 0;
          const sweep = (): void => {
            pods = pods.filter(
              (pod) => isHeld(pod) || pod.metadata.deletionTimestamp === undefined,
            );
          };
          /** The controller works; it may be killed after its status is written. */
          const work = (isKilled: boolean): void => {
            now += 3_600_000;
            const plan = planJob({ job: job(spec, status), pods, nowMs: now });
            status = plan.status;
            if (isKilled) return;
            pods = pods.map((pod) => {
              const isFree =
                plan.release.includes(pod) || (plan.delete.includes(pod) && !plan.isCounted);
              const metadata = isFree ? { ...pod.metadata, finalizers: [] } : pod.metadata;
              if (plan.delete.includes(pod)) {
                if (plan.isCounted) ends.failed.add(metadata.uid ?? "");
                return { ...pod, metadata: { ...metadata, deletionTimestamp: THEN } };
              }
              return { ...pod, metadata };
            });
            pods = [...pods, ...plan.create.map(born)];
            sweep();
            const active = pods.filter((pod) => (pod.status?.phase ?? "") === "Running");
            assert.ok(active.length <= parallelism);
          };
          const end = (phase: "Succeeded" | "Failed", n: number): void => {
            const running = pods.filter(
              (pod) =>
                pod.status?.phase === "Running" && pod.metadata.deletionTimestamp === undefined,
            );
            const one = running[n % Math.max(1, running.length)];
            if (one === undefined) return;
            ends[phase === "Succeeded" ? "succeeded" : "failed"].add(one.metadata.uid ?? "");
            pods = pods.map((pod) => (pod === one ? { ...pod, status: { phase } } : pod));
          };
          const remove = (n: number): void => {
            const one = pods[n % Math.max(1, pods.length)];
            if (one === undefined) return;
            if (one.status?.phase === "Running" && isHeld(one))
              ends.failed.add(one.metadata.uid ?? "");
            const metadata = { ...one.metadata, deletionTimestamp: THEN };
            pods = pods.map((pod) => (pod === one ? { ...pod, metadata } : pod));
            sweep();
          };
          for (const { kind, n } of actions) {
            if (kind === "plan" || kind === "killed") work(kind === "killed");
            else if (kind === "delete") remove(n);
            else end(kind === "succeed" ? "Succeeded" : "Failed", n);
          }
          for (let round = 0; round < 100; round++) {
            if (status.completionTime !== undefined) break;
            work(false);
            end("Succeeded", 0);
          }
          const complete = status.conditions?.some(({ type }) => type === "Complete");
          assert.equal(complete, true, JSON.stringify(status));
          assert.equal(status.succeeded, isIndexed ? completions : ends.succeeded.size);
          assert.ok((status.succeeded ?? 0) >= completions);
          assert.equal(status.failed, ends.failed.size);
          assert.deepEqual(status.uncountedTerminatedPods, {});
        },
      ),
      { numRuns: 200 },
    );
  });

  it("fails after its deadline and beyond its backoff limit, once its Pods have ended", () => {
    const startTime = "2025-01-01T00:00:00Z";
    const late = planJob({
      job: job({ activeDeadlineSeconds: 3 }, { startTime }),
      pods: [],
      nowMs: NOW,
    });
    assert.deepEqual(
      late.status.conditions?.map(({ type, reason }) => `${type} ${reason ?? ""}`),
      ["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"],
    );
    const failed = planJob({
      job: job({ backoffLimit: 0 }, { startTime, failed: 1 }),
      pods: [],
      nowMs: NOW,
    });
    assert.equal(failed.status.conditions?.at(-1)?.reason, "BackoffLimitExceeded");
  });

  it("gives up its Pods while it is suspended, and goes when its time is over", () => {
    const running = born({ metadata: { name: "p" }, spec: { containers: [] } });
    const suspended = planJob({ job: job({ suspend: true }), pods: [running], nowMs: NOW });
    assert.deepEqual([suspended.delete, suspended.isCounted], [[running], false]);
    const conditions = [{ type: "Complete", status: "True", lastTransitionTime: THEN }];
    const ended = (ttlSecondsAfterFinished: number) =>
      planJob({ job: job({ ttlSecondsAfterFinished }, { conditions }), pods: [], nowMs: NOW });
    assert.equal(ended(4).isExpired, true);
    assert.deepEqual([ended(10).isExpired, ended(10).againAfterMs], [false, 6000]);
  });
});
