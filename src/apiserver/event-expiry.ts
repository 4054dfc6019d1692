import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Event } from "../api/v1/event.ts";
import { sleep } from "../async/sleep.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Registry } from "./registry.ts";
import type { Served } from "./stored.ts";
import type { WatchCache } from "./watch-cache.ts";

/** As upstream's --event-ttl. */
const EVENT_TTL_MS = 60 * 60_000;
const EVERY_MS = 60_000;
/** Events taken out in one commit. */
const BATCH = 256;

export interface EventExpiryDeps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly eventKind: KindDefinition;
  readonly log: Logger;
  readonly now: () => number;
}

/** Takes Events out that nothing was added to for an hour, each minute, until the signal aborts. */
export async function expireEvents(deps: EventExpiryDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await expireOnce(deps);
      await sleep(EVERY_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      deps.log.warn("old Events could not be removed", { error });
      await sleep(EVERY_MS, signal).catch(() => {});
    }
  }
}

/** One pass. An Event that changes meanwhile keeps its whole batch for the next pass. */
async function expireOnce(deps: EventExpiryDeps): Promise<void> {
  const { cache, registry, eventKind: kind, now } = deps;
  const before = now() - EVENT_TTL_MS;
  const old = cache
    .of(kind)
    .snapshot("")
    .filter((item) => lastSeenMs(item) < before);
  for (let i = 0; i < old.length; i += BATCH) {
    const batch = old.slice(i, i + BATCH);
    await registry.commit(
      batch.map((current) => ({ kind, ref: current.object.metadata, current, next: undefined })),
    );
  }
}

function lastSeenMs({ object }: Served): number {
  // The cache is that of Events.
  const { lastTimestamp, eventTime, series, metadata } = object as Event;
  const times = [
    lastTimestamp,
    eventTime,
    series?.lastObservedTime,
    metadata.creationTimestamp,
  ].flatMap((text) => (text === undefined ? [] : [Date.parse(text)]));
  return Math.max(...times.filter((time) => !Number.isNaN(time)));
}
