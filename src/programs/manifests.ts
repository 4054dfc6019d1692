import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import { isDefinition, kindOfManifest } from "./manifest-kinds.ts";

/** One document of a manifest file. `where` names file and document for messages. */
export type ManifestDocument =
  | { readonly kind: "object"; readonly where: string; readonly object: KubernetesObject }
  | { readonly kind: "problem"; readonly where: string; readonly message: string };

export interface ApplyResult {
  readonly applied: readonly string[];
  /** What could not be read or was refused, each naming file, document and reason; the rest was applied. */
  readonly problems: readonly string[];
}

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const EXTENSIONS = [".yaml", ".yml", ".json"];
/** A file larger than this is no manifest. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads all documents of the given files and folders (a folder's manifests in order of name, without its
 * subfolders). A document that cannot be used becomes a problem and does not hide the others.
 */
export async function readManifests(
  paths: readonly string[],
): Promise<readonly ManifestDocument[]> {
  const documents: ManifestDocument[] = [];
  for (const path of paths) {
    try {
      for (const file of await filesOf(path)) documents.push(...(await readFileDocuments(file)));
    } catch (error) {
      documents.push({
        kind: "problem",
        where: path,
        message: `cannot be read: ${messageOf(error)}`,
      });
    }
  }
  return documents;
}

/**
 * Creates what does not exist and patches what does, in the order of the documents, as `kubectl apply` would;
 * only definitions of custom resources come first, and their objects wait until they are served. Objects
 * without a namespace go to `default`.
 */
export async function applyManifests(
  client: ApiClient,
  documents: readonly ManifestDocument[],
  signal: AbortSignal,
): Promise<ApplyResult> {
  const applied: string[] = [];
  const problems: string[] = [];
  const defines = (document: ManifestDocument): boolean =>
    document.kind === "object" && isDefinition(document.object);
  const inOrder = [
    ...documents.filter(defines),
    ...documents.filter((document) => !defines(document)),
  ];
  for (const document of inOrder) {
    if (document.kind === "problem") {
      problems.push(`${document.where}: ${document.message}`);
      continue;
    }
    try {
      applied.push(await applyObject(client, document.object, signal));
    } catch (error) {
      problems.push(`${document.where}: ${messageOf(error)}`);
    }
  }
  return { applied, problems };
}

async function filesOf(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  const files = names.filter((name) => EXTENSIONS.some((extension) => name.endsWith(extension)));
  if (files.length === 0) throw new Error(`no manifests (${EXTENSIONS.join(", ")}) in this folder`);
  return files.sort().map((name) => join(path, name));
}

async function readFileDocuments(file: string): Promise<readonly ManifestDocument[]> {
  if ((await stat(file)).size > MAX_FILE_BYTES) {
    throw new Error(`${file} is larger than ${String(MAX_FILE_BYTES)} bytes`);
  }
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(await readFile(file, "utf8"), { uniqueKeys: true });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document, index): readonly ManifestDocument[] => {
    const where = `${file}, document ${String(index + 1)}`;
    const error = document.errors[0];
    if (error !== undefined)
      return [{ kind: "problem", where, message: error.message.split("\n")[0] ?? "" }];
    const value: unknown = document.toJS();
    return value === null ? [] : objectsOf(value, where);
  });
}

/** The object, or the items of a List. */
function objectsOf(value: unknown, where: string): readonly ManifestDocument[] {
  if (
    typeof value === "object" &&
    value !== null &&
    "items" in value &&
    Array.isArray(value.items)
  ) {
    return value.items.flatMap((item: unknown, i) =>
      objectsOf(item, `${where}, item ${String(i + 1)}`),
    );
  }
  if (isObject(value)) {
    return [
      { kind: "object", where: `${where} (${value.kind} ${value.metadata.name})`, object: value },
    ];
  }
  return [{ kind: "problem", where, message: "has no apiVersion, kind and metadata.name" }];
}

function isObject(value: unknown): value is KubernetesObject {
  if (typeof value !== "object" || value === null) return false;
  if (!("apiVersion" in value && "kind" in value && "metadata" in value)) return false;
  const { apiVersion, kind, metadata } = value;
  if (typeof metadata !== "object" || metadata === null || !("name" in metadata)) return false;
  return (
    typeof apiVersion === "string" && typeof kind === "string" && typeof metadata.name === "string"
  );
}

async function applyObject(
  client: ApiClient,
  object: KubernetesObject,
  signal: AbortSignal,
): Promise<string> {
  const kind = await kindOfManifest(client, object, signal);
  const namespace = kind.namespaced ? (object.metadata.namespace ?? "default") : undefined;
  const ref = { namespace, name: object.metadata.name };
  const located = {
    ...object,
    metadata: { ...object.metadata, ...(namespace === undefined ? {} : { namespace }) },
  };
  const annotations = {
    ...object.metadata.annotations,
    // What `kubectl apply` compares with when it is used on the object later.
    [LAST_APPLIED]: lastApplied(located),
  };
  const draft = { ...located, metadata: { ...located.metadata, annotations } };
  const what = `${kind.singular}/${ref.name}`;
  try {
    await client.create(kind, draft, { signal });
    return `${what} created`;
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
  // Custom resources have no strategic merge: their lists are replaced, as kubectl does it.
  const how = kind.custom === undefined ? "strategic" : "merge";
  await client.patch(kind, ref, { kind: how, body: draft }, { signal });
  return `${what} configured`;
}

/** The object as kubectl writes it there: keys in order, annotations never absent. */
function lastApplied(object: KubernetesObject): string {
  const { annotations = {} } = object.metadata;
  const text = JSON.stringify(
    { ...object, metadata: { ...object.metadata, annotations } },
    (_key, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
  );
  return `${text}\n`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
