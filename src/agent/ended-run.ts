import type { ExitedRun } from "./facts.ts";
import type { ProcessExit } from "./process.ts";

/** A run as its process's end and its last words tell it. */
export function exitedRun(
  attempt: number,
  startedAtMs: number,
  finishedAtMs: number,
  exit: ProcessExit,
  message: string,
): ExitedRun {
  if (exit.isUnknown) return lostRun(attempt, startedAtMs, finishedAtMs);
  return {
    kind: "exited",
    attempt,
    exitCode: exit.exitCode,
    signal: exit.signal,
    reason: exit.exitCode === 0 ? "Completed" : "Error",
    message,
    startedAtMs,
    finishedAtMs,
  };
}

/** A run that ended while no agent looked: kubelet gives such a container 137 too. */
export function lostRun(attempt: number, startedAtMs: number, nowMs: number): ExitedRun {
  return {
    kind: "exited",
    attempt,
    exitCode: 137,
    signal: 0,
    reason: "ContainerStatusUnknown",
    message:
      "the process was not started by this run of the node agent, so its exit code is unknown",
    startedAtMs,
    finishedAtMs: nowMs,
  };
}
