import { execFile } from "node:child_process";
import { readlinkSync } from "node:fs";
import { findProgram } from "../program.ts";
import { sleep } from "../../async/sleep.ts";
import type { TerminalSize } from "./client-streams.ts";
import { markedProcesses } from "./marked.ts";

/**
 * Node cannot open a pseudo-terminal without native code; `script` of util-linux can, and is on every Debian and
 * Fedora. It runs a command line through a shell, so the words are quoted here; it copies its own stdin and
 * stdout to and from the terminal, and gives the command's exit code on.
 */
export async function terminalCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<readonly [string, ...string[]]> {
  const script = await findProgram("script", { path: SCRIPT_PATH, workingDir: "/", root: "" });
  // Without a terminal, but saying so on the one output that the client has.
  if (script.kind === "failed") return ["/bin/sh", "-c", NO_TERMINAL, "sh", ...command];
  // `script` takes $SHELL for the shell: it must be one that knows this quoting; the command gets its own back.
  const shell = env["SHELL"];
  const restore = shell === undefined ? "unset SHELL" : `SHELL=${quoted(shell)}; export SHELL`;
  const line = `${restore}; exec ${command.map(quoted).join(" ")}`;
  return ["/usr/bin/env", "SHELL=/bin/sh", script.path, "-q", "-e", "-c", line, "/dev/null"];
}

const SCRIPT_PATH = "/usr/bin:/bin:/usr/local/bin";
const NO_TERMINAL =
  "echo 'no terminal: this needs the program script of util-linux; running without one' >&2; " +
  'exec 2>&1 "$@"';

/** One word of a POSIX shell's command line, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** How often a terminal is looked for, every 50 ms: `script` opens it a moment after its start. */
const LOOKS = 20;
const LOOK_EVERY_MS = 50;

/**
 * Gives the terminal that the processes with a mark run on another size; its programs get SIGWINCH. Without
 * such a terminal, or `stty`, nothing happens: a wrong size is all that this means.
 */
export async function resizeTerminal(
  mark: string,
  { columns, rows }: TerminalSize,
  signal: AbortSignal,
): Promise<void> {
  for (let look = 0; look < LOOKS && !signal.aborted; look++) {
    const terminal = markedProcesses(mark)
      .map(terminalOf)
      .find((path) => path !== undefined);
    if (terminal !== undefined) {
      const args = ["-F", terminal, "rows", String(rows), "columns", String(columns)];
      execFile("stty", args, { timeout: 1_000 }, () => undefined);
      return;
    }
    await sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

function terminalOf(pid: number): string | undefined {
  try {
    const path = readlinkSync(`/proc/${String(pid)}/fd/0`);
    return path.startsWith("/dev/pts/") ? path : undefined;
  } catch {
    // Gone between listing and reading.
    return undefined;
  }
}
