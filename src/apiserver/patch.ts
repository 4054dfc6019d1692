import { applyJsonPatch } from "../api/machinery/json-patch.ts";
import { isJsonObject } from "../api/machinery/json.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { applyMergePatch } from "../api/machinery/merge-patch.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { failure } from "../api/machinery/status.ts";
import type { StatusError } from "../api/machinery/status.ts";
import { applyStrategicMerge } from "../api/machinery/strategic-merge.ts";
import { mediaTypeOf, parseJsonBody, parseYamlText, textOf } from "./body.ts";
import type { ApiRequest } from "./exchange.ts";
import { badRequest, unsupportedMediaType } from "./failures.ts";

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
const APPLY_PATCH = "application/apply-patch+yaml";
const PATCH_TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH] as const;

/** Whether the patch is a configuration for server-side apply (apply.ts). */
export function isApply(request: ApiRequest): boolean {
  return mediaTypeOf(request) === APPLY_PATCH;
}

/** Gives the object that a patch makes of the current one; not yet decoded. */
export type PatchFunction = (current: KubernetesObject) => unknown;

/**
 * Reads a patch of one of the three kinds that say what to change; for the fourth see {@link isApply}.
 * @throws StatusError 400 for a malformed patch, 415 for another kind.
 */
export async function parsePatch(
  request: ApiRequest,
  kind: KindDefinition,
): Promise<PatchFunction> {
  const mediaType = mediaTypeOf(request);
  const type = PATCH_TYPES.find((one) => one === mediaType);
  // How lists of custom resources merge is known to server-side apply only, as upstream.
  const isOffered = type !== STRATEGIC_PATCH || kind.custom === undefined;
  if (type === undefined || !isOffered) {
    const offered = PATCH_TYPES.filter(
      (one) => one !== STRATEGIC_PATCH || kind.custom === undefined,
    );
    throw unsupportedMediaType([...offered, APPLY_PATCH]);
  }
  const patch = await parsePatchBody(request);
  switch (type) {
    case JSON_PATCH:
      return (current) => jsonPatched(current, patch);
    case MERGE_PATCH:
      return (current) => applyMergePatch(current, objectPatch(patch));
    case STRATEGIC_PATCH:
      return (current) => strategicPatched(kind, current, objectPatch(patch));
  }
}

async function parsePatchBody(request: ApiRequest): Promise<unknown> {
  const text = textOf(request.body);
  const parsed = parseJsonBody(text);
  if (parsed.kind === "parsed") return parsed.value;
  // Upstream takes YAML here too; a text that starts as JSON gets JSON's message.
  if (/^\s*[[{]/.test(text)) throw badRequest(`error decoding patch: ${parsed.message}`);
  return parseYamlText(text);
}

function objectPatch(patch: unknown): Readonly<Record<string, unknown>> {
  if (isJsonObject(patch)) return patch;
  throw badRequest("error decoding patch: a merge patch must be an object");
}

function jsonPatched(current: KubernetesObject, patch: unknown): unknown {
  const result = applyJsonPatch(current, patch);
  switch (result.kind) {
    case "patched":
      return result.value;
    case "malformed":
      throw badRequest(`error decoding patch: ${result.message}`);
    case "tooLong":
      throw failure(413, "RequestEntityTooLarge", result.message);
    case "failed":
      throw notApplicable(result.message);
  }
}

function strategicPatched(
  kind: KindDefinition,
  current: KubernetesObject,
  patch: Readonly<Record<string, unknown>>,
): unknown {
  const result = applyStrategicMerge(kind.schema, { ...current }, patch);
  switch (result.kind) {
    case "patched":
      return result.value;
    case "malformed":
      throw badRequest(result.message);
  }
}

/** The patch is well formed, but not for this object. */
function notApplicable(why: string): StatusError {
  return failure(422, "Invalid", "the server rejected our request due to an error in our request", {
    causes: [{ message: why }],
  });
}
