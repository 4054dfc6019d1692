import type { CacheEvent } from "./kind-cache.ts";
import type { Selection } from "./list.ts";
import type { Served } from "./stored.ts";
import { changeOf } from "./watch-change.ts";
import type { EventWriter } from "./watch.ts";

/** Writes the object of an event in the form that the watcher asked for; may remember what it sent before. */
export interface EventRenderer {
  /** The frame depends on nothing but the object and may be shared between watchers. */
  readonly shared: boolean;
  object(item: Served): string;
  bookmark(revision: number, isInitialEnd: boolean): string;
}

type FrameType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";

const BATCH_BYTES = 64 * 1024;

/** Events as lines of JSON. */
export function frameWriter(
  selection: Selection,
  renderer: EventRenderer,
): EventWriter<Uint8Array> {
  return {
    initial: (items) => initialFrames(items, selection, renderer),
    changes: (events) => {
      const batch: Uint8Array[] = [];
      for (const event of events) {
        const bytes = frameOf(event, selection, renderer);
        if (bytes !== undefined) batch.push(bytes);
      }
      return joined(batch);
    },
    bookmark: (revision, isInitialEnd) =>
      frame("BOOKMARK", renderer.bookmark(revision, isInitialEnd)),
    error: (status) => frame("ERROR", JSON.stringify(status)),
  };
}

function* initialFrames(
  items: readonly Served[],
  selection: Selection,
  renderer: EventRenderer,
): Iterable<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const item of items) {
    if (selection.matches?.(item) === false) continue;
    const bytes = frame("ADDED", renderer.object(item));
    batch.push(bytes);
    size += bytes.length;
    if (size < BATCH_BYTES) continue;
    yield Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  if (batch.length > 0) yield Buffer.concat(batch);
}

function frameOf(
  event: CacheEvent,
  selection: Selection,
  renderer: EventRenderer,
): Uint8Array | undefined {
  const change = changeOf(event, selection);
  if (change === undefined) return undefined;
  const { type } = change;
  const known = renderer.shared ? event.frames.get(type) : undefined;
  if (known !== undefined) return known;
  const bytes = frame(type, renderer.object(change.item()));
  if (renderer.shared) event.frames.set(type, bytes);
  return bytes;
}

/** By the first frame: the last batch that began with it. Held as long as that frame, and never wrong. */
const joins = new WeakMap<
  Uint8Array,
  { readonly batch: readonly Uint8Array[]; readonly bytes: Uint8Array }
>();

/** One frame goes out as it is, and several are joined once: the same bytes to all watchers at one place. */
function joined(batch: readonly Uint8Array[]): Uint8Array | undefined {
  const [first] = batch;
  if (first === undefined || batch.length === 1) return first;
  const known = joins.get(first);
  if (known?.batch.length === batch.length && batch.every((one, i) => one === known.batch[i])) {
    return known.bytes;
  }
  const bytes = Buffer.concat(batch);
  joins.set(first, { batch, bytes });
  return bytes;
}

function frame(type: FrameType, object: string): Uint8Array {
  return Buffer.from(`{"type":"${type}","object":${object}}\n`);
}
