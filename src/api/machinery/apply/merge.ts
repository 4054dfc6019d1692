import { getOwn, isJsonObject, setOwn } from "../json.ts";
import { itemElementOf, memberOf, shapeFor } from "./shape.ts";
import type { ListShape, RecordShape, Shape } from "./shape.ts";

/**
 * What an applied configuration makes of a live value: what the configuration says holds, all else stays
 * (structured-merge-diff `typed/merge.go`).
 */
export function mergeValues(type: Shape, live: unknown, config: unknown): unknown {
  if (config === undefined) return live;
  if (live === undefined) return config;
  const shape = shapeFor(type, config, live);
  switch (shape.kind) {
    case "scalar":
      return config;
    case "list": {
      const left = Array.isArray(live) ? (live as readonly unknown[]) : [];
      const right = Array.isArray(config) ? (config as readonly unknown[]) : [];
      if (shape.atomic || left.length + right.length === 0) return config;
      return mergeItems(shape, left, right);
    }
    case "record": {
      const left = isJsonObject(live) ? live : {};
      const right = isJsonObject(config) ? config : {};
      if (shape.atomic) return config;
      return mergeMembers(shape, left, right);
    }
  }
}

function mergeMembers(
  shape: RecordShape,
  live: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): unknown {
  const result: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(live), ...Object.keys(config)])) {
    const a = getOwn(live, key);
    const b = getOwn(config, key);
    const member = memberOf(shape, key);
    setOwn(result, key, member === undefined ? a : mergeValues(member.shape, a, b));
  }
  return result;
}

/**
 * Items of the configuration keep its order. An item that only the live list has stays behind those it stood
 * behind, as far as the configuration's order lets it: it comes before the next item that both lists have.
 */
function mergeItems(
  shape: ListShape,
  live: readonly unknown[],
  config: readonly unknown[],
): readonly unknown[] {
  const left = live.map((item) => itemElementOf(shape, item));
  const right = config.map((item) => itemElementOf(shape, item));
  const inLive = placesOf(left);
  const inConfig = new Set(right);
  const shared = right.filter((element) => inLive.has(element));
  let nextShared = 0;
  const done = new Set<string>();
  const result: unknown[] = [];
  const take = (element: string, item: unknown): void => {
    // Of items that bear one name none is the one to merge with.
    const place = inLive.get(element);
    const partner = place === undefined || place === DOUBLE ? undefined : live[place];
    result.push(mergeValues(shape.element, partner, item));
    done.add(element);
    if (shared[nextShared] === element) nextShared++;
  };
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const mine = left[i];
    const theirs = right[j];
    if (mine !== undefined) {
      if (!inConfig.has(mine)) {
        result.push(live[i++]);
        continue;
      }
      const next = shared[nextShared];
      if (theirs !== undefined && mine !== theirs && next !== undefined && next !== mine) {
        // It comes later, at its place in the configuration.
        i++;
        continue;
      }
      if (mine === theirs || done.has(mine)) i++;
    }
    if (theirs !== undefined) take(theirs, config[j++]);
  }
  return result;
}

/** Stands for the place of a name that several items bear. */
const DOUBLE = -1;

function placesOf(elements: readonly string[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  for (const [i, element] of elements.entries()) {
    places.set(element, places.has(element) ? DOUBLE : i);
  }
  return places;
}
