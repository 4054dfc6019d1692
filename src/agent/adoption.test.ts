import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "../api/v1/pod.ts";
import type { PodStatus } from "../api/v1/pod-status.ts";
import { planAdoption, restoredFacts } from "./adoption.ts";
import type { AdoptionInput } from "./adoption.ts";
import type { MarkedProcess } from "./markers.ts";
import type { ContainerRecord } from "./pod-files.ts";

const NOW = 1_000_000;

function podOf(uid: string, status?: PodStatus): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: uid, namespace: "shop", uid },
    spec: { containers: [{ name: "main" }] },
    ...(status === undefined ? {} : { status }),
  };
}

function recordOf(podUid: string, change: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    podUid,
    container: "main",
    bootId: "boot",
    attempt: 2,
    startedAtMs: 500,
    podIp: "127.81.0.2",
    backoff: undefined,
    previous: undefined,
    run: { kind: "running", pid: 10, startTicks: 7 },
    ...change,
  };
}

function marked(pid: number, podUid: string, change: Partial<MarkedProcess> = {}): MarkedProcess {
  const marker = { podUid, container: "main", attempt: 2 };
  return { pid, processGroup: pid, startTicks: 7, isZombie: false, marker, ...change };
}

function plan(input: Partial<AdoptionInput>): {
  readonly adopted: readonly (readonly [string, number | undefined])[];
  readonly stop: readonly number[];
} {
  const { restored, stop } = planAdoption({
    records: [],
    marked: [],
    pods: new Map([["u", podOf("u")]]),
    bootId: "boot",
    isAlive: () => true,
    canKeepIp: () => true,
    ...input,
  });
  return {
    adopted: restored.map(({ record, process }) => [record.podUid, process?.pid]),
    stop: stop.map(({ pid }) => pid),
  };
}

describe("planAdoption()", () => {
  it("adopts a recorded process that lives, and its descendants with it", () => {
    const grandchild = marked(11, "u", { processGroup: 10 });
    assert.deepEqual(plan({ records: [recordOf("u")], marked: [marked(10, "u"), grandchild] }), {
      adopted: [["u", 10]],
      stop: [],
    });
  });

  it("adopts by its environment a process started right before the crash", () => {
    const records = [recordOf("u", { run: { kind: "starting" } })];
    assert.deepEqual(plan({ records, marked: [marked(10, "u")] }), {
      adopted: [["u", 10]],
      stop: [],
    });
  });

  it("adopts none whose pid is another process's now, or of another boot", () => {
    const records = [recordOf("u")];
    const nothing = { adopted: [["u", undefined]], stop: [] };
    assert.deepEqual(plan({ records, isAlive: () => false }), nothing);
    assert.deepEqual(plan({ records, bootId: "later" }), nothing);
  });

  it("stops processes of Pods that are gone, over, or have lost their address", () => {
    const records = [recordOf("u")];
    const found = [marked(10, "u")];
    assert.deepEqual(plan({ records, marked: found, pods: new Map() }), {
      adopted: [],
      stop: [10],
    });
    const over = new Map([["u", podOf("u", { phase: "Failed" })]]);
    const kept = [["u", undefined]];
    assert.deepEqual(plan({ records, marked: found, pods: over }), { adopted: kept, stop: [10] });
    const moved = plan({ records, marked: found, canKeepIp: () => false });
    assert.deepEqual(moved, { adopted: kept, stop: [10] });
  });

  it("stops other attempts, unrecorded processes and commands of probes", () => {
    const marker = (attempt: number) => ({ marker: { podUid: "u", container: "main", attempt } });
    const found = [marked(10, "u"), marked(8, "u", marker(1)), marked(12, "u", marker(Number.NaN))];
    assert.deepEqual(plan({ records: [recordOf("u")], marked: found }), {
      adopted: [["u", 10]],
      stop: [8, 12],
    });
    assert.deepEqual(plan({ marked: [marked(10, "u")] }), { adopted: [], stop: [10] });
  });
});

describe("restoredFacts()", () => {
  const status = {
    name: "main",
    restartCount: 2,
    image: "",
    imageID: "",
    started: true,
    ready: true,
  };

  it("takes over readiness with the process", () => {
    const pod = podOf("u", { containerStatuses: [status] });
    const process = { pid: 10, startTicks: 7 };
    const facts = restoredFacts(pod, "main", { record: recordOf("u"), process }, NOW);
    assert.deepEqual(facts?.state, { kind: "running", attempt: 2, startedAtMs: 500 });
    assert.deepEqual([facts?.isStarted, facts?.isReady], [true, true]);
  });

  it("takes a process that is gone for ended, exit code unknown, to be restarted at once", () => {
    const restored = { record: recordOf("u"), process: undefined };
    const facts = restoredFacts(podOf("u"), "main", restored, NOW);
    assert.equal(facts?.state.kind === "exited" ? facts.state.exitCode : undefined, 137);
    assert.equal(facts?.backoff?.delayMs, 0);
  });

  it("takes a start that never was for no run", () => {
    const record = recordOf("u", { attempt: 0, run: { kind: "starting" } });
    assert.equal(restoredFacts(podOf("u"), "main", { record, process: undefined }, NOW), undefined);
  });

  it("believes the API's status when there is no record", () => {
    const terminated = {
      exitCode: 3,
      reason: "Error",
      startedAt: "2026-01-01T00:00:00Z",
      finishedAt: "2026-01-01T00:00:05Z",
    };
    const ended = podOf("u", { containerStatuses: [{ ...status, state: { terminated } }] });
    const known = restoredFacts(ended, "main", undefined, NOW)?.state;
    assert.equal(known?.kind === "exited" ? known.exitCode : undefined, 3);
    const running = { startedAt: "2026-01-01T00:00:00Z" };
    const ran = podOf("u", { containerStatuses: [{ ...status, state: { running } }] });
    const lost = restoredFacts(ran, "main", undefined, NOW)?.state;
    assert.equal(lost?.kind === "exited" ? lost.exitCode : undefined, 137);
    assert.equal(restoredFacts(podOf("u"), "main", undefined, NOW), undefined);
  });
});
