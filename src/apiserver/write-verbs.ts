import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import { applyObject } from "./apply.ts";
import { checkCreate } from "./check-create.ts";
import { bodyTypeOf, decodeBody, decodeParsed } from "./body.ts";
import type { ResourceCall } from "./context.ts";
import { deleteOptions } from "../api/machinery/delete-options.ts";
import type { DeleteOptions } from "../api/machinery/delete-options.ts";
import type { Deletion } from "./deleter.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest } from "./failures.ts";
import { managerOf } from "./field-owners.ts";
import { listPage } from "./list.ts";
import { negotiateForm } from "./negotiate.ts";
import { placeObject } from "./object-identity.ts";
import { isApply, parsePatch } from "./patch.ts";
import { parseDryRun, parseListQuery, parsePatchQuery, parseWriteQuery } from "./query.ts";
import { itemResponse, listResponse } from "./representation.ts";
import { selectionOf } from "./selection.ts";
import type { WriteQuery } from "./query.ts";
import type { Served } from "./stored.ts";
import { withWarning, writtenResponse } from "./write-response.ts";
import type { WriteOptions } from "./writer.ts";

/** POST to a collection. */
export async function createObject(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace } = route;
  const options = parseWriteQuery(query);
  const decoded = await decodeBody(request, bodyTypeOf(kind), options.fieldValidation);
  const object = kind.strategy.defaults(placeObject(kind, decoded.object, namespace, undefined));
  const writeOptions = writeOptionsOf(call, options);
  const written = await context.writer.create(kind, object, writeOptions);
  return writtenResponse(call, written, decoded.warnings);
}

/** PUT of an object or of its status. */
export async function updateObject(
  call: ResourceCall,
  part: "main" | "status",
): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const options = parseWriteQuery(query);
  const decoded = await decodeBody(request, bodyTypeOf(kind), options.fieldValidation);
  const object = kind.strategy.defaults(placeObject(kind, decoded.object, namespace, name));
  const { writer, registry } = context;
  const writeOptions = writeOptionsOf(call, options);
  const isCreate =
    part === "main" &&
    kind.strategy.createOnUpdate &&
    registry.get(kind, object.metadata) === undefined;
  if (isCreate) checkCreate(call);
  const written = isCreate
    ? await writer.create(kind, object, writeOptions)
    : await writer.modify(kind, object.metadata, part, writeOptions, () => object);
  return writtenResponse(call, written, decoded.warnings);
}

/** PATCH of an object or of its status. */
export async function patchObject(
  call: ResourceCall,
  part: "main" | "status",
): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  if (isApply(request)) return applyObject(call, part);
  const options = parsePatchQuery(query);
  const patch = await parsePatch(request, kind);
  let warnings: readonly string[] = [];
  const change = (current: Served): KubernetesObject => {
    const patched = patch(current.object);
    const decoded = decodeParsed(patched, bodyTypeOf(kind), options.fieldValidation);
    warnings = decoded.warnings;
    return kind.strategy.defaults(placeObject(kind, decoded.object, namespace, name));
  };
  const ref = { namespace, name };
  const writeOptions = writeOptionsOf(call, options);
  const written = await context.writer.modify(kind, ref, part, writeOptions, change);
  return writtenResponse(call, written, warnings);
}

/** Whoever changes a field comes to own it. */
export function writeOptionsOf({ request, user }: ResourceCall, query: WriteQuery): WriteOptions {
  const manager = managerOf(query.fieldManager, request.headers["user-agent"]);
  return { dryRun: query.dryRun, user, ownership: { kind: "updater", manager } };
}

/** DELETE of one object. */
export async function deleteObject(call: ResourceCall): Promise<ApiResponse> {
  const { context, route } = call;
  const { definition: kind, namespace, name = "" } = route;
  const { options, dryRun } = await deleteOptionsOf(call);
  const deletion = await context.deleter.delete(kind, { namespace, name }, options, dryRun);
  const response = deletionResponse(call, deletion);
  const isUnsaid =
    options.propagationPolicy === undefined && options.orphanDependents === undefined;
  return kind.group === "batch" && kind.kind === "Job" && isUnsaid
    ? withWarning(response, JOB_DELETION)
    : response;
}

/** Who deletes a Job as any other object keeps its Pods unawares (upstream `job/storage:deleteOptionWarnings`). */
const JOB_DELETION =
  "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

/** How many deletions of a collection are under way at once. */
const DELETE_BATCH = 32;

/** DELETE of a collection: all that the selectors match; answers what was deleted. */
export async function deleteCollection(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query, kindCache } = call;
  const { definition: kind, namespace } = route;
  const { options, dryRun } = await deleteOptionsOf(call);
  const list = parseListQuery(query);
  const selection = selectionOf(kind, namespace, undefined, list);
  const page = await listPage(context.cache, kindCache, selection, list, request.signal);
  for (let i = 0; i < page.items.length; i += DELETE_BATCH) {
    const batch = page.items.slice(i, i + DELETE_BATCH);
    // All must be over before this answers, also when one of them is refused.
    const results = await Promise.allSettled(
      batch.map(async ({ key, object }) => {
        // Whoever deleted it meanwhile did what was asked.
        if (kindCache.get(key) === undefined) return;
        await context.deleter.delete(kind, object.metadata, options, dryRun).catch((error) => {
          if (!hasReason(error, "NotFound")) throw error;
        });
      }),
    );
    const refused = results.find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }
  const form = negotiateForm(request.headers["accept"]);
  const view = { form, kind, nowMs: context.now(), query };
  return listResponse(request, view, { ...page, revision: context.cache.revision });
}

/** Options come in the body, in the query, or both; the body wins. */
async function deleteOptionsOf(
  call: ResourceCall,
): Promise<{ readonly options: DeleteOptions; readonly dryRun: boolean }> {
  const { request, query } = call;
  const type = { apiVersion: "", kind: "DeleteOptions", schema: deleteOptions };
  const decoded =
    request.body === undefined ? undefined : await decodeBody(request, type, "Ignore");
  // Decoded by the schema of DeleteOptions, which has nothing that must be there.
  const body = decoded?.object as Partial<DeleteOptions> | undefined;
  const grace = query.get("gracePeriodSeconds");
  if (grace !== null && !/^-?\d{1,9}$/.test(grace)) {
    throw badRequest(
      `query parameter gracePeriodSeconds: ${JSON.stringify(grace)} is not a whole number`,
    );
  }
  const policy = query.get("propagationPolicy") ?? undefined;
  const options = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...body,
  };
  const dryRun = parseDryRun([...query.getAll("dryRun"), ...(options.dryRun ?? [])]);
  return { options, dryRun };
}

/** Kinds whose deletion answers the object (upstream's ReturnDeletedObject); all others answer a Status. */
const ANSWERED_WHOLE: readonly string[] = ["pods", "services", "serviceaccounts"];

function deletionResponse(call: ResourceCall, { kind: outcome, item }: Deletion): ApiResponse {
  const { context, request, route, query } = call;
  const { definition: kind } = route;
  if (outcome === "marked" || ANSWERED_WHOLE.includes(kind.plural)) {
    const form = negotiateForm(request.headers["accept"]);
    const view = { form, kind, nowMs: context.now(), query };
    return itemResponse(request, view, 200, item);
  }
  const { name, uid } = item.object.metadata;
  return jsonResponse(200, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name,
      ...(kind.group === "" ? {} : { group: kind.group }),
      kind: kind.plural,
      uid,
    },
  });
}
