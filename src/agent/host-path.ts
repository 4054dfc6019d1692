import { lstat, mkdir, open, realpath, stat } from "node:fs/promises";
import type { Stats } from "node:fs";
import { dirname, join, sep } from "node:path";

const CHECKS: Readonly<Record<string, readonly [string, (stats: Stats) => boolean]>> = {
  Directory: ["is not a directory", (stats) => stats.isDirectory()],
  DirectoryOrCreate: ["is not a directory", (stats) => stats.isDirectory()],
  File: ["is not a file", (stats) => stats.isFile()],
  FileOrCreate: ["is not a file", (stats) => stats.isFile()],
  Socket: ["is not a socket", (stats) => stats.isSocket()],
  CharDevice: ["is not a character device", (stats) => stats.isCharacterDevice()],
  BlockDevice: ["is not a block device", (stats) => stats.isBlockDevice()],
};

/**
 * Makes what a hostPath of this type makes, and tells why it cannot be mounted, as kubelet does: undefined when it
 * can. A path without a type must only be there.
 */
export async function hostPathProblem(path: string, type: string): Promise<string | undefined> {
  const check = CHECKS[type];
  if (type !== "" && check === undefined) return `hostPath has no type ${JSON.stringify(type)}`;
  try {
    if (type === "DirectoryOrCreate") await mkdir(path, { recursive: true, mode: 0o755 });
    if (type === "FileOrCreate") await (await open(path, "a", 0o644)).close();
    const stats = await stat(path);
    const [problem, holds] = check ?? ["", () => true];
    return holds(stats) ? undefined : `hostPath type check failed: ${path} ${problem}`;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `hostPath type check failed: ${path}: ${why}`;
  }
}

/**
 * The path of a volume's part, made as a folder where there is none and may be one.
 * @throws Error when it leads out of the volume, by `..` or by a link that a program put there.
 */
export async function subPathOf(dir: string, subPath: string, canMake: boolean): Promise<string> {
  checkSubPath(subPath);
  const root = await realpath(dir);
  const path = join(root, subPath);
  // Before anything is made: what is there of the way must not lead out.
  let existing = path;
  while ((await lstat(existing).catch(() => undefined)) === undefined) existing = dirname(existing);
  inside(root, await realpath(existing), subPath);
  if (existing !== path) {
    if (!canMake) throw new Error(`subPath ${JSON.stringify(subPath)} is not in the volume`);
    await mkdir(path, { recursive: true, mode: 0o755 });
  }
  return inside(root, await realpath(path), subPath);
}

/** @throws Error when the words of a part of a volume lead out of it. */
export function checkSubPath(subPath: string): void {
  if (subPath.startsWith("/") || subPath.split("/").includes(".."))
    throw new Error(`subPath ${JSON.stringify(subPath)} must stay within its volume`);
}

function inside(root: string, path: string, subPath: string): string {
  if (path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)) return path;
  throw new Error(`subPath ${JSON.stringify(subPath)} leads out of its volume`);
}
