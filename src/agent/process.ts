import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { constants, existsSync, statSync } from "node:fs";
import { access, mkdir, open } from "node:fs/promises";
import { constants as osConstants } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { isAlive, readStat, signalGroup } from "./proc.ts";
import type { ProcessId } from "./proc.ts";

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
  /** Put before the command, as {@link Sandbox.enter} gives it. */
  readonly enter: readonly string[];
  /** stdout and stderr are appended here, by the process itself: so they survive the agent. */
  readonly logFile: string;
  /** Descriptor of its stdin; default none. */
  readonly stdin?: number | undefined;
}

export type Started =
  | { readonly kind: "started"; readonly process: ContainerProcess }
  | { readonly kind: "failed"; readonly message: string };

/** Starts a process; a program that cannot be run is a result, not an error. */
export async function startProcess(spec: ProcessSpec): Promise<Started> {
  const [program, ...args] = spec.command;
  const found = await findProgram(program, spec.env["PATH"] ?? "", spec.workingDir);
  if (found.kind === "failed") return found;
  await mkdir(dirname(spec.logFile), { recursive: true, mode: 0o700 });
  const log = await open(spec.logFile, "a", 0o600);
  try {
    const [file = found.path, ...words] = [...spec.enter, found.path, ...args];
    const child = spawn(file, words, {
      ...(spec.enter.length === 0 ? { argv0: program } : {}),
      cwd: spec.workingDir,
      env: { ...spec.env },
      detached: true,
      stdio: [spec.stdin ?? "ignore", log.fd, log.fd],
    });
    const failure = await spawned(child);
    if (failure !== undefined)
      return { kind: "failed", message: `exec: ${JSON.stringify(program)}: ${failure.message}` };
    return { kind: "started", process: watchChild(child) };
  } finally {
    await log.close();
  }
}

type Program =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "failed"; readonly message: string };

/** Looks first, as the messages of a failed spawn do not tell a missing program from a missing directory. */
export async function findProgram(
  name: string,
  path: string,
  workingDir: string,
): Promise<Program> {
  const quoted = JSON.stringify(name);
  if (!existsSync(workingDir) || !statSync(workingDir).isDirectory())
    return {
      kind: "failed",
      message: `workingDir ${JSON.stringify(workingDir)}: no such directory`,
    };
  if (name.includes("/")) {
    const file = resolve(workingDir, name);
    if (await isExecutable(file)) return { kind: "found", path: file };
    const why = existsSync(file) ? "not an executable file" : "no such file or directory";
    return { kind: "failed", message: `exec: ${quoted}: ${why}` };
  }
  for (const dir of path.split(delimiter)) {
    const file = join(dir === "" ? workingDir : resolve(workingDir, dir), name);
    if (await isExecutable(file)) return { kind: "found", path: file };
  }
  return {
    kind: "failed",
    message: `exec: ${quoted}: executable file not found in PATH (${path})`,
  };
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Whatever the cause, the caller says that it is not there or not executable.
    return false;
  }
}

function spawned(child: ChildProcess): Promise<Error | undefined> {
  return new Promise((settle) => {
    child.once("spawn", () => {
      settle(undefined);
    });
    child.once("error", settle);
  });
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
