import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { writeWhole } from "../apiserver/whole-file.ts";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { claim } from "./claims.ts";
import type { Holder } from "./claims.ts";
import type { LoopbackRanges } from "./loopback-ranges.ts";

/** The data dir cannot be used; the message names it and the way out. */
export class DataDirError extends Error {
  readonly code = "DATA_DIR";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataDirError";
  }
}

/** Temporary data dirs are folders of the system's temporary folder whose names begin so. */
export const TEMPORARY_PREFIX = "portolan-up-";

/** The folder in which an instance keeps everything, held by one process at a time. */
export interface DataDir extends AsyncDisposable {
  readonly path: string;
  readonly holder: Holder;
}

/**
 * Makes the folder if needed (mode 0700) and holds it. Without a path it is a temporary one, removed on disposal.
 * @throws DataDirError when it cannot be written, or another process holds it.
 */
export async function openDataDir(path: string | undefined): Promise<DataDir> {
  const dir = path === undefined ? await mkdtemp(join(tmpdir(), TEMPORARY_PREFIX)) : resolve(path);
  const holder = { pid: process.pid, dataDir: dir };
  try {
    await makeFolder(dir);
    await access(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DataDirError(
      `the data dir ${dir} cannot be written (${codeOf(error)}); choose another with --data-dir, or use --ephemeral`,
      { cause: error },
    );
  }
  const held = await claim([await claimName(dir)], holder);
  if (held.kind === "taken") {
    const who = held.holder === undefined ? "another process" : `pid ${String(held.holder.pid)}`;
    throw new DataDirError(
      `the data dir ${dir} is in use by ${who}; end that one, or choose another with --data-dir`,
    );
  }
  return {
    path: dir,
    holder,
    async [Symbol.asyncDispose]() {
      if (path === undefined) await rm(dir, { recursive: true, force: true });
      await held[Symbol.asyncDispose]();
    },
  };
}

/** Each missing folder by itself: Node's recursive mkdir never ends where a folder refuses with ENOENT, as /proc does. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    if (codeOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

/** What a data dir is claimed by: the folder itself, whatever path leads to it. */
export async function claimName(dir: string): Promise<string> {
  const { dev, ino } = await stat(dir);
  return `data-dir/${String(dev)}:${String(ino)}`;
}

export const INSTANCE_FILE = "instance.json";

/** The ranges that this data dir was used with, since stored Services and Pods hold addresses of them. */
export async function readRanges(dir: string): Promise<Partial<LoopbackRanges>> {
  let text: string;
  try {
    text = await readFile(join(dir, INSTANCE_FILE), "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return {};
    throw error;
  }
  const ranges: Record<string, Cidr> = {};
  for (const [name, value] of Object.entries(parseObject(text, join(dir, INSTANCE_FILE)))) {
    const cidr = parseCidr(String(value));
    if (cidr !== undefined) ranges[name] = cidr;
  }
  return ranges;
}

export async function writeRanges(dir: string, ranges: LoopbackRanges): Promise<void> {
  await writeWhole(join(dir, INSTANCE_FILE), `${JSON.stringify(ranges, null, 2)}\n`);
}

/**
 * The stored ranges, held against what the user asks for now.
 * @throws DataDirError when they differ.
 */
export function agreedRanges(
  dir: string,
  stored: Partial<LoopbackRanges>,
  asked: Partial<LoopbackRanges>,
): Partial<LoopbackRanges> {
  for (const name of ["serviceCidr", "podCidr"] as const) {
    const [before, now] = [stored[name], asked[name]];
    if (before === undefined || now === undefined || before === now) continue;
    throw new DataDirError(
      `the data dir ${dir} was made with ${name} ${before}, not ${now}; leave the range out, or choose a new --data-dir`,
    );
  }
  return { ...asked, ...stored };
}

function parseObject(text: string, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (error) {
    throw new DataDirError(`${file} is not JSON; remove it to start with fresh ranges`, {
      cause: error,
    });
  }
  throw new DataDirError(`${file} is not a JSON object; remove it to start with fresh ranges`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
