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
export interface WriteQuery {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  readonly fieldManager: string;
}

export function parseWriteQuery(query: URLSearchParams): WriteQuery {
  const validation = query.get("fieldValidation") ?? "Warn";
  if (validation !== "Strict" && validation !== "Warn" && validation !== "Ignore") {
    throw invalidObject({ kind: "CreateOptions", group: "meta.k8s.io" }, "", [
      {
        type: "FieldValueNotSupported",
        field: "fieldValidation",
        message: `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
      },
    ]);
  }
  const fieldManager = query.get("fieldManager") ?? "";
  if (fieldManager.length > 128) {
    throw invalidObject({ kind: "CreateOptions", group: "meta.k8s.io" }, "", [
      {
        type: "FieldValueTooLong",
        field: "fieldManager",
        message: "Too long: may not be more than 128 bytes",
      },
    ]);
  }
  return { dryRun: parseDryRun(query.getAll("dryRun")), fieldValidation: validation, fieldManager };
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
function isTrue(text: string | null): boolean {
  return text !== null && (text === "" || /^(1|t|true)$/i.test(text));
}
