import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { constants as osConstants } from "node:os";
import { dirname } from "node:path";
import { getSystemErrorMap } from "node:util";
import { isAlive, readStat, signalGroup } from "./proc.ts";
import type { ProcessId } from "./proc.ts";
import { findProgram } from "./program.ts";
import type { Entry } from "./sandbox.ts";

/** A container's process, whether started or adopted by this agent. It leads a process group of its own. */
export interface ContainerProcess {
  readonly id: ProcessId;
  /** Resolves when the process has ended; what is left of its group has been killed then. */
  readonly exited: Promise<ProcessExit>;
  /** Sends a signal to the whole group. */
  signal(signal: NodeJS.Signals): void;
  /** Stops watching, so that the agent can end while the process goes on. */
  release(): void;
}

export interface ProcessExit {
  readonly exitCode: number;
  /** Signal number, 0 for none. The exit code is then 128 more, as shells and container runtimes say it. */
  readonly signal: number;
  /** An adopted process: nobody was told its exit code. */
  readonly isUnknown: boolean;
}

export interface ProcessSpec {
  /** Program and arguments, never seen by a shell. A program without a slash is looked up in env's PATH. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly enter: Entry;
  /** stdout and stderr are appended here, by the process itself: so they survive the agent. */
  readonly logFile: string;
  /** Descriptor of its stdin; default none. */
  readonly stdin?: number | undefined;
}

export type Started =
  | { readonly kind: "started"; readonly process: ContainerProcess }
  /** `reason` as in a container's waiting state. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string };

/** Starts a process; a program that cannot be run is a result, not an error. */
export async function startProcess(spec: ProcessSpec): Promise<Started> {
  const [program, ...args] = spec.command;
  const { enter, env, workingDir } = spec;
  const { root } = enter;
  const found = await findProgram(program, { path: env["PATH"] ?? "", workingDir, root });
  if (found.kind === "failed") return { ...found, reason: "CreateContainerError" };
  await mkdir(dirname(spec.logFile), { recursive: true, mode: 0o700 });
  const log = await open(spec.logFile, "a", 0o600);
  try {
    const [file = found.path, ...words] = [...enter.words, found.path, ...args];
    const options: SpawnOptions = {
      ...(root === "" ? { argv0: program } : {}),
      cwd: enter.cwd,
      env: { ...env },
      detached: true,
      stdio: [spec.stdin ?? "ignore", log.fd, log.fd],
    };
    const child = await spawned(() => spawn(file, words, options));
    if (child instanceof Error) {
      const message = `exec: ${JSON.stringify(program)}: ${reasonOf(child)}`;
      return { kind: "failed", reason: "RunContainerError", message };
    }
    return { kind: "started", process: watchChild(child) };
  } finally {
    await log.close();
  }
}

/** A process that has begun, or why it has not: most causes come as an event, some are thrown. */
async function spawned(start: () => ChildProcess): Promise<ChildProcess | Error> {
  try {
    const child = start();
    return await new Promise((settle) => {
      child.once("spawn", () => {
        settle(child);
      });
      child.once("error", settle);
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** In the system's words, such as "argument list too long". */
function reasonOf(error: Error): string {
  const number = "errno" in error && typeof error.errno === "number" ? error.errno : 0;
  return getSystemErrorMap().get(number)?.[1] ?? error.message;
}

function watchChild(child: ChildProcess): ContainerProcess {
  const pid = child.pid;
  if (pid === undefined) throw new Error("a spawned process has no pid");
  // Zero when the process has already ended: no living process has it, so none is taken for this one.
  const id = { pid, startTicks: readStat(pid)?.startTicks ?? 0 };
  const exited = new Promise<ProcessExit>((settle) => {
    child.once("exit", (code, signal) => {
      signalGroup(pid, "SIGKILL");
      const number = signal === null ? 0 : osConstants.signals[signal];
      settle({ exitCode: code ?? 128 + number, signal: number, isUnknown: false });
    });
  });
  return {
    id,
    exited,
    signal: (signal) => {
      // Once collected, the number may be given to others.
      if (child.exitCode === null && child.signalCode === null) signalGroup(pid, signal);
    },
    release: () => {
      child.unref();
    },
  };
}

/** How often an adopted process is looked at: it is not our child, so nobody tells us when it ends. */
const ADOPTED_POLL_MS = 200;

/**
 * Takes over a process that an earlier agent started. Its exit code cannot be known; it is given as 137, as
 * kubelet does for a container that it lost.
 */
export function adoptProcess(id: ProcessId): ContainerProcess {
  let release = (): void => undefined;
  const exited = new Promise<ProcessExit>((settle) => {
    const look = (): void => {
      if (isAlive(id)) return;
      release();
      // While a member of the group lives the kernel gives its number to no one else; a living process of
      // that number means that the group is gone and the number is a stranger's.
      const stat = readStat(id.pid);
      if (stat === undefined || stat.startTicks === id.startTicks) signalGroup(id.pid, "SIGKILL");
      settle({ exitCode: 137, signal: 0, isUnknown: true });
    };
    const timer = setInterval(look, ADOPTED_POLL_MS);
    release = () => {
      clearInterval(timer);
    };
    look();
  });
  return {
    id,
    exited,
    signal: (name) => {
      if (isAlive(id)) signalGroup(id.pid, name);
    },
    release: () => {
      release();
    },
  };
}
