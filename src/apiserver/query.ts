import { forbidden as fieldForbidden, invalid, required } from "../api/machinery/field-error.ts";
import type { FieldError } from "../api/machinery/field-error.ts";
import { failure } from "../api/machinery/status.ts";
import { badRequest, invalidObject } from "./failures.ts";

/** Options of a list or watch, read from the query. */
export interface ListQuery {
  readonly watch: boolean;
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** undefined: the newest state; 0: any state. */
  readonly resourceVersion: number | undefined;
  readonly resourceVersionMatch: "Exact" | "NotOlderThan" | undefined;
  /** 0: no limit. */
  readonly limit: number;
  readonly continueToken: string;
  readonly timeoutSeconds: number | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

export function parseListQuery(query: URLSearchParams): ListQuery {
  const list: ListQuery = {
    watch: isTrue(query.get("watch")),
    labelSelector: query.get("labelSelector") ?? "",
    fieldSelector: query.get("fieldSelector") ?? "",
    resourceVersion: parseVersion(query.get("resourceVersion")),
    resourceVersionMatch: parseMatch(query.get("resourceVersionMatch")),
    limit: parseCount("limit", query.get("limit")) ?? 0,
    continueToken: query.get("continue") ?? "",
    timeoutSeconds: parseCount("timeoutSeconds", query.get("timeoutSeconds")),
    allowWatchBookmarks: isTrue(query.get("allowWatchBookmarks")),
    sendInitialEvents: query.has("sendInitialEvents")
      ? isTrue(query.get("sendInitialEvents"))
      : undefined,
  };
  checkCombination(list);
  return list;
}

/** Which options go together; texts as upstream's ValidateListOptions. */
function checkCombination(list: ListQuery): void {
  const { resourceVersion, resourceVersionMatch: match, sendInitialEvents } = list;
  if (sendInitialEvents !== undefined && !list.watch) {
    throw invalidOption("sendInitialEvents", "sendInitialEvents is forbidden for list");
  }
  if (sendInitialEvents !== undefined && match !== "NotOlderThan") {
    throw invalidOption(
      "resourceVersionMatch",
      "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
  }
  if (match === undefined || sendInitialEvents !== undefined) return;
  if (list.watch) {
    throw invalidOption(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  }
  if (resourceVersion === undefined) {
    throw invalidOption(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden unless resourceVersion is provided",
    );
  }
  if (list.continueToken !== "") {
    throw invalidOption(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden when continue is provided",
    );
  }
  if (match === "Exact" && resourceVersion === 0) {
    throw invalidOption(
      "resourceVersionMatch",
      'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
    );
  }
}

function invalidOption(field: string, detail: string) {
  return invalidObject({ kind: "ListOptions", group: "meta.k8s.io" }, "", [
    { type: "FieldValueForbidden", field, message: `Forbidden: ${detail}` },
  ]);
}

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** Options of a write, read from the query; a body of DeleteOptions may say more. */
/** As upstream bounds the names of field managers. */
const MAX_MANAGER_BYTES = 128;

export interface WriteQuery {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  readonly fieldManager: string;
}

export interface ApplyQuery extends WriteQuery {
  /** Takes fields from their owners instead of failing. */
  readonly force: boolean;
}

export function parseWriteQuery(query: URLSearchParams): WriteQuery {
  return parseOptions(query, "CreateOptions", []);
}

/** Options of a patch that is not an apply. */
export function parsePatchQuery(query: URLSearchParams): WriteQuery {
  const errors = query.has("force")
    ? [fieldForbidden("force", "may not be specified for non-apply patch")]
    : [];
  return parseOptions(query, "PatchOptions", errors);
}

/** Options of server-side apply, for which a name of the applier is a must. */
export function parseApplyQuery(query: URLSearchParams): ApplyQuery {
  const isNamed = (query.get("fieldManager") ?? "") !== "";
  const errors = isNamed ? [] : [required("fieldManager", "is required for apply patch")];
  const options = parseOptions(query, "PatchOptions", errors);
  const force = query.get("force");
  return { ...options, force: force !== null && !/^(0|false)$/i.test(force) };
}

function parseOptions(
  query: URLSearchParams,
  kind: "CreateOptions" | "PatchOptions",
  before: readonly FieldError[],
): WriteQuery {
  const validation = query.get("fieldValidation") ?? "Warn";
  const fieldManager = query.get("fieldManager") ?? "";
  const errors: FieldError[] = [...before, ...fieldManagerErrors(fieldManager)];
  const isKnown = validation === "Strict" || validation === "Warn" || validation === "Ignore";
  if (!isKnown) {
    errors.push({
      type: "FieldValueNotSupported",
      field: "fieldValidation",
      message: `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
    });
  }
  if (errors.length > 0 || !isKnown) {
    throw invalidObject({ kind, group: "meta.k8s.io" }, "", errors);
  }
  return { dryRun: parseDryRun(query.getAll("dryRun")), fieldValidation: validation, fieldManager };
}

function fieldManagerErrors(manager: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (Buffer.byteLength(manager) > MAX_MANAGER_BYTES) {
    errors.push({
      type: "FieldValueTooLong",
      field: "fieldManager",
      message: `Too long: may not be more than ${String(MAX_MANAGER_BYTES)} bytes`,
    });
  }
  const bad = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(manager);
  if (bad !== null) {
    const code = (bad[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    const at = Buffer.byteLength(manager.slice(0, bad.index));
    errors.push(
      invalid("fieldManager", manager, `invalid character U+${code} (at position ${String(at)})`),
    );
  }
  return errors;
}

/** `dryRun` may only be `All`. */
export function parseDryRun(values: readonly string[]): boolean {
  for (const value of values) {
    if (value === "" || value === "All") continue;
    throw failure(
      422,
      "Invalid",
      `dryRun: Unsupported value: ${JSON.stringify(value)}: supported values: "All"`,
    );
  }
  return values.includes("All");
}

/** A version that we gave out. @throws StatusError 400 for anything else. */
export function parseVersion(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined || text === "") return undefined;
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw badRequest(
    `Invalid value: ${JSON.stringify(text)}: resourceVersion must be a whole number that this server gave out`,
  );
}

function parseMatch(text: string | null): ListQuery["resourceVersionMatch"] {
  if (text === null || text === "") return undefined;
  if (text === "Exact" || text === "NotOlderThan") return text;
  throw invalidObject({ kind: "ListOptions", group: "meta.k8s.io" }, "", [
    {
      type: "FieldValueNotSupported",
      field: "resourceVersionMatch",
      message: `Unsupported value: ${JSON.stringify(text)}: supported values: "Exact", "NotOlderThan", ""`,
    },
  ]);
}

function parseCount(name: string, text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw badRequest(`query parameter ${name}: ${JSON.stringify(text)} is not a whole number`);
}

/** Go's ParseBool, where a bare `?watch` also counts. */
export function isTrue(text: string | null): boolean {
  return text !== null && (text === "" || /^(1|t|true)$/i.test(text));
}
