import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { podColumns } from "./pod.columns.ts";
import { defaultPod } from "./pod.defaults.ts";
import type { PodStatus } from "./pod-status.ts";
import type { Pod } from "./pod.ts";
import type { Cell } from "../machinery/kind.ts";

const NOW_MS = Date.parse("2026-01-02T03:04:05Z");
const ENDED = { terminated: { exitCode: 1, reason: "Error", finishedAt: "2026-01-02T02:59:05Z" } };
const RUNS = { running: { startedAt: "2026-01-02T03:00:00Z" } };

interface Given {
  readonly containers?: number;
  readonly init?: readonly object[];
  readonly spec?: object;
  readonly deleted?: boolean;
  readonly status: object;
}

function pod({ containers = 1, init, spec, deleted = false, status }: Given): Pod {
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      creationTimestamp: "2025-12-31T03:04:05Z",
      ...(deleted ? { deletionTimestamp: "2026-01-02T03:04:35Z" } : {}),
    },
    spec: {
      containers: Array.from({ length: containers }, (_, i) => ({ name: `c${String(i)}` })),
      ...(init && { initContainers: init }),
      ...spec,
    },
    status: status as PodStatus,
  };
  // Defaults make it what the type says.
  return defaultPod(object as Pod);
}

const status = (name: string, state: object, more: object = {}) => ({
  name,
  ready: false,
  restartCount: 0,
  image: "",
  imageID: "",
  state,
  ...more,
});
const ready = { type: "Ready", status: "True" };
const cells = (given: Given): readonly Cell[] =>
  podColumns.map((column) => column.cell(pod(given), NOW_MS));

describe("podColumns", () => {
  it("are those of kubectl", () => {
    assert.deepEqual(
      podColumns.map(({ name, priority }) => `${name} ${String(priority)}`),
      [
        "Name 0",
        "Ready 0",
        "Status 0",
        "Restarts 0",
        "Age 0",
        "IP 1",
        "Node 1",
        "Nominated Node 1",
        "Readiness Gates 1",
      ],
    );
  });

  it("show a running Pod", () => {
    const given: Given = {
      spec: { nodeName: "local", readinessGates: [{ conditionType: "a.example/lb" }] },
      status: {
        phase: "Running",
        podIPs: [{ ip: "127.112.0.2" }],
        conditions: [ready],
        containerStatuses: [status("c0", RUNS, { ready: true, restartCount: 1, lastState: ENDED })],
      },
    };
    assert.deepEqual(cells(given), [
      "web",
      "1/1",
      "Running",
      "1 (5m ago)",
      "2d",
      "127.112.0.2",
      "local",
      "<none>",
      "0/1",
    ]);
  });

  it("show a Pod that nobody took yet", () => {
    const given: Given = { status: { phase: "Pending" } };
    assert.deepEqual(cells(given), [
      "web",
      "0/1",
      "Pending",
      "0",
      "2d",
      "<none>",
      "<none>",
      "<none>",
      "<none>",
    ]);
  });

  const waiting = (reason: string) => ({ waiting: { reason } });
  const done = { terminated: { exitCode: 0, reason: "Completed" } };
  const cases: readonly [reason: string, Given][] = [
    [
      "ContainerCreating",
      {
        status: {
          phase: "Pending",
          containerStatuses: [status("c0", waiting("ContainerCreating"))],
        },
      },
    ],
    [
      "CrashLoopBackOff",
      {
        status: {
          phase: "Running",
          containerStatuses: [status("c0", waiting("CrashLoopBackOff"), { lastState: ENDED })],
        },
      },
    ],
    ["Error", { status: { phase: "Failed", containerStatuses: [status("c0", ENDED)] } }],
    [
      "ExitCode:3",
      {
        status: {
          phase: "Failed",
          containerStatuses: [status("c0", { terminated: { exitCode: 3 } })],
        },
      },
    ],
    [
      "Signal:9",
      {
        status: {
          phase: "Failed",
          containerStatuses: [status("c0", { terminated: { exitCode: 137, signal: 9 } })],
        },
      },
    ],
    ["Completed", { status: { phase: "Succeeded", containerStatuses: [status("c0", done)] } }],
    [
      "Running",
      {
        containers: 2,
        status: {
          phase: "Running",
          conditions: [ready],
          containerStatuses: [status("c0", done), status("c1", RUNS, { ready: true })],
        },
      },
    ],
    [
      "NotReady",
      {
        containers: 2,
        status: {
          phase: "Running",
          containerStatuses: [status("c0", done), status("c1", RUNS, { ready: true })],
        },
      },
    ],
    [
      "CrashLoopBackOff",
      {
        containers: 2,
        status: {
          phase: "Running",
          containerStatuses: [status("c0", waiting("CrashLoopBackOff")), status("c1", ENDED)],
        },
      },
    ],
    ["Evicted", { status: { phase: "Failed", reason: "Evicted" } }],
    [
      "SchedulingGated",
      {
        status: {
          phase: "Pending",
          conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }],
        },
      },
    ],
    [
      "Terminating",
      {
        deleted: true,
        status: { phase: "Running", containerStatuses: [status("c0", RUNS, { ready: true })] },
      },
    ],
    [
      "Completed",
      { deleted: true, status: { phase: "Succeeded", containerStatuses: [status("c0", done)] } },
    ],
    ["Unknown", { deleted: true, status: { phase: "Running", reason: "NodeLost" } }],
    [
      "Init:0/2",
      {
        init: [{ name: "i0" }, { name: "i1" }],
        status: {
          phase: "Pending",
          initContainerStatuses: [status("i0", RUNS)],
          containerStatuses: [status("c0", waiting("PodInitializing"))],
        },
      },
    ],
    [
      "Init:1/2",
      {
        init: [{ name: "i0" }, { name: "i1" }],
        status: {
          phase: "Pending",
          initContainerStatuses: [status("i0", done), status("i1", waiting("PodInitializing"))],
        },
      },
    ],
    [
      "Init:Error",
      {
        init: [{ name: "i0" }],
        status: { phase: "Pending", initContainerStatuses: [status("i0", ENDED)] },
      },
    ],
    [
      "Init:CrashLoopBackOff",
      {
        init: [{ name: "i0" }],
        status: {
          phase: "Pending",
          initContainerStatuses: [status("i0", waiting("CrashLoopBackOff"))],
        },
      },
    ],
  ];
  for (const [reason, given] of cases) {
    it(`show ${reason} for ${JSON.stringify(given.status).slice(0, 90)}`, () => {
      assert.equal(cells(given)[2], reason);
    });
  }

  it("count sidecars, and the restarts of init containers until they are done", () => {
    const sidecar = { name: "i0", restartPolicy: "Always" };
    const given: Given = {
      init: [sidecar, { name: "i1" }],
      status: {
        phase: "Running",
        initContainerStatuses: [
          status("i0", RUNS, { ready: true, started: true, restartCount: 2 }),
          status("i1", done, { restartCount: 5 }),
        ],
        containerStatuses: [status("c0", RUNS, { ready: true, restartCount: 1 })],
      },
    };
    assert.deepEqual(cells(given).slice(1, 4), ["2/2", "Running", "3"]);
    const initializing: Given = {
      init: [{ name: "i0" }],
      status: {
        phase: "Pending",
        initContainerStatuses: [status("i0", RUNS, { restartCount: 4 })],
      },
    };
    assert.deepEqual(cells(initializing).slice(1, 4), ["0/1", "Init:0/1", "4"]);
  });
});
