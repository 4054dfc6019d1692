import type { ContainerInput } from "./container-input.ts";
import type { ContainerLog } from "./container-log.ts";
import type { ContainerRun } from "./container-run.ts";
import type { ProcessExit } from "./process.ts";
import type { Entry } from "./sandbox.ts";

/** What exec and attach need of a container. */
export interface RunningContainer {
  readonly kind: "running";
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly enter: Entry;
  readonly log: ContainerLog;
  readonly input: ContainerInput | undefined;
  /** Aborts when its process has ended. */
  readonly ended: AbortSignal;
  readonly exited: Promise<ProcessExit>;
  readonly hasEnded: () => boolean;
}

export function runningContainer(run: ContainerRun): RunningContainer {
  const { log, input, ended, target, hasEnded } = run;
  return {
    kind: "running",
    env: target.env,
    workingDir: target.workingDir,
    enter: target.enter,
    log,
    input,
    ended: hasEnded,
    exited: ended,
    hasEnded: () => hasEnded.aborted,
  };
}
