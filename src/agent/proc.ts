import { readdirSync, readFileSync } from "node:fs";

/**
 * What /proc says of processes. Reads are synchronous: procfs answers from memory, and a scan of a few
 * hundred processes takes some milliseconds.
 */

/** A pid may be given to another process; with its start time it names one process for ever (one boot). */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

export interface ProcessStat extends ProcessId {
  readonly processGroup: number;
  /** Dead, but not yet collected by its parent. */
  readonly isZombie: boolean;
}

/** undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  const text = readProcFile(pid, "stat")?.toString("latin1");
  return text === undefined ? undefined : parseStat(text);
}

/** The command in parentheses may itself have spaces and parentheses, so fields count from the last one. */
export function parseStat(text: string): ProcessStat | undefined {
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const processGroup = Number(fields[2]);
  const startTicks = Number(fields[19]);
  if (!Number.isInteger(pid) || !Number.isInteger(processGroup) || !Number.isInteger(startTicks))
    return undefined;
  return { pid, startTicks, processGroup, isZombie: fields[0] === "Z" || fields[0] === "X" };
}

/** Whether exactly this process still runs. */
export function isAlive(id: ProcessId): boolean {
  const stat = readStat(id.pid);
  return stat !== undefined && stat.startTicks === id.startTicks && !stat.isZombie;
}

/** The process's environment as it was at its start; undefined when gone or another user's. */
export function readEnvironment(pid: number): ReadonlyMap<string, string> | undefined {
  const content = readProcFile(pid, "environ");
  if (content === undefined) return undefined;
  const entries = content.toString("utf8").split("\0");
  return new Map(
    entries
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

/** All pids that exist now. */
export function listPids(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Distinguishes boots, since pids and start times begin anew with each. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Sends a signal to all processes of a group. @returns false when the group has none any more. */
export function signalGroup(processGroup: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-processGroup, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    throw error;
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

function readProcFile(pid: number, name: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${String(pid)}/${name}`);
  } catch (error) {
    // Gone between listing and reading (ESRCH while reading), or another user's.
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM")
      return undefined;
    throw error;
  }
}
