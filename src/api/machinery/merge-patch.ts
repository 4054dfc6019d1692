import { isJsonObject, setOwn } from "./json.ts";

/**
 * Applies a JSON merge patch (RFC 7386): objects are merged key by key, null deletes, anything else replaces.
 * Neither argument is changed; the result may share parts with both.
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const result: Record<string, unknown> = {};
  const base = isJsonObject(target) ? target : {};
  for (const key of Object.keys(base)) {
    if (!Object.hasOwn(patch, key)) setOwn(result, key, base[key]);
    else if (patch[key] !== null) setOwn(result, key, applyMergePatch(base[key], patch[key]));
  }
  for (const key of Object.keys(patch)) {
    if (Object.hasOwn(base, key) || patch[key] === null) continue;
    setOwn(result, key, applyMergePatch(undefined, patch[key]));
  }
  return result;
}
