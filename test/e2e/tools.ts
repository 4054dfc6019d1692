import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** What a program said until its end. `code` is null when a signal ended it. */
export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with all of stdout so far; the program is killed when it returns true. */
  readonly until?: (stdout: string) => boolean;
  /** Default 30 s; then the program is killed and the run fails. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
const POLL_MS = 25;

/** Runs a program to its end. @throws when it cannot be started or takes too long. */
export function run(
  program: string,
  args: readonly string[],
  { stdin = "", env, until, timeoutMs = TIMEOUT_MS }: RunOptions = {},
): Promise<Output> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "pipe" });
  const text = gather(child);
  return new Promise((resolve, reject) => {
    const what = `${program} ${args.join(" ")}`;
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${what}: not done after ${String(timeoutMs)} ms: ${text.all()}`));
    }, timeoutMs);
    child.stdout.on("data", () => {
      if (until?.(text.stdout()) === true) child.kill("SIGKILL");
    });
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`${what} cannot be run`, { cause: error }));
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: text.stdout(), stderr: text.stderr() });
    });
    // A program that ends without reading its input is no failure of ours.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(stdin);
  });
}

/** What a child has said so far. */
export function gather(child: ChildProcess): {
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly all: () => string;
} {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return { stdout: () => stdout, stderr: () => stderr, all: () => `${stdout}${stderr}` };
}

/**
 * Tries until `attempt` neither throws nor gives undefined or false, and gives what it gave.
 * @throws with the last failure after 20 s (or `timeoutMs`).
 */
export async function eventually<T>(
  what: string,
  attempt: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = "it stayed false";
  do {
    try {
      const result = await attempt();
      // The two values excluded are compared away.
      if (result !== undefined && result !== false) return result as Exclude<T, undefined | false>;
    } catch (error) {
      last = error;
    }
    await wait(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`${what}: not so after ${String(timeoutMs)} ms`, { cause: last });
}

/** False when all the tools are here, otherwise why a test is skipped. */
export function missing(...tools: readonly string[]): string | false {
  const absent = tools.filter(
    (tool) => spawnSync("sh", ["-c", 'command -v "$1"', "sh", tool]).status !== 0,
  );
  return absent.length === 0 ? false : `needs ${absent.join(", ")}`;
}

/** Pids of the living processes whose environment has `variable` set to a value for which `test` holds. */
export function pidsWith(variable: string, test: (value: string) => boolean): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isAlive(pid))
    .filter((pid) =>
      procFile(pid, "environ")
        .split("\0")
        .some(
          (entry) => entry.startsWith(`${variable}=`) && test(entry.slice(variable.length + 1)),
        ),
    );
}

/** Whether a process runs; one that is dead and not yet collected by its parent does not. */
export function isAlive(pid: number): boolean {
  const stat = procFile(pid, "stat");
  return stat !== "" && !/^[ZX]$/.test(stat.slice(stat.lastIndexOf(")") + 2).charAt(0));
}

/** Empty when the process is gone, or not ours to look at. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${String(pid)}/${name}`, "utf8");
  } catch {
    // Processes end while they are looked at.
    return "";
  }
}
