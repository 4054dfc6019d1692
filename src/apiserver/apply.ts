import { applyConfig, withoutManagedFields } from "../api/machinery/apply/apply.ts";
import type { Applied } from "../api/machinery/apply/apply.ts";
import { readConfig } from "../api/machinery/apply/config.ts";
import { describeConflicts } from "../api/machinery/apply/conflict-text.ts";
import {
  KUBECTL,
  lastAppliedFields,
  withLastApplied,
} from "../api/machinery/apply/last-applied.ts";
import { storedOwners } from "../api/machinery/apply/owners.ts";
import { shapeOf } from "../api/machinery/apply/shape.ts";
import { findDuplicateKeys } from "../api/machinery/json-text.ts";
import { isJsonObject } from "../api/machinery/json.ts";
import type { JsonObject } from "../api/machinery/json.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { StatusError, failure, hasReason } from "../api/machinery/status.ts";
import { bodyTypeOf, decodeParsed, parseJsonBody, parseYamlText, textOf } from "./body.ts";
import { checkCreate } from "./check-create.ts";
import type { ResourceCall } from "./context.ts";
import type { ApiRequest, ApiResponse } from "./exchange.ts";
import { badRequest, conflict } from "./failures.ts";
import { managedFieldsFor, writingOf } from "./field-owners.ts";
import { placeObject } from "./object-identity.ts";
import { parseApplyQuery } from "./query.ts";
import type { ApplyQuery } from "./query.ts";
import type { Served } from "./stored.ts";
import { writtenResponse } from "./write-response.ts";
import type { Written } from "./writer.ts";

/** How often an apply starts over when the object came or went meanwhile. */
const MAX_ATTEMPTS = 4;

/** PATCH with a configuration (server-side apply): of an object, which it may create, or of its status. */
export async function applyObject(
  call: ResourceCall,
  part: "main" | "status",
): Promise<ApiResponse> {
  const { context, request, user, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const options = parseApplyQuery(query);
  const { config, warnings } = await readBody(request, kind, options);
  const writing = writingOf(kind, part, options.fieldManager, context.now());
  const ref = { namespace, name };
  const place = (object: unknown, owners: Extract<Applied, { kind: "applied" }>["owners"]) => {
    const decoded = decodeParsed(object, bodyTypeOf(kind), "Ignore");
    const placed = kind.strategy.defaults(placeObject(kind, decoded.object, namespace, name));
    const managedFields = managedFieldsFor(owners);
    const { managedFields: _, ...metadata } = placed.metadata;
    return { ...placed, metadata: { ...metadata, ...(managedFields && { managedFields }) } };
  };
  const change = (current: Served | undefined): KubernetesObject => {
    const live = current && withoutManagedFields(current.object);
    const owners = storedOwners(current?.object.metadata.managedFields);
    const apply = { ...writing, force: options.force };
    let applied = applyConfig(apply, live, config, owners);
    const isKubectl = options.fieldManager === KUBECTL;
    if (applied.kind === "conflicts" && isKubectl) {
      const allowed = lastAppliedFields(writing.shape, writing.apiVersion, live);
      applied = applyConfig({ ...apply, allowed }, live, config, owners);
    }
    if (applied.kind === "conflicts") {
      const { message, causes } = describeConflicts(applied.conflicts);
      throw failure(409, "Conflict", message, { causes });
    }
    const object = isKubectl ? withLastApplied(applied.object, config) : applied.object;
    return place(object, applied.owners);
  };
  const { writer, registry } = context;
  const writeOptions = { dryRun: options.dryRun, user, ownership: { kind: "recorded" } } as const;
  const write = (): Promise<Written> => {
    if (part === "status" || registry.get(kind, ref) !== undefined) {
      return writer.modify(kind, ref, part, writeOptions, change);
    }
    checkCreate(call);
    const object = change(undefined);
    refuseUid(kind, object);
    return writer.create(kind, object, writeOptions);
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return writtenResponse(call, await write(), warnings);
    } catch (error) {
      const isFinal = part === "status" || attempt === MAX_ATTEMPTS;
      if (isFinal || !isOvertaken(error, kind, name)) throw error;
    }
  }
}

/** Whether the object came or went between our look at it and our write. */
function isOvertaken(error: unknown, kind: KindDefinition, name: string): boolean {
  if (!(error instanceof StatusError)) return false;
  const { details } = error.status;
  const isAboutIt = details?.kind === kind.plural && details.name === name;
  return isAboutIt && hasReason(error, "AlreadyExists", "NotFound");
}

/** A configuration that names one certain object must not create another. */
function refuseUid(kind: KindDefinition, object: KubernetesObject): void {
  const { name, uid = "" } = object.metadata;
  if (uid === "") return;
  throw conflict(
    kind,
    name,
    `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
  );
}

/** @throws StatusError 400 for what is no configuration of this kind, 500 (as upstream) for undeclared fields. */
async function readBody(
  request: ApiRequest,
  kind: KindDefinition,
  options: ApplyQuery,
): Promise<{ readonly config: JsonObject; readonly warnings: readonly string[] }> {
  const text = textOf(request.body);
  const parsed = /^\s*\{/.test(text) ? parseJsonBody(text) : undefined;
  const isJson = parsed?.kind === "parsed";
  const body = isJson ? parsed.value : await parseYamlText(text);
  if (!isJsonObject(body)) {
    throw badRequest("error decoding YAML: the configuration is not an object");
  }
  const duplicates = isJson && options.fieldValidation !== "Ignore" ? findDuplicateKeys(text) : [];
  if (options.fieldValidation === "Strict" && duplicates.length > 0) {
    throw badRequest(`error strict decoding YAML: ${duplicates.join(", ")}`);
  }
  checkType(kind, body);
  const metadata = isJsonObject(body["metadata"]) ? body["metadata"] : {};
  if (Array.isArray(metadata["managedFields"])) {
    throw badRequest("metadata.managedFields must be nil");
  }
  const config = readConfig(shapeOf(kind.schema), body);
  if (config.kind === "malformed") {
    throw unnamedFailure(
      `failed to create typed patch object (${objectText(kind, metadata)}): ${config.message}`,
    );
  }
  // The shape of every kind is a record, so what it reads is one.
  return { config: config.value as JsonObject, warnings: duplicates };
}

function checkType(kind: KindDefinition, body: JsonObject): void {
  const textOfField = (value: unknown) => (typeof value === "string" ? value : "");
  const apiVersion = textOfField(body["apiVersion"]);
  const name = textOfField(body["kind"]);
  if (apiVersion === apiVersionOf(kind) && name === kind.kind) return;
  const [version = "", group = ""] = apiVersion.split("/", 2).toReversed();
  throw badRequest(`invalid object type: ${group}/${version}, Kind=${name}`);
}

function objectText(kind: KindDefinition, metadata: JsonObject): string {
  const { namespace, name } = metadata;
  const [inNamespace, named] = [namespace, name].map((one) => (typeof one === "string" ? one : ""));
  return `${inNamespace ?? ""}/${named ?? ""}; ${kind.group}/${kind.version}, Kind=${kind.kind}`;
}

/** A failure that upstream gives no reason: clients see the message as it is. */
function unnamedFailure(message: string): StatusError {
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    code: 500,
  });
}
