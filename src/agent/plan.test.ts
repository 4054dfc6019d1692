import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container } from "../api/v1/container.ts";
import type { PodStatus } from "../api/v1/pod-status.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ContainerFacts, ContainerState, ExitedRun, PodFacts } from "./facts.ts";
import { planPod } from "./plan.ts";
import { podStatusOf } from "./status.ts";

const T0 = Date.parse("2026-01-01T00:00:00Z");

interface PodShape {
  readonly mains?: readonly string[];
  readonly inits?: readonly Container[];
  readonly restartPolicy?: "Always" | "OnFailure" | "Never";
  readonly isTerminating?: boolean;
  readonly status?: PodStatus;
  readonly gates?: readonly string[];
  readonly activeDeadlineSeconds?: number;
}

function podOf(shape: PodShape = {}): Pod {
  const { mains = ["main"], inits = [], restartPolicy = "Always", gates = [] } = shape;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "shop",
      uid: "u-1",
      ...(shape.isTerminating === true ? { deletionTimestamp: "2026-01-01T00:00:30Z" } : {}),
    },
    spec: {
      restartPolicy,
      containers: mains.map((name) => ({ name })),
      initContainers: inits,
      readinessGates: gates.map((conditionType) => ({ conditionType })),
      ...(shape.activeDeadlineSeconds === undefined
        ? {}
        : { activeDeadlineSeconds: shape.activeDeadlineSeconds }),
    },
    ...(shape.status === undefined ? {} : { status: shape.status }),
  };
}

const running: ContainerState = { kind: "running", attempt: 0, startedAtMs: T0 };

function exited(exitCode: number, attempt = 0): ExitedRun {
  return {
    kind: "exited",
    attempt,
    exitCode,
    signal: 0,
    reason: exitCode === 0 ? "Completed" : "Error",
    message: "",
    startedAtMs: T0,
    finishedAtMs: T0 + 1000,
  };
}

function factsOf(
  containers: Readonly<Record<string, ContainerState | Partial<ContainerFacts>>>,
): PodFacts {
  const complete = (given: ContainerState | Partial<ContainerFacts>): ContainerFacts => ({
    previous: undefined,
    backoff: undefined,
    isStarted: true,
    isReady: true,
    state: { kind: "starting" },
    ...("kind" in given ? { state: given } : given),
  });
  return {
    podIp: "127.81.0.2",
    podIps: ["127.81.0.2"],
    hostIps: ["127.81.0.1"],
    canMount: false,
    acceptedAtMs: T0,
    isDraining: false,
    containers: new Map(Object.entries(containers).map(([name, f]) => [name, complete(f)])),
  };
}

const SIDECAR: Container = { name: "side", restartPolicy: "Always" };
const INIT: Container = { name: "init" };

interface PlanCase {
  readonly claim: string;
  readonly pod: Pod;
  readonly facts: PodFacts;
  readonly start?: readonly string[];
  readonly stop?: readonly string[];
  readonly wakeAtMs?: number;
  readonly isFinished?: boolean;
  readonly phase: string;
}

const CASES: readonly PlanCase[] = [
  {
    claim: "starts all containers of a new Pod",
    pod: podOf({ mains: ["a", "b"] }),
    facts: factsOf({}),
    start: ["a", "b"],
    phase: "Pending",
  },
  {
    claim: "starts the first init container alone",
    pod: podOf({ inits: [INIT, { name: "second" }] }),
    facts: factsOf({}),
    start: ["init"],
    phase: "Pending",
  },
  {
    claim: "starts the next init container after the first has succeeded",
    pod: podOf({ inits: [INIT, { name: "second" }] }),
    facts: factsOf({ init: exited(0) }),
    start: ["second"],
    phase: "Pending",
  },
  {
    claim: "waits for an init container's back-off",
    pod: podOf({ inits: [INIT] }),
    facts: factsOf({
      init: { state: exited(1), backoff: { delayMs: 10_000, untilMs: T0 + 20_000 } },
    }),
    wakeAtMs: T0 + 20_000,
    phase: "Pending",
  },
  {
    claim: "fails the Pod when an init container fails and may not be restarted",
    pod: podOf({ inits: [INIT], restartPolicy: "Never" }),
    facts: factsOf({ init: exited(1) }),
    isFinished: true,
    phase: "Failed",
  },
  {
    claim: "holds the containers back until a sidecar has started",
    pod: podOf({ inits: [SIDECAR] }),
    facts: factsOf({ side: { state: running, isStarted: false } }),
    phase: "Pending",
  },
  {
    claim: "starts the containers once the sidecar has started",
    pod: podOf({ inits: [SIDECAR] }),
    facts: factsOf({ side: running }),
    start: ["main"],
    phase: "Pending",
  },
  {
    claim: "restarts a sidecar without holding up running containers",
    pod: podOf({ inits: [SIDECAR] }),
    facts: factsOf({ side: exited(0), main: running }),
    start: ["side"],
    phase: "Running",
  },
  {
    claim: "stops sidecars when the containers are done",
    pod: podOf({ inits: [SIDECAR], restartPolicy: "Never" }),
    facts: factsOf({ side: running, main: exited(0) }),
    stop: ["side"],
    phase: "Running",
  },
  {
    claim: "is done when the sidecars are, whatever their exit codes",
    pod: podOf({ inits: [SIDECAR], restartPolicy: "Never" }),
    facts: factsOf({ side: exited(143), main: exited(0) }),
    isFinished: true,
    phase: "Succeeded",
  },
  {
    claim: "restarts a container at once after its first end",
    pod: podOf(),
    facts: factsOf({ main: { state: exited(0), backoff: { delayMs: 0, untilMs: T0 } } }),
    start: ["main"],
    phase: "Running",
  },
  {
    claim: "restarts a container after its back-off",
    pod: podOf(),
    facts: factsOf({
      main: { state: exited(1), backoff: { delayMs: 10_000, untilMs: T0 + 11_000 } },
    }),
    wakeAtMs: T0 + 11_000,
    phase: "Running",
  },
  {
    claim: "restarts on failure only what failed",
    pod: podOf({ mains: ["good", "bad"], restartPolicy: "OnFailure" }),
    facts: factsOf({ good: exited(0), bad: exited(1) }),
    start: ["bad"],
    phase: "Running",
  },
  {
    claim: "succeeds when all have ended well and none is restarted",
    pod: podOf({ mains: ["a", "b"], restartPolicy: "OnFailure" }),
    facts: factsOf({ a: exited(0), b: exited(0) }),
    isFinished: true,
    phase: "Succeeded",
  },
  {
    claim: "fails when one has failed and none is restarted",
    pod: podOf({ mains: ["a", "b"], restartPolicy: "Never" }),
    facts: factsOf({ a: exited(0), b: exited(1) }),
    isFinished: true,
    phase: "Failed",
  },
  {
    claim: "stays Pending while a program cannot be started",
    pod: podOf(),
    facts: factsOf({
      main: {
        state: { kind: "waiting", reason: "CreateContainerError", message: "no such program" },
        backoff: { delayMs: 1000, untilMs: T0 + 1000 },
      },
    }),
    wakeAtMs: T0 + 1000,
    phase: "Pending",
  },
  {
    claim: "stops the containers of a deleted Pod before its sidecars",
    pod: podOf({ inits: [SIDECAR], isTerminating: true }),
    facts: factsOf({ side: running, main: running }),
    stop: ["main"],
    phase: "Running",
  },
  {
    claim: "lets a deleted Pod run on while connections may still be sent to it",
    pod: podOf({ isTerminating: true }),
    facts: { ...factsOf({ main: running }), isDraining: true },
    phase: "Running",
  },
  {
    claim: "is done with a deleted Pod whose program has ended while it was draining",
    pod: podOf({ isTerminating: true }),
    facts: { ...factsOf({ main: exited(0) }), isDraining: true },
    isFinished: true,
    phase: "Succeeded",
  },
  {
    claim: "starts nothing in a deleted Pod",
    pod: podOf({ isTerminating: true }),
    facts: factsOf({}),
    isFinished: true,
    phase: "Failed",
  },
  {
    claim: "ends a deleted Pod as Succeeded when all ended well",
    pod: podOf({ isTerminating: true }),
    facts: factsOf({ main: exited(0) }),
    isFinished: true,
    phase: "Succeeded",
  },
  {
    claim: "waits for a container that is being started before it is done",
    pod: podOf({ isTerminating: true }),
    facts: factsOf({ main: { state: { kind: "starting" } } }),
    stop: ["main"],
    phase: "Pending",
  },
  {
    claim: "keeps a terminal phase",
    pod: podOf({ restartPolicy: "Never", status: { phase: "Failed", reason: "Evicted" } }),
    facts: factsOf({ main: exited(0) }),
    isFinished: true,
    phase: "Failed",
  },
  {
    claim: "wakes at the Pod's deadline",
    pod: podOf({ activeDeadlineSeconds: 60 }),
    facts: factsOf({ main: running }),
    wakeAtMs: T0 + 60_000,
    phase: "Running",
  },
  {
    claim: "stops a Pod past its deadline",
    pod: podOf({ activeDeadlineSeconds: 0 }),
    facts: factsOf({ main: running }),
    stop: ["main"],
    phase: "Running",
  },
];

describe("planPod() and podStatusOf()", () => {
  for (const { claim, pod, facts, phase, ...expected } of CASES)
    it(claim, () => {
      const { failure: _, ...plan } = planPod(pod, facts, T0);
      const nothing = { start: [], stop: [], wakeAtMs: undefined, isFinished: false };
      assert.deepEqual(plan, { ...nothing, ...expected });
      assert.equal(podStatusOf(pod, facts, planPod(pod, facts, T0), T0).phase, phase);
    });
});

function statusOf(pod: Pod, facts: PodFacts, nowMs = T0): PodStatus {
  return podStatusOf(pod, facts, planPod(pod, facts, nowMs), nowMs);
}

function conditionOf(status: PodStatus, type: string): readonly (string | undefined)[] {
  const found = status.conditions?.find((condition) => condition.type === type);
  return [found?.status, found?.reason, found?.message];
}

describe("podStatusOf()", () => {
  it("says all of a running Pod", () => {
    const status = statusOf(podOf(), factsOf({ main: running }));
    assert.equal(status.podIP, "127.81.0.2");
    assert.deepEqual(status.podIPs, [{ ip: "127.81.0.2" }]);
    assert.equal(status.hostIP, "127.81.0.1");
    assert.equal(status.startTime, "2026-01-01T00:00:00Z");
    for (const type of ["PodScheduled", "Initialized", "ContainersReady", "Ready"])
      assert.deepEqual(conditionOf(status, type), ["True", undefined, undefined], type);
    assert.deepEqual(status.containerStatuses, [
      {
        name: "main",
        state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
        lastState: {},
        ready: true,
        restartCount: 0,
        image: "",
        imageID: "",
        containerID: "portolan://u-1/main/0",
        started: true,
      },
    ]);
  });

  it("tells how volumes are mounted, where they are and can be had", () => {
    const pod = podOf();
    const [main] = pod.spec.containers;
    const volumeMounts = [
      { name: "empty", mountPath: "/empty" },
      { name: "empty", mountPath: "/ro", readOnly: true },
      { name: "empty", mountPath: "/rro", readOnly: true, recursiveReadOnly: "IfPossible" },
      { name: "claim", mountPath: "/claim" },
    ];
    const volumes = [
      { name: "empty", emptyDir: {} },
      { name: "claim", persistentVolumeClaim: { claimName: "c" } },
    ];
    const mounting = {
      ...pod,
      spec: { ...pod.spec, volumes, containers: [{ ...main, name: "main", volumeMounts }] },
    };
    const shown = (canMount: boolean) =>
      statusOf(mounting, { ...factsOf({ main: running }), canMount }).containerStatuses?.[0]
        ?.volumeMounts;
    assert.equal(shown(false), undefined);
    assert.deepEqual(shown(true), [
      { name: "empty", mountPath: "/empty" },
      { name: "empty", mountPath: "/ro", readOnly: true, recursiveReadOnly: "Disabled" },
      { name: "empty", mountPath: "/rro", readOnly: true, recursiveReadOnly: "Enabled" },
    ]);
  });

  it("EPS-022: is not Ready while a container is not, and names it", () => {
    const pod = podOf({ mains: ["a", "b"] });
    const status = statusOf(pod, factsOf({ a: running, b: { state: running, isReady: false } }));
    const expected = ["False", "ContainersNotReady", "containers with unready status: [b]"];
    assert.deepEqual(conditionOf(status, "Ready"), expected);
    assert.deepEqual(conditionOf(status, "ContainersReady"), expected);
  });

  it("TERM-009: keeps Ready after the probes while the Pod terminates", () => {
    const pod = podOf({ isTerminating: true });
    assert.equal(conditionOf(statusOf(pod, factsOf({ main: running })), "Ready")[0], "True");
    const failing = factsOf({ main: { state: running, isReady: false } });
    assert.equal(conditionOf(statusOf(pod, failing), "Ready")[0], "False");
  });

  it("EPS-024: is Ready only when every readiness gate is True", () => {
    const facts = factsOf({ main: running });
    const ready = (status?: PodStatus): readonly (string | undefined)[] =>
      conditionOf(
        statusOf(podOf({ gates: ["lb"], ...(status === undefined ? {} : { status }) }), facts),
        "Ready",
      );
    const reason = "ReadinessGatesNotReady";
    assert.deepEqual(ready(), [
      "False",
      reason,
      'corresponding condition of pod readiness gate "lb" does not exist.',
    ]);
    assert.deepEqual(ready({ conditions: [{ type: "lb", status: "False" }] }), [
      "False",
      reason,
      'the status of pod readiness gate "lb" is not "True", but False',
    ]);
    assert.equal(ready({ conditions: [{ type: "lb", status: "True" }] })[0], "True");
  });

  it("keeps conditions of others, and the time of a condition that stays", () => {
    const status = {
      conditions: [
        { type: "lb", status: "True" },
        { type: "Ready", status: "True", lastTransitionTime: "2020-01-01T00:00:00Z" },
        { type: "ContainersReady", status: "False", lastTransitionTime: "2020-01-01T00:00:00Z" },
      ],
    };
    const { conditions } = statusOf(podOf({ status }), factsOf({ main: running }));
    const since = (type: string): string | undefined =>
      conditions?.find((condition) => condition.type === type)?.lastTransitionTime;
    assert.equal(since("Ready"), "2020-01-01T00:00:00Z");
    assert.equal(since("ContainersReady"), "2026-01-01T00:00:00Z");
    assert.deepEqual(conditions?.at(-1), { type: "lb", status: "True" });
  });

  it("shows a crash loop while the back-off lasts, with the last end beside it", () => {
    const main = {
      state: exited(1, 3),
      previous: exited(1, 2),
      backoff: { delayMs: 80_000, untilMs: T0 + 80_000 },
    };
    const [shown] = statusOf(podOf(), factsOf({ main })).containerStatuses ?? [];
    assert.deepEqual(shown?.state, {
      waiting: {
        reason: "CrashLoopBackOff",
        message: "back-off 1m20s restarting failed container=main pod=web_shop(u-1)",
      },
    });
    assert.equal(shown?.lastState?.terminated?.containerID, "portolan://u-1/main/3");
    assert.equal(shown?.restartCount, 3);
    assert.equal(shown?.ready, false);
  });

  it("shows the end of a container that is not restarted, with its signal", () => {
    const main = { ...exited(137), signal: 9 };
    const pod = podOf({ restartPolicy: "Never" });
    const status = statusOf(pod, factsOf({ main }));
    assert.deepEqual(status.containerStatuses?.[0]?.state?.terminated, {
      exitCode: 137,
      signal: 9,
      reason: "Error",
      startedAt: "2026-01-01T00:00:00Z",
      finishedAt: "2026-01-01T00:00:01Z",
      containerID: "portolan://u-1/main/0",
    });
    assert.equal(conditionOf(status, "Ready")[1], "PodFailed");
  });

  it("says why a program was not started", () => {
    const state = { kind: "waiting", reason: "CreateContainerError", message: "why" } as const;
    const [shown] = statusOf(podOf(), factsOf({ main: { state } })).containerStatuses ?? [];
    assert.deepEqual(shown?.state, { waiting: { reason: "CreateContainerError", message: "why" } });
    assert.equal(shown?.containerID, undefined);
  });

  it("names the init containers that others wait for", () => {
    const pod = podOf({ inits: [INIT] });
    const status = statusOf(pod, factsOf({ init: running }));
    assert.deepEqual(conditionOf(status, "Initialized"), [
      "False",
      "ContainersNotInitialized",
      "containers with incomplete status: [init]",
    ]);
    assert.deepEqual(status.containerStatuses?.[0]?.state, {
      waiting: { reason: "PodInitializing" },
    });
    assert.equal(status.initContainerStatuses?.[0]?.ready, false);
    const done = statusOf(pod, factsOf({ init: exited(0), main: running }));
    assert.equal(done.initContainerStatuses?.[0]?.ready, true);
  });

  it("says when a deadline was the end", () => {
    const pod = podOf({ activeDeadlineSeconds: 5 });
    const status = statusOf(pod, factsOf({ main: exited(143) }), T0 + 5000);
    assert.deepEqual([status.phase, status.reason], ["Failed", "DeadlineExceeded"]);
  });
});
