import { objectKey } from "../api/machinery/object-key.ts";
import type { ResourceCall } from "./context.ts";
import { JSON_TYPE, NOTHING } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { notFound } from "./failures.ts";
import { listPage } from "./list.ts";
import { requestedForm } from "./negotiate.ts";
import { parseListQuery, parseVersion } from "./query.ts";
import { eventRenderer, itemResponse, listResponse } from "./representation.ts";
import { selectionOf } from "./selection.ts";
import type { Served } from "./stored.ts";
import { frameWriter } from "./watch-frames.ts";
import { objectWriter } from "./watch-objects.ts";
import { openWatch } from "./watch.ts";

/** GET of one object. */
export async function getObject(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, query } = call;
  const form = requestedForm(request.headers["accept"], query);
  const version = parseVersion(query.get("resourceVersion"));
  if (version !== undefined) await context.cache.reached(version, request.signal);
  const view = { form, kind: call.route.definition, nowMs: context.now(), query };
  return itemResponse(request, view, 200, currentOf(call));
}

/** The object that the route names. @throws StatusError 404. */
export function currentOf({ route, kindCache }: ResourceCall): Served {
  const { definition, namespace, name = "" } = route;
  const item = kindCache.get(objectKey({ namespace, name }));
  if (item === undefined) throw notFound(definition, name);
  return item;
}

/** GET of a collection: a list, or a watch. */
export async function listOrWatch(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query, kindCache } = call;
  const { definition: kind, namespace, name } = route;
  const options = parseListQuery(query);
  const form = requestedForm(request.headers["accept"], query);
  const selection = selectionOf(kind, namespace, name, options);
  const view = { form, kind, nowMs: context.now(), query };
  if (!options.watch && !route.watch) {
    const page = await listPage(context.cache, kindCache, selection, options, request.signal);
    return listResponse(request, view, page);
  }
  const watch = {
    cache: context.cache,
    kindCache,
    selection,
    query: options,
    signal: request.signal,
    stopping: context.stopping,
    now: context.now,
  };
  if (request.takesObjects === true && form.kind === "object") {
    const events = await openWatch({ ...watch, writer: objectWriter(kind, selection) });
    return { status: 200, headers: {}, body: NOTHING, events };
  }
  const writer = frameWriter(selection, eventRenderer(view, context.now));
  const body = await openWatch({ ...watch, writer });
  if (request.upgrade?.incoming.headers.upgrade?.toLowerCase() === "websocket") {
    // Loaded, with its package, when a browser first asks for it.
    const { watchOverWebSocket } = await import("./websocket-watch.ts");
    return watchOverWebSocket(request.upgrade, body, request.signal);
  }
  return {
    status: 200,
    headers: { "content-type": form.kind === "object" ? JSON_TYPE : `${JSON_TYPE};stream=watch` },
    body,
  };
}
