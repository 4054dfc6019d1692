import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { sleep } from "../async/sleep.ts";
import type { Logger } from "../telemetry/log.ts";
import { codeOf } from "./proc.ts";
import { parseQuantity } from "./quantity.ts";

/** kubelet looks every 10 s, at figures that may be a minute old. */
const EVERY_MS = 2_000;
/** Measuring takes at most one part in so many of the time: a folder of a million files is looked at less often. */
const REST = 20;
/** As `stat` counts blocks. */
const BLOCK_BYTES = 512;

export interface StorageLimitsDeps {
  readonly log: Logger;
  /** Called once for a Pod. */
  readonly exceeded: (podUid: string, message: string) => void;
}

/** Folders that together may take so much disk. */
export interface Limited {
  readonly dirs: readonly string[];
  /** A quantity, in bytes. */
  readonly limit: string | number;
  /** What is told when they take more. */
  readonly message: string;
}

/**
 * Watches how much disk Pods take of which there is a limit, and tells of those that have more (kubelet
 * `localStorageEviction`). Nothing keeps a program from writing more until it is seen.
 */
export class StorageLimits implements AsyncDisposable {
  readonly #deps: StorageLimitsDeps;
  /** By Pod UID and what is limited. */
  readonly #limited = new Map<string, Map<string, Limited>>();
  readonly #ending = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(deps: StorageLimitsDeps) {
    this.#deps = deps;
  }

  /** Watches folders from now on, unless their limit is not above zero. Idempotent. */
  watch(podUid: string, what: string, limited: Limited): void {
    if ((parseQuantity(limited.limit) ?? 0) <= 0) return;
    const all = this.#limited.get(podUid) ?? new Map<string, Limited>();
    this.#limited.set(podUid, all.set(what, limited));
    this.#loop ??= this.#run(this.#ending.signal);
  }

  forget(podUid: string): void {
    this.#limited.delete(podUid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error("volumes are no longer watched"));
    await this.#loop;
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let restMs = EVERY_MS; this.#limited.size > 0; ) {
      // Rejects only when the watch ends.
      await sleep(restMs, signal).catch(() => undefined);
      const startedMs = performance.now();
      for (const [podUid, all] of this.#limited) {
        if (signal.aborted) return;
        await this.#look(podUid, [...all.values()], signal);
      }
      restMs = Math.max(EVERY_MS, (performance.now() - startedMs) * REST);
    }
    this.#loop = undefined;
  }

  async #look(podUid: string, all: readonly Limited[], signal: AbortSignal): Promise<void> {
    for (const { dirs, limit, message } of all) {
      let bytes = 0;
      try {
        for (const dir of dirs) bytes += await diskUsage(dir, signal);
      } catch (error) {
        this.#deps.log.warn("disk usage not measured", { podUid, dirs, error });
        continue;
      }
      if (bytes <= (parseQuantity(limit) ?? 0) || !this.#limited.has(podUid)) continue;
      this.forget(podUid);
      this.#deps.exceeded(podUid, message);
      return;
    }
  }
}

/**
 * Bytes of disk that a folder takes with all that is in it, a file with several names once. What comes and goes
 * meanwhile may be counted or not.
 */
export async function diskUsage(dir: string, signal: AbortSignal): Promise<number> {
  const seen = new Set<number>();
  const left = [dir];
  let bytes = 0;
  for (let path = left.pop(); path !== undefined && !signal.aborted; path = left.pop()) {
    const stats = await lstat(path).catch(whenGone);
    if (stats === undefined) continue;
    if (stats.nlink > 1 && !stats.isDirectory()) {
      if (seen.has(stats.ino)) continue;
      seen.add(stats.ino);
    }
    bytes += stats.blocks * BLOCK_BYTES;
    if (!stats.isDirectory()) continue;
    const folder = await opendir(path).catch(whenGone);
    if (folder === undefined) continue;
    for await (const { name } of folder) left.push(join(path, name));
  }
  return bytes;
}

/** Gone since it was listed, or closed to this user: then a program has made it so, and nobody knows. */
function whenGone(error: unknown): undefined {
  if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
  throw error;
}
