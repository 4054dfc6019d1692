import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { parseJson } from "../json-text.ts";
import { compareValues } from "./compare.ts";
import { readConfig } from "./config.ts";
import { fieldSetOf } from "./field-set.ts";
import { EMPTY_SET, difference } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import type { Shape } from "./shape.ts";

/** Where client-side apply keeps what it applied last. */
export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** The applier that takes over from client-side apply, by name. */
export const KUBECTL = "kubectl";

/**
 * The fields that a client-side apply set and that still are as it set them: kubectl may take these over
 * without a conflict with its own past (upstream `lastappliedmanager.go`).
 */
export function lastAppliedFields(shape: Shape, apiVersion: string, live: unknown): PathSet {
  const text = lastAppliedOf(live);
  if (text === undefined) return EMPTY_SET;
  const parsed = parseJson(text);
  if (parsed.kind !== "parsed" || !isJsonObject(parsed.value)) return EMPTY_SET;
  if (parsed.value["apiVersion"] !== apiVersion) return EMPTY_SET;
  const config = readConfig(shape, parsed.value);
  if (config.kind === "malformed") return EMPTY_SET;
  const { added, modified, removed } = compareValues(shape, config.value, live);
  const set = fieldSetOf(shape, config.value);
  return [modified, added, removed].reduce(difference, set);
}

/**
 * `object` with its note of the last client-side apply, if it has one, brought up to `config`, so that kubectl
 * can go back to applying on its side (upstream `lastappliedupdater.go`).
 */
export function withLastApplied(object: unknown, config: JsonObject): unknown {
  if (lastAppliedOf(object) === undefined || !isJsonObject(object)) return object;
  const metadata = isJsonObject(object["metadata"]) ? object["metadata"] : {};
  const annotations = isJsonObject(metadata["annotations"]) ? metadata["annotations"] : {};
  const noted = { ...annotations, [LAST_APPLIED]: lastAppliedText(config) };
  return { ...object, metadata: { ...metadata, annotations: noted } };
}

function lastAppliedOf(object: unknown): string | undefined {
  const metadata = isJsonObject(object) ? object["metadata"] : undefined;
  const annotations = isJsonObject(metadata) ? metadata["annotations"] : undefined;
  const text = isJsonObject(annotations) ? annotations[LAST_APPLIED] : undefined;
  return typeof text === "string" && text !== "" ? text : undefined;
}

function lastAppliedText(config: JsonObject): string {
  const metadata = isJsonObject(config["metadata"]) ? config["metadata"] : {};
  const { [LAST_APPLIED]: _, ...annotations } = isJsonObject(metadata["annotations"])
    ? metadata["annotations"]
    : {};
  const noted = "annotations" in metadata ? { ...metadata, annotations } : metadata;
  return `${goJson({ ...config, metadata: noted })}\n`;
}

/** JSON as Go writes it: keys in order, and nothing that HTML could take for its own. */
function goJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isJsonObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ).replaceAll(
    /[<>&\u2028\u2029]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
