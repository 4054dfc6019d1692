import { access, readdir, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findMarked } from "../agent/markers.ts";
import { listPids, readEnvironment, signalGroup } from "../agent/proc.ts";
import type { Logger } from "../telemetry/log.ts";
import { claim } from "./claims.ts";
import { claimName, INSTANCE_FILE, readRanges, TEMPORARY_PREFIX } from "./data-dir.ts";
import type { OccupiedRanges } from "./loopback-ranges.ts";

/** The node agent's part of a data dir. */
export const AGENT_FOLDER = "pods";

/**
 * Removes what temporary instances of this user left when they were killed: the processes of their Pods, and
 * their folders. Nobody will ever start again on a temporary folder, so nobody else would. Works in the
 * background; disposing waits for it.
 */
export function sweepAbandoned(log: Logger): AsyncDisposable {
  const done = sweep(log).catch((error: unknown) => {
    log.warn("leftovers of killed instances could not be removed", { error });
  });
  return { [Symbol.asyncDispose]: () => done };
}

async function sweep(log: Logger): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue;
    const dir = join(tmpdir(), name);
    if (await isOurs(dir)) await removeIfAbandoned(dir, log);
  }
}

/** A folder of this user that an instance has used; one without the file is just being set up. */
async function isOurs(dir: string): Promise<boolean> {
  try {
    await access(join(dir, INSTANCE_FILE));
    return (await stat(dir)).uid === process.getuid?.();
  } catch {
    // Somebody else's folder, or gone meanwhile.
    return false;
  }
}

async function removeIfAbandoned(dir: string, log: Logger): Promise<void> {
  const held = await claim([await claimName(dir)], { pid: process.pid, dataDir: dir });
  if (held.kind === "taken") return;
  try {
    const groups = new Set(
      findMarked(join(await realpath(dir), AGENT_FOLDER)).map((found) => found.processGroup),
    );
    for (const group of groups) signalGroup(group, "SIGKILL");
    await rm(dir, { recursive: true, force: true });
    log.info("leftovers of a killed instance removed", { dir, processGroups: groups.size });
  } finally {
    await held[Symbol.asyncDispose]();
  }
}

/** Instances, other than that of `ownDataDir`, of whose Pods some process of this user still runs. */
export async function occupiedRanges(ownDataDir: string): Promise<readonly OccupiedRanges[]> {
  const folders = new Set(
    listPids().map((pid) => readEnvironment(pid)?.get("PORTOLAN_AGENT") ?? ownDataDir),
  );
  const occupied: OccupiedRanges[] = [];
  for (const folder of folders) {
    const dataDir = dirname(folder);
    if (folder === ownDataDir || dataDir === ownDataDir) continue;
    // A folder that is gone or damaged cannot say what it used.
    const ranges = await readRanges(dataDir).catch(() => ({}));
    occupied.push({ dataDir, ranges });
  }
  return occupied;
}
