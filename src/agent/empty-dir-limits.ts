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

export interface EmptyDirLimitsDeps {
  readonly log: Logger;
  /** Called once for a Pod. */
  readonly exceeded: (podUid: string, message: string) => void;
}

interface Limited {
  readonly volume: string;
  readonly dir: string;
  readonly bytes: number;
  /** As the Pod says it. */
  readonly limit: string;
}

/**
 * Watches how much disk the emptyDirs take that have a `sizeLimit`, and tells of Pods that have more (kubelet
 * `emptyDirLimitEviction`). Nothing keeps a program from writing more until it is seen.
 */
export class EmptyDirLimits implements AsyncDisposable {
  readonly #deps: EmptyDirLimitsDeps;
  /** By Pod UID and the volume's name. */
  readonly #limited = new Map<string, Map<string, Limited>>();
  readonly #ending = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(deps: EmptyDirLimitsDeps) {
    this.#deps = deps;
  }

  /** Watches a volume's folder from now on; one without a limit above zero is not watched. Idempotent. */
  watch(podUid: string, volume: string, dir: string, limit: string): void {
    const bytes = parseQuantity(limit) ?? 0;
    if (bytes <= 0) return;
    const volumes = this.#limited.get(podUid) ?? new Map<string, Limited>();
    this.#limited.set(podUid, volumes.set(volume, { volume, dir, bytes, limit }));
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
      for (const [podUid, volumes] of this.#limited) {
        if (signal.aborted) return;
        await this.#look(podUid, [...volumes.values()], signal);
      }
      restMs = Math.max(EVERY_MS, (performance.now() - startedMs) * REST);
    }
    this.#loop = undefined;
  }

  async #look(podUid: string, volumes: readonly Limited[], signal: AbortSignal): Promise<void> {
    for (const { volume, dir, bytes, limit } of volumes) {
      try {
        if ((await diskUsage(dir, signal)) <= bytes || !this.#limited.has(podUid)) continue;
      } catch (error) {
        this.#deps.log.warn("volume not measured", { podUid, volume, error });
        continue;
      }
      this.forget(podUid);
      // The space at its end is upstream's.
      const message = `Usage of EmptyDir volume "${volume}" exceeds the limit "${limit}". `;
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
