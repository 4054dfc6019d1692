import { spawn } from "node:child_process";
import { reasonOf } from "../async/sleep.ts";
import { signalGroup } from "./proc.ts";
import { findProgram } from "./program.ts";
import type { Entry } from "./sandbox.ts";

/** Output kept of a command; the rest is read and dropped. */
const MAX_OUTPUT_BYTES = 10 * 1024;

export interface CommandResult {
  readonly exitCode: number;
  /** stdout and stderr as they came, cut at 10 KiB. */
  readonly output: string;
}

/**
 * Runs a command of a probe or hook to its end, in a process group of its own that is killed when `signal`
 * aborts. @throws the signal's reason, or an Error when the program cannot be run.
 */
export async function runCommand(
  command: readonly string[],
  context: {
    readonly env: Readonly<Record<string, string>>;
    readonly workingDir: string;
    readonly enter: Entry;
  },
  signal: AbortSignal,
): Promise<CommandResult> {
  if (command.length === 0) throw new Error("exec: no command");
  const { enter, env, workingDir } = context;
  const [name = ""] = command;
  const place = { path: env["PATH"] ?? "", workingDir, root: enter.root };
  const found = await findProgram(name, place);
  if (found.kind === "failed") throw new Error(found.message);
  const [program = found.path, ...args] = [...enter.words, found.path, ...command.slice(1)];
  if (signal.aborted) throw reasonOf(signal);
  const child = spawn(program, args, {
    ...(enter.root === "" ? { argv0: name } : {}),
    cwd: enter.cwd,
    env: { ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  let length = 0;
  const keep = (chunk: Buffer): void => {
    if (length < MAX_OUTPUT_BYTES) chunks.push(chunk);
    length += chunk.length;
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const kill = (): void => {
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", kill, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      // Not "close": a grandchild that keeps the pipe open must not hold the probe up.
      child.once("exit", (code) => {
        resolve(code ?? 137);
      });
    });
    if (signal.aborted) throw reasonOf(signal);
    // One turn of the loop lets output in that was written right before the end.
    await new Promise((resolve) => setImmediate(resolve));
    return { exitCode, output: Buffer.concat(chunks).toString("utf8").slice(0, MAX_OUTPUT_BYTES) };
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
