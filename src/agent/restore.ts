import { sleep } from "../async/sleep.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Logger } from "../telemetry/log.ts";
import { planAdoption } from "./adoption.ts";
import type { RestoredContainer } from "./adoption.ts";
import { findMarked } from "./markers.ts";
import type { PodFiles } from "./pod-files.ts";
import { bootId, codeOf, isAlive, readStat } from "./proc.ts";
import type { ProcessId } from "./proc.ts";

/** What stray processes get between SIGTERM and SIGKILL. */
const STRAY_GRACE_MS = 2_000;
const POLL_MS = 20;

export interface RestoreDeps {
  readonly files: PodFiles;
  readonly dataDir: string;
  readonly log: Logger;
  readonly canKeepIp: (pod: Pod, podIp: string) => boolean;
}

/**
 * Finds what an earlier agent of this data directory left, stops what should not run, and waits until it is
 * gone: only then may anything be started, so that no container ever runs twice.
 * @returns the containers to go on with, by Pod UID and container name.
 */
export async function restorePods(
  deps: RestoreDeps,
  pods: ReadonlyMap<string, Pod>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReadonlyMap<string, RestoredContainer>>> {
  const { files, log, dataDir, canKeepIp } = deps;
  const { records, unreadable } = await files.readAll();
  for (const file of unreadable) log.warn("container record unreadable, ignored", { file });
  const marked = findMarked(dataDir);
  const plan = planAdoption({ records, marked, pods, bootId: bootId(), isAlive, canKeepIp });
  if (plan.stop.length > 0)
    log.info("stopping processes left behind", { pids: plan.stop.map(({ pid }) => pid) });
  await stopProcesses(plan.stop, STRAY_GRACE_MS, signal);
  for (const uid of await files.podUids()) if (!pods.has(uid)) await files.removePod(uid);
  const byPod = new Map<string, Map<string, RestoredContainer>>();
  for (const restored of plan.restored) {
    const { podUid, container } = restored.record;
    const containers = byPod.get(podUid) ?? new Map<string, RestoredContainer>();
    byPod.set(podUid, containers.set(container, restored));
    const { process } = restored;
    if (process !== undefined)
      log.info("container adopted", { podUid, container, pid: process.pid });
  }
  return byPod;
}

/** SIGTERM, and SIGKILL for those that are still there after `graceMs`; with their groups where they lead one. */
async function stopProcesses(
  processes: readonly ProcessId[],
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const isLeft = (id: ProcessId): boolean => isAlive(id);
  for (const id of processes) signalAll(id, "SIGTERM");
  for (let waitedMs = 0; waitedMs < graceMs && processes.some(isLeft); waitedMs += POLL_MS)
    await sleep(POLL_MS, signal);
  for (const id of processes) signalAll(id, "SIGKILL");
  // SIGKILL cannot be refused, but the kernel takes its time.
  while (processes.some(isLeft)) await sleep(POLL_MS, signal);
}

function signalAll(id: ProcessId, signal: NodeJS.Signals): void {
  const stat = readStat(id.pid);
  if (stat === undefined || stat.startTicks !== id.startTicks) return;
  try {
    process.kill(stat.processGroup === id.pid ? -id.pid : id.pid, signal);
  } catch (error) {
    // Ended between the look and the signal.
    if (codeOf(error) !== "ESRCH") throw error;
  }
}
