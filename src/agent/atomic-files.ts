import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import type { VolumeFile } from "./volume-files.ts";

/** The link to the folder that holds the content now. */
const DATA = "..data";
const NEW_LINK = "..data_tmp";

/**
 * Makes a folder hold exactly these files, all at once: they lie in a folder of their own, `..data` is a link to it
 * that is replaced by rename, and what is seen at the top are links through `..data`. So a program that reads
 * several files finds them of one age, if it opens them through one resolved `..data`. The layout is kubelet's
 * (`pkg/volume/util/atomic_writer.go`), which programs that watch `..data` rely on.
 */
export async function writeAtomically(
  dir: string,
  files: ReadonlyMap<string, VolumeFile>,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const content = await mkdtemp(join(dir, "..gen-"));
  await chmod(content, 0o755);
  for (const [path, file] of files) {
    const at = join(content, path);
    if (path.includes("/")) await mkdir(dirname(at), { recursive: true, mode: 0o755 });
    await writeFile(at, file.content, { mode: file.mode });
    // What the umask took away.
    await chmod(at, file.mode);
  }
  await rm(join(dir, NEW_LINK), { force: true });
  await symlink(nameOf(content), join(dir, NEW_LINK));
  await rename(join(dir, NEW_LINK), join(dir, DATA));
  const wanted = new Set([...files.keys()].map((path) => path.split("/", 1)[0] ?? path));
  for (const name of wanted) await link(dir, name);
  for (const name of await readdir(dir)) {
    const isOurs = name === DATA || name === nameOf(content) || wanted.has(name);
    if (!isOurs) await rm(join(dir, name), { recursive: true, force: true });
  }
}

async function link(dir: string, name: string): Promise<void> {
  const at = join(dir, name);
  const to = join(DATA, name);
  if ((await linkOf(at)) === to) return;
  // There may be a file from an agent that wrote without links.
  const stat = await lstat(at).catch(() => undefined);
  if (stat !== undefined) await rm(at, { recursive: true, force: true });
  await symlink(to, at);
}

async function linkOf(path: string): Promise<string | undefined> {
  // Nothing there, or no link.
  return readlink(path).catch(() => undefined);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
