import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { randomUUID } from "node:crypto";
import { constants as osConstants } from "node:os";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { signalGroup } from "../proc.ts";
import { findProgram } from "../program.ts";
import type { Entry } from "../sandbox.ts";
import type { ClientStreams } from "./client-streams.ts";
import { EXEC_MARKER, killMarked } from "./marked.ts";
import { resizeTerminal, terminalCommand } from "./terminal.ts";

export interface ExecSpec {
  /** Program and arguments, never seen by a shell. */
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly enter: Entry;
  /** Aborts when the container has ended: what runs in it ends too. */
  readonly ended: AbortSignal;
}

/** Output that a process which left the group may still hold open when the command has ended. */
const OUTPUT_MS = 500;

/**
 * Runs a command beside a container and tells the client how it ended. All processes of the command are killed
 * when the client goes away, the container ends or the command is done: nothing of it stays behind.
 */
export async function runExec(client: ClientStreams, spec: ExecSpec): Promise<void> {
  const { gone } = client;
  const [program = ""] = spec.command;
  const { enter, workingDir } = spec;
  const path = spec.env["PATH"] ?? "";
  const found = await findProgram(program, { path, workingDir, root: enter.root });
  if (found.kind === "failed") {
    await client.finish(failed(found.message));
    return;
  }
  const id = randomUUID();
  const env = { ...spec.env, [EXEC_MARKER]: id };
  const command = [found.path, ...spec.command.slice(1)];
  const [file, ...args] = [
    ...enter.words,
    ...(spec.tty ? await terminalCommand(command, env) : command),
  ];
  const child = spawn(file ?? found.path, args, {
    cwd: enter.cwd,
    env,
    detached: true,
    ...(spec.tty || enter.root !== "" ? {} : { argv0: program }),
  });
  const kill = (): void => killAll(child, id);
  gone.addEventListener("abort", kill, { once: true });
  spec.ended.addEventListener("abort", kill, { once: true });
  if (gone.aborted || spec.ended.aborted) kill();
  try {
    connect(client, child);
    // Never rejects: a terminal that is not found keeps its size.
    if (spec.tty) client.onResize((size) => void resizeTerminal(id, size, gone));
    const end = await ended(child);
    killAll(child, id);
    // From now on the process's number may become another's.
    gone.removeEventListener("abort", kill);
    spec.ended.removeEventListener("abort", kill);
    await outputSent(client, child);
    if (!gone.aborted) await client.finish(end);
  } finally {
    gone.removeEventListener("abort", kill);
    spec.ended.removeEventListener("abort", kill);
    for (const stream of child.stdio) stream?.destroy();
  }
}

function failed(message: string): { readonly kind: "failed"; readonly message: string } {
  return { kind: "failed", message: `error executing command in container: ${message}` };
}

function connect(client: ClientStreams, child: ChildProcessWithoutNullStreams): void {
  // A command that does not read its input, or has ended, is no failure.
  child.stdin.on("error", () => undefined);
  if (client.stdin === undefined) child.stdin.end();
  else client.stdin.pipe(child.stdin);
  for (const name of ["stdout", "stderr"] as const) {
    const to = client[name];
    if (to === undefined) child[name].resume();
    else child[name].pipe(to, { end: false });
  }
}

function ended(
  child: ChildProcessWithoutNullStreams,
): Promise<{ readonly kind: "exited"; readonly exitCode: number } | ReturnType<typeof failed>> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(failed(error.message)));
    child.once("exit", (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]);
      resolve({ kind: "exited", exitCode });
    });
  });
}

/** Resolves when all that was printed is with the client, or the client is gone. */
async function outputSent(
  client: ClientStreams,
  child: ChildProcessWithoutNullStreams,
): Promise<void> {
  // Both are sockets, which the types do not say.
  const outputs = [child.stdout, child.stderr] as readonly (Readable & { bytesRead?: number })[];
  // What is left in the pipes is read at once, unless the client is slow: then reading pauses. A pipe that gives
  // nothing and does not end is held by a process outside the group.
  let seen = outputs.map(({ bytesRead }) => bytesRead);
  const timer = setInterval(() => {
    // After a turn of the loop: when this process did not run for as long, what has come is still to be read.
    setImmediate(() => {
      for (const [index, output] of outputs.entries()) {
        const isIdle = output.readableFlowing === true && output.bytesRead === seen[index];
        if (isIdle && output.readableLength === 0) output.destroy();
      }
      seen = outputs.map(({ bytesRead }) => bytesRead);
    });
  }, OUTPUT_MS);
  const stop = (): void => {
    for (const output of outputs) output.destroy();
  };
  client.gone.addEventListener("abort", stop, { once: true });
  if (client.gone.aborted) stop();
  await Promise.allSettled(outputs.map((output) => finished(output, { writable: false })));
  clearInterval(timer);
  client.gone.removeEventListener("abort", stop);
}

function killAll(child: ChildProcessWithoutNullStreams, mark: string): void {
  // A group keeps its number while it has members; without any this finds none.
  if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  killMarked(mark);
}
