import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "./proc.ts";
import type { ExitedRun } from "./facts.ts";
import type { RestartBackoff } from "./restart.ts";

/**
 * What must be known of a container after the agent died and started again. Written before its process is
 * started (`starting`), after (`running`), and when it has ended (`exited`).
 */
export interface ContainerRecord {
  readonly podUid: string;
  readonly container: string;
  readonly bootId: string;
  readonly attempt: number;
  readonly startedAtMs: number;
  /** The address that the process was given. */
  readonly podIp: string;
  readonly backoff: RestartBackoff | undefined;
  readonly previous: ExitedRun | undefined;
  readonly run:
    | { readonly kind: "starting" }
    | { readonly kind: "running"; readonly pid: number; readonly startTicks: number }
    | ExitedRun;
}

/**
 * The agent's files: `pods/<uid>/<container>/record.json` and `<attempt>.log`, `pods/<uid>/volumes/`, `memory/<uid>/`. Records
 * are replaced atomically by rename; without fsync, for they need to outlive the agent, not the machine:
 * after a power failure the processes are gone too.
 */
export class PodFiles {
  readonly #root: string;
  readonly #memory: string;

  /** @param dataDir the agent's own directory; made when needed. */
  constructor(dataDir: string) {
    this.#root = join(dataDir, "pods");
    this.#memory = join(dataDir, "memory");
  }

  /** Root of what must not come to a disk, where Pods can have mounts; it lies apart, to be mounted as a whole. */
  get memoryRoot(): string {
    return this.#memory;
  }

  memoryDir(podUid: string): string {
    return join(this.#memory, fileName(podUid));
  }

  podDir(podUid: string): string {
    return join(this.#root, fileName(podUid));
  }

  containerDir(podUid: string, container: string): string {
    return join(this.podDir(podUid), fileName(container));
  }

  logFile(podUid: string, container: string, attempt: number): string {
    return join(this.containerDir(podUid, container), `${String(attempt)}.log`);
  }

  /** The FIFO that an attempt reads its stdin from, if it has one. */
  inputFile(podUid: string, container: string, attempt: number): string {
    return join(this.containerDir(podUid, container), `${String(attempt)}.stdin`);
  }

  /** Where an attempt leaves its last words. */
  messageFile(podUid: string, container: string, attempt: number): string {
    return join(this.containerDir(podUid, container), `${String(attempt)}.message`);
  }

  async write(record: ContainerRecord): Promise<void> {
    const dir = this.containerDir(record.podUid, record.container);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const file = join(dir, "record.json");
    await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  /** All records; `unreadable` names files that are damaged, which count as not there. */
  async readAll(): Promise<{
    readonly records: readonly ContainerRecord[];
    readonly unreadable: readonly string[];
  }> {
    const records: ContainerRecord[] = [];
    const unreadable: string[] = [];
    for (const pod of await entriesOf(this.#root)) {
      for (const container of await entriesOf(join(this.#root, pod))) {
        const file = join(this.#root, pod, container, "record.json");
        const text = await readIfThere(file);
        if (text === undefined) continue;
        const record = parseRecord(text);
        if (record?.podUid === pod && record.container === container) records.push(record);
        else unreadable.push(file);
      }
    }
    return { records, unreadable };
  }

  /** UIDs of all Pods that have files. */
  podUids(): Promise<readonly string[]> {
    return entriesOf(this.#root);
  }

  /** Removes logs of attempts before `attempt`; the one before the current is kept for `--previous`. */
  async removeLogsBefore(podUid: string, container: string, attempt: number): Promise<void> {
    const dir = this.containerDir(podUid, container);
    for (const name of await entriesOf(dir)) {
      const match = /^(\d+)\.(?:log|message)/.exec(name);
      if (match !== null && Number(match[1]) < attempt) await rm(join(dir, name), { force: true });
    }
  }

  async removePod(podUid: string): Promise<void> {
    await rm(this.memoryDir(podUid), { recursive: true, force: true });
    await rm(this.podDir(podUid), { recursive: true, force: true });
  }
}

/** undefined when the text is no record. Only the agent writes them, so the shape is checked, not each value. */
function parseRecord(text: string): ContainerRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is ContainerRecord {
  if (typeof value !== "object" || value === null) return false;
  const has = (key: string, type: string): boolean =>
    typeof Object.getOwnPropertyDescriptor(value, key)?.value === type;
  return (
    has("podUid", "string") &&
    has("container", "string") &&
    has("bootId", "string") &&
    has("attempt", "number") &&
    has("startedAtMs", "number") &&
    has("podIp", "string") &&
    has("run", "object")
  );
}

/** UIDs and container names come from the API, validated there; this makes sure that none leaves the root. */
function fileName(name: string): string {
  if (!/^[A-Za-z0-9][-A-Za-z0-9._]*$/.test(name))
    throw new Error(`cannot use ${JSON.stringify(name)} as a file name`);
  return name;
}

async function entriesOf(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
