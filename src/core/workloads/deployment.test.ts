import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Deployment, DeploymentCondition } from "../../api/apps/deployment.ts";
import type { ReplicaSet } from "../../api/apps/replicaset.ts";
import { formatTime } from "../../api/machinery/time.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { planDeploymentStatus } from "./deployment-status.ts";
import { planDeployment, wantedOf } from "./deployment.ts";
import { planReplicas } from "./replicas.ts";
import { paceOf } from "./rolling.ts";

const NOW = 1_735_689_604_000; // 2025-01-01T00:00:04Z
const THEN = "2025-01-01T00:00:00Z";

type Amount = string | number;

function deployment(
  image: string,
  replicas: number,
  pace: { maxSurge: Amount; maxUnavailable: Amount } | "Recreate",
  more: Partial<Deployment["spec"]> = {},
): Deployment {
  const labels = { app: "web" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default", uid: "d", generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { name: "", labels }, spec: { containers: [{ name: "m", image }] } },
      strategy:
        pace === "Recreate" ? { type: "Recreate" } : { type: "RollingUpdate", rollingUpdate: pace },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...more,
    },
  };
}

/** A Deployment's sets and Pods, and what each of the loops over them may do next. */
class World {
  deployment: Deployment;
  sets: ReplicaSet[] = [];
  pods = new Map<string, Pod[]>();
  #made = 0;

  constructor(given: Deployment) {
    this.deployment = given;
  }

  /** The Deployment controller looks once. */
  reconcile(): boolean {
    const plan = planDeployment({
      deployment: this.deployment,
      replicaSets: this.sets,
      hasPods: (uid) => (this.pods.get(uid) ?? []).length > 0,
    });
    for (const next of plan.update) {
      const at = this.sets.findIndex(({ metadata }) => metadata.uid === next.metadata.uid);
      this.sets[at] = next;
    }
    this.sets = this.sets.filter((set) => !plan.delete.includes(set));
    if (plan.create !== undefined) {
      this.#made++;
      const creationTimestamp = formatTime({ seconds: NOW / 1000 + this.#made, nanos: 0 });
      const { metadata, spec } = plan.create;
      const made = {
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        metadata: { name: "", ...metadata, uid: String(this.#made), creationTimestamp },
        spec,
      };
      this.sets.push(made as ReplicaSet); // A draft's spec is whole.
    }
    const before = this.deployment.status;
    const { status } = planDeploymentStatus({
      deployment: this.deployment,
      fresh: plan.fresh,
      olds: plan.olds,
      nowMs: NOW,
    });
    this.deployment = { ...this.deployment, status };
    const isStill = JSON.stringify(before) === JSON.stringify(status);
    return plan.create !== undefined || plan.update.length > 0 || !isStill;
  }

  /** The ReplicaSet controller looks at one set. */
  fill(index: number): boolean {
    const set = this.sets[index % Math.max(1, this.sets.length)];
    if (set === undefined) return false;
    const uid = set.metadata.uid ?? "";
    const held = this.pods.get(uid) ?? [];
    const plan = planReplicas({
      wanted: wantedOf(set),
      minReadySeconds: 0,
      templateLabels: {},
      isDeleted: false,
      generation: set.metadata.generation,
      pods: held,
      oldStatus: set.status,
      nowMs: NOW,
    });
    const kept = held.filter((pod) => !plan.delete.includes(pod));
    for (let i = 0; i < plan.create; i++) kept.push(this.#pod());
    this.pods.set(uid, kept);
    this.sets = this.sets.map((one) => (one === set ? { ...set, status: plan.status } : one));
    const isMoved = plan.create + plan.delete.length > 0;
    return isMoved || JSON.stringify(plan.status) !== JSON.stringify(set.status);
  }

  /** A Pod becomes ready. */
  ready(index: number): boolean {
    const waiting = [...this.pods.values()].flatMap((list) => list.filter((pod) => !isReady(pod)));
    const pod = waiting[index % Math.max(1, waiting.length)];
    if (pod === undefined) return false;
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: THEN }];
    const now = { ...pod, status: { ...pod.status, conditions } };
    for (const [uid, list] of this.pods) {
      this.pods.set(
        uid,
        list.map((one) => (one === pod ? now : one)),
      );
    }
    return true;
  }

  /** Everybody works until nobody has anything to do. */
  settle(): void {
    for (let round = 0; round < 500; round++) {
      const moved = [this.reconcile()];
      for (let i = 0; i < this.sets.length; i++) moved.push(this.fill(i));
      moved.push(this.ready(0));
      if (!moved.includes(true)) return;
    }
    assert.fail(`not settled: ${JSON.stringify(this.sets.map(({ spec }) => spec.replicas))}`);
  }

  get wanted(): number {
    return this.sets.reduce((sum, set) => sum + wantedOf(set), 0);
  }

  get readyPods(): number {
    return [...this.pods.values()].flat().filter(isReady).length;
  }

  #pod(): Pod {
    this.#made++;
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `p${String(this.#made)}`, uid: `p${String(this.#made)}` },
      spec: { nodeName: "n", containers: [] },
      status: { phase: "Running" },
    };
  }
}

function isReady({ status }: Pod): boolean {
  return (
    status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") ===
    true
  );
}

const amount = fc.oneof(
  fc.nat(4),
  fc.nat(100).map((percent) => `${String(percent)}%`),
);
const step = fc.record({ kind: fc.constantFrom("look", "fill", "ready", "image"), n: fc.nat(9) });

describe("planDeployment()", () => {
  it("rolls any template out, within the surge and above what must be available, in any order of steps", () => {
    fc.assert(
      fc.property(
        fc.nat(8),
        amount,
        amount,
        fc.array(step, { maxLength: 60 }),
        (replicas, maxSurge, maxUnavailable, steps) => {
          const pace = { maxSurge, maxUnavailable };
          const limits = paceOf(replicas, maxSurge, maxUnavailable);
          const world = new World(deployment("0", replicas, pace));
          world.settle();
          const least = replicas - limits.maxUnavailable;
          for (const { kind, n } of steps) {
            if (kind === "look") world.reconcile();
            else if (kind === "fill") world.fill(n);
            else if (kind === "ready") world.ready(n);
            else
              world.deployment = {
                ...world.deployment,
                spec: deployment(String(n), replicas, pace).spec,
              };
            assert.ok(world.wanted <= replicas + limits.maxSurge, `${String(world.wanted)} wanted`);
            assert.ok(world.readyPods >= least, `${String(world.readyPods)} ready`);
          }
          world.settle();
          const sizes = world.sets.map(wantedOf).filter((size) => size > 0);
          assert.deepEqual(sizes, replicas === 0 ? [] : [replicas]);
          const { status } = world.deployment;
          assert.deepEqual([status?.updatedReplicas, status?.replicas], [replicas, replicas]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("comes to any new size, whatever it was doing", () => {
    fc.assert(
      fc.property(
        fc.nat(8),
        fc.nat(8),
        amount,
        fc.array(step, { maxLength: 30 }),
        (from, to, surge, steps) => {
          const pace = { maxSurge: surge, maxUnavailable: 1 };
          const world = new World(deployment("0", from, pace));
          world.settle();
          world.deployment = { ...world.deployment, spec: deployment("1", from, pace).spec };
          for (const { kind, n } of steps) {
            if (kind === "look") world.reconcile();
            else if (kind === "fill") world.fill(n);
            else world.ready(n);
          }
          world.deployment = { ...world.deployment, spec: deployment("1", to, pace).spec };
          world.settle();
          const sizes = world.sets.map(wantedOf).filter((size) => size > 0);
          assert.deepEqual(sizes, to === 0 ? [] : [to]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("with Recreate makes no new Pod before the last old one is gone", () => {
    const world = new World(deployment("0", 2, "Recreate"));
    world.settle();
    world.deployment = { ...world.deployment, spec: deployment("1", 2, "Recreate").spec };
    world.reconcile();
    assert.deepEqual(world.sets.map(wantedOf), [0]);
    world.reconcile();
    assert.equal(world.sets.length, 1);
    world.settle();
    assert.deepEqual(world.sets.map(wantedOf), [0, 2]);
  });

  it("gives a template that comes back its set, and the next revision", () => {
    const pace = { maxSurge: 1, maxUnavailable: 0 };
    const world = new World(deployment("0", 1, pace));
    for (const image of ["0", "1", "0"]) {
      world.deployment = { ...world.deployment, spec: deployment(image, 1, pace).spec };
      world.settle();
    }
    const annotations = world.sets.map(({ metadata }) => [
      metadata.annotations?.["deployment.kubernetes.io/revision"],
      metadata.annotations?.["deployment.kubernetes.io/revision-history"],
    ]);
    assert.deepEqual(annotations, [
      ["3", "1"],
      ["2", undefined],
    ]);
  });

  it("keeps no more old sets than the history asks for, and no template is rolled while paused", () => {
    const pace = { maxSurge: 1, maxUnavailable: 0 };
    const limit = { revisionHistoryLimit: 1 };
    const world = new World(deployment("0", 1, pace, limit));
    for (const image of ["0", "1", "2", "3"]) {
      world.deployment = { ...world.deployment, spec: deployment(image, 1, pace, limit).spec };
      world.settle();
    }
    assert.equal(world.sets.length, 2);
    const paused = deployment("4", 3, pace, { ...limit, paused: true });
    world.deployment = { ...world.deployment, spec: paused.spec };
    world.settle();
    assert.deepEqual(world.sets.map(wantedOf), [0, 3]);
  });
});

describe("planDeploymentStatus()", () => {
  const said = (given: Deployment, more: object = {}): readonly string[] => {
    const { status } = planDeploymentStatus({
      deployment: given,
      fresh: undefined,
      olds: [],
      nowMs: NOW,
      ...more,
    });
    return (status.conditions ?? []).map(
      ({ type, status: holds, reason }: DeploymentCondition) => `${type}=${holds} ${reason ?? ""}`,
    );
  };
  const web = deployment("0", 1, { maxSurge: 1, maxUnavailable: 0 });
  const progressing = (reason: string, lastUpdateTime = THEN): Deployment => {
    const progress = { type: "Progressing", status: "True", reason, lastUpdateTime };
    return { ...web, status: { conditions: [progress] } };
  };
  const UNAVAILABLE = "Available=False MinimumReplicasUnavailable";

  it("says what became of the new set", () => {
    const created = { outcome: { kind: "created", name: "web-1" } };
    assert.deepEqual(said(web, created), ["Progressing=True NewReplicaSetCreated", UNAVAILABLE]);
    const failed = { outcome: { kind: "failed", message: "no" } };
    assert.deepEqual(said(web, failed), ["Progressing=False ReplicaSetCreateError", UNAVAILABLE]);
  });

  it("says that it is paused, and that it was resumed", () => {
    const paused = { ...web, spec: { ...web.spec, paused: true } };
    assert.deepEqual(said(paused), ["Progressing=Unknown DeploymentPaused", UNAVAILABLE]);
    const resumed = said(progressing("DeploymentPaused"));
    assert.deepEqual(resumed, ["Progressing=Unknown DeploymentResumed", UNAVAILABLE]);
  });

  it("says that it is late after the deadline, and nothing of progress without one", () => {
    const late = progressing("ReplicaSetUpdated", "2024-12-31T23:00:00Z");
    assert.deepEqual(said(late), [UNAVAILABLE, "Progressing=False ProgressDeadlineExceeded"]);
    const patient = { ...late, spec: { ...late.spec, progressDeadlineSeconds: 2 ** 31 - 1 } };
    assert.deepEqual(said(patient), [UNAVAILABLE]);
  });

  it("repeats what its sets failed at", () => {
    const { spec } = web;
    const failing: ReplicaSet = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "web-1" },
      spec: {
        template: spec.template,
        ...(spec.selector === undefined ? {} : { selector: spec.selector }),
      },
      status: {
        replicas: 0,
        conditions: [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate" }],
      },
    };
    assert.ok(said(web, { fresh: failing }).includes("ReplicaFailure=True FailedCreate"));
  });
});
