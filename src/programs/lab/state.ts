import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** What other commands need to know of a lab that runs; kept in a file named after it. */
export interface LabState {
  readonly name: string;
  /** The process of `portolan lab up`. */
  readonly pid: number;
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
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new LabError(`the state of lab ${name} cannot be read: ${file}`, { cause: error });
  }
  // Written whole by this program, for this user.
  const state = JSON.parse(text) as LabState;
  if (isRunning(state.pid)) return state;
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

export async function writeLabState(dir: string, state: LabState): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = labStateFile(dir, state.name);
  const draft = draftOf(file, state.dir);
  await writeFile(draft, JSON.stringify(state), { mode: 0o600 });
  await rename(draft, file);
}

export async function removeLabState(dir: string, name: string): Promise<void> {
  await rm(labStateFile(dir, name), { force: true });
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Where the note of the lab of a folder is written before it stands whole in its file. */
export function draftOf(file: string, dir: string): string {
  return `${file}.${basename(dir)}`;
}

/** Where a lab is noted. */
export function labStateFile(dir: string, name: string): string {
  return join(dir, `${name}.json`);
}
