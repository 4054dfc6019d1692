import { verbsOf } from "../api/machinery/discovery.ts";
import type { ApiContext, ResourceCall } from "./context.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { evictPod } from "./eviction.ts";
import { methodNotAllowed, unknownPath } from "./failures.ts";
import { requestedForm } from "./negotiate.ts";
import { getObject, listOrWatch } from "./read-verbs.ts";
import { attachPod, execPod, forwardPod } from "./pod-streams.ts";
import { answerProxy, isProxied } from "./proxy.ts";
import type { ResourceRoute } from "./routes.ts";
import { answerScale } from "./scale.ts";
import { bindPod, finalizeNamespace, readLog } from "./subresources.ts";
import { createToken } from "./token-request.ts";
import {
  createObject,
  deleteCollection,
  deleteObject,
  patchObject,
  updateObject,
} from "./write-verbs.ts";
import { withWarning } from "./write-response.ts";

/** Answers a request for a resource. @throws StatusError for everything that goes wrong. */
export async function answerResource(
  context: ApiContext,
  request: ApiRequest,
  user: User,
  route: ResourceRoute,
  query: URLSearchParams,
): Promise<ApiResponse> {
  const call: ResourceCall = {
    context,
    request,
    user,
    route,
    query,
    kindCache: context.cache.of(route.definition),
  };
  const response = await answerCall(call);
  const { deprecation } = route.definition;
  return deprecation === undefined ? response : withWarning(response, deprecation);
}

async function answerCall(call: ResourceCall): Promise<ApiResponse> {
  const { request, route, query } = call;
  if (route.subresource !== undefined) return answerSubresource(call);
  if (request.method !== "GET" && request.method !== "HEAD") {
    // Collections of all namespaces, and the old paths of watches, can only be read.
    const { definition, namespace } = route;
    if (route.watch || (definition.namespaced && namespace === "")) throw methodNotAllowed();
    // Before anything is written: who is refused for what he accepts must not find it done all the same.
    requestedForm(request.headers["accept"], query);
  }
  return route.name === undefined ? answerCollection(call) : answerObject(call);
}

async function answerCollection(call: ResourceCall): Promise<ApiResponse> {
  switch (call.request.method) {
    case "GET":
    case "HEAD":
      return listOrWatch(call);
    case "POST":
      return createObject(call);
    case "DELETE":
      if (!verbsOf(call.route.definition).includes("deletecollection")) throw methodNotAllowed();
      return deleteCollection(call);
    case "PUT":
    case "PATCH":
    case "OPTIONS":
      throw methodNotAllowed();
  }
}

async function answerObject(call: ResourceCall): Promise<ApiResponse> {
  const { request, route, query } = call;
  switch (request.method) {
    case "GET":
    case "HEAD":
      return route.watch || query.get("watch") === "true" ? listOrWatch(call) : getObject(call);
    case "PUT":
      return updateObject(call, "main");
    case "PATCH":
      return patchObject(call, "main");
    case "DELETE":
      return deleteObject(call);
    case "POST":
    case "OPTIONS":
      throw methodNotAllowed();
  }
}

async function answerSubresource(call: ResourceCall): Promise<ApiResponse> {
  const { request, route } = call;
  const { definition, subresource = "" } = route;
  if (isProxied(route)) return answerProxy(call);
  if (route.rest !== "" || route.watch) throw unknownPath();
  if (subresource === "status" && definition.strategy.prepareForStatusUpdate !== undefined) {
    return answerStatus(call);
  }
  const { scale } = definition;
  if (subresource === "scale" && scale !== undefined) return answerScale(call, scale);
  // The few subresources that single kinds have.
  const handlers: Readonly<Record<string, (call: ResourceCall) => Promise<ApiResponse>>> = {
    "GET pods/log": readLog,
    "POST pods/binding": bindPod,
    "GET pods/exec": execPod,
    "POST pods/exec": execPod,
    "GET pods/attach": attachPod,
    "POST pods/attach": attachPod,
    "GET pods/portforward": forwardPod,
    "POST pods/portforward": forwardPod,
    "POST serviceaccounts/token": createToken,
    "POST pods/eviction": evictPod,
    "PUT namespaces/finalize": finalizeNamespace,
  };
  const path = `${definition.plural}/${subresource}`;
  const handler = definition.group === "" ? handlers[`${request.method} ${path}`] : undefined;
  if (handler !== undefined) return handler(call);
  const isKnown = Object.keys(handlers).some((one) => one.endsWith(` ${path}`));
  throw isKnown ? methodNotAllowed() : unknownPath();
}

async function answerStatus(call: ResourceCall): Promise<ApiResponse> {
  requestedForm(call.request.headers["accept"], call.query);
  switch (call.request.method) {
    case "GET":
    case "HEAD":
      return getObject(call);
    case "PUT":
      return updateObject(call, "status");
    case "PATCH":
      return patchObject(call, "status");
    case "POST":
    case "DELETE":
    case "OPTIONS":
      throw methodNotAllowed();
  }
}
