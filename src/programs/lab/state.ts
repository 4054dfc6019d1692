import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { codeOf, isAlive, readStat } from "../../agent/proc.ts";
import type { ProcessId } from "../../agent/proc.ts";
import { sleep } from "../../async/sleep.ts";

/** What other commands need to know of a lab that runs; kept in a file named after it. */
export interface LabState {
  readonly name: string;
  /** The process of `portolan lab up`. */
  readonly up: ProcessId;
  /** The process that holds the lab's namespaces: its child is process 1 in them. */
  readonly unsharePid: number;
  /** Whether the lab has a user namespace of its own. */
  readonly hasUserNamespace: boolean;
  /** The lab's folder. */
  readonly dir: string;
  readonly kubeconfig: string;
  /** Process ids as the lab's PID namespace has them, by name of machine. */
  readonly holders: Readonly<Record<string, number>>;
}

const LOOK_MS = 20;

/** There is no such lab, or there is one already; the message says what to do. */
export class LabError extends Error {
  readonly code = "LAB";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LabError";
  }
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/;

/** @throws LabError when the name is not a short label of lower-case letters, digits and dashes. */
export function checkLabName(name: string): string {
  if (NAME.test(name)) return name;
  throw new LabError(
    `${JSON.stringify(name)} is no name for a lab: up to 32 lower-case letters, digits and dashes`,
  );
}

/** The lab of that name that runs, or undefined; what a lab that was killed left of its state is removed. */
export async function runningLab(dir: string, name: string): Promise<LabState | undefined> {
  const file = labStateFile(dir, name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new LabError(`the state of lab ${name} cannot be read: ${file}`, { cause: error });
  }
  // Written whole by this program, for this user.
  const state = JSON.parse(text) as LabState;
  if (isAlive(state.up)) return state;
  await rm(file, { force: true });
  await rm(state.dir, { recursive: true, force: true });
  return undefined;
}

/** @throws LabError when there is none. */
export async function labNamed(dir: string, name: string): Promise<LabState> {
  const state = await runningLab(dir, name);
  if (state === undefined)
    throw new LabError(`no lab ${JSON.stringify(name)} is running; start it with portolan lab up`);
  return state;
}

/** Notes a lab, whole and at once. @throws LabError when another of the name has been noted meanwhile. */
export async function writeLabState(dir: string, state: LabState): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = labStateFile(dir, state.name);
  const draft = draftOf(file, state.dir);
  await writeFile(draft, JSON.stringify(state), { mode: 0o600 });
  try {
    await link(draft, file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    throw new LabError(`another lab ${state.name} was started at the same time`);
  } finally {
    await rm(draft, { force: true });
  }
}

export async function removeLabState(dir: string, name: string): Promise<void> {
  await rm(labStateFile(dir, name), { force: true });
}

/** This process, as a lab's state names it. */
export function thisProcess(): ProcessId {
  const { pid } = process;
  return { pid, startTicks: readStat(pid)?.startTicks ?? 0 };
}

/** Asks a lab to end, as Ctrl-C does, and resolves when it has; rejects with the signal's reason. */
export async function endLab({ up }: LabState, signal: AbortSignal): Promise<void> {
  try {
    process.kill(up.pid, "SIGTERM");
  } catch (error) {
    // It has ended by itself.
    if (codeOf(error) !== "ESRCH") throw error;
  }
  while (isAlive(up)) await sleep(LOOK_MS, signal);
}

/** Where the note of the lab of a folder is written before it stands whole in its file. */
export function draftOf(file: string, dir: string): string {
  return `${file}.${basename(dir)}`;
}

/** Where a lab is noted. */
export function labStateFile(dir: string, name: string): string {
  return join(dir, `${name}.json`);
}
