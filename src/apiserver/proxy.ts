import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Endpoints } from "../api/v1/endpoints.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { failure } from "../api/machinery/status.ts";
import { isBearerProtocol } from "./authenticator.ts";
import { isImpersonation } from "./impersonation.ts";
import type { ResourceCall } from "./context.ts";
import { TAKEN, chunksOf } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest, internalError, unknownPath } from "./failures.ts";
import { LinkRewriter } from "./html-links.ts";
import { agentUrl } from "./logs.ts";
import { parseProxyPath } from "./proxy-path.ts";
import type { ProxyPath } from "./proxy-path.ts";
import { nodeTarget, parseProxyName, podTarget, serviceTarget } from "./proxy-target.ts";
import type { ProxyName } from "./proxy-target.ts";
import { currentOf } from "./read-verbs.ts";
import { rewriteLink } from "./proxy-link.ts";
import type { ResourceRoute } from "./routes.ts";
import { relayUpgrade } from "./upgrade-relay.ts";
import type { TargetTls } from "./upgrade-relay.ts";

/** Concern one connection only (RFC 9110 7.6.1), and what authenticated the caller towards us. */
const NOT_RELAYED = new Set([
  "authorization",
  "connection",
  "expect",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** What a target allows other origins is not what this server allows them. */
const CORS = /^access-control-allow-/;
/** A target that takes no connection within so long is as good as down. */
const CONNECT_TIMEOUT_MS = 30_000;

export function isProxied({ definition, subresource, watch }: ResourceRoute): boolean {
  const { group, plural } = definition;
  return (
    subresource === "proxy" &&
    group === "" &&
    !watch &&
    (plural === "pods" || plural === "services" || plural === "nodes")
  );
}

interface Destination {
  readonly origin: string;
  readonly tls: TargetTls;
}

/**
 * Any verb on pods|services|nodes/[SCHEME:]NAME[:PORT]/proxy/PATH: relays the request, body and all, to the Pod,
 * a ready Pod of the Service, or the node's agent (APIS-005..008). https is not verified, as Pods have no
 * certificates that anybody could check.
 */
export async function answerProxy(call: ResourceCall): Promise<ApiResponse> {
  const { request } = call;
  const path = parseProxyPath(request.url);
  if (path === undefined) throw unknownPath();
  const { method } = request;
  if (path.path === "" && (method === "GET" || method === "HEAD")) {
    // APIS-006: relative links of what is answered would lose their last part.
    const headers = { location: `${path.prefix}/${path.search}`, "content-length": "0" };
    return { status: 301, headers, body: chunksOf() };
  }
  const { origin, tls } = destinationOf(call);
  const url = new URL(`${origin}/`);
  // Spelled as the caller spelled it: the URL class would take dot segments out.
  const target = `${path.path === "" ? "/" : path.path}${path.search}`;
  const answer = await (request.upgrade === undefined
    ? relay(call, url, target, tls)
    : relayUpgrade(
        request.upgrade,
        {
          url: new URL(target, url),
          method,
          headers: relayedHeaders(call),
          tls,
        },
        request.signal,
      )
  ).catch((error: unknown) => {
    if (request.signal.aborted) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw failure(503, "ServiceUnavailable", `error trying to reach service: ${why}`);
  });
  // Nobody reads the body that it does not have, and unread it would hold the connection.
  if (method === "HEAD") answer?.resume();
  return answer === undefined ? TAKEN : responseOf(answer, path, url);
}

function destinationOf(call: ResourceCall): Destination {
  const { context, route } = call;
  const { plural } = route.definition;
  const asked = parseProxyName(route.name ?? "");
  const singular = plural.slice(0, -1);
  if (asked === undefined)
    throw badRequest(`invalid ${singular} request ${JSON.stringify(route.name)}`);
  // The route says of which kind the object is.
  const { object } = currentOf({ ...call, route: { ...route, name: asked.name } });
  const { loopbackPodCidrs } = context;
  const tls = { rejectUnauthorized: false };
  switch (plural) {
    case "pods":
      return { ...podTarget(object as Pod, asked, loopbackPodCidrs), tls };
    case "services":
      return { ...serviceTarget(asked, backendsOf(call, object as Service, asked)), tls };
    default: {
      const agent = context.agentTls;
      if (agent === undefined)
        throw internalError("this API server has no credentials for node agents");
      const { ca, certificate: cert, key } = agent;
      return { ...nodeTarget(object, asked, agentUrl(asked.name, object)), tls: { ca, cert, key } };
    }
  }
}

function backendsOf({ context, route }: ResourceCall, service: Service, { name }: ProxyName) {
  const { cache, loopbackPodCidrs } = context;
  const { namespace } = route;
  const find = (plural: string, wanted: string) =>
    cache.of({ group: "", version: "v1", plural }).get(objectKey({ namespace, name: wanted }))
      ?.object;
  return {
    service,
    // Both are looked up in the caches of their kinds.
    endpoints: find("endpoints", name) as Endpoints | undefined,
    pod: (pod: string) => find("pods", pod) as Pod | undefined,
    loopbackPodCidrs,
    random: Math.random,
  };
}

/** Resolves with the head of the answer; the bodies follow as they come. */
function relay(
  call: ResourceCall,
  url: URL,
  path: string,
  tls: TargetTls,
): Promise<IncomingMessage> {
  const { request } = call;
  const { signal, method, stream, body } = request;
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      { path, method, headers: relayedHeaders(call), ...tls, signal, agent: false },
      resolve,
    );
    // Only for connecting: what is answered may take its time.
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no connection within ${String(CONNECT_TIMEOUT_MS / 1000)} s`));
    }, CONNECT_TIMEOUT_MS);
    outgoing.once("socket", (socket) => {
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => {
        clearTimeout(timer);
      });
    });
    // Stays: a caller that goes away later ends the request once more.
    outgoing.on("error", (error) => {
      clearTimeout(timer);
      // What the target has not taken is read and dropped, so that the caller hears the answer.
      stream?.unpipe(outgoing);
      stream?.resume();
      reject(error);
    });
    if (stream !== undefined) stream.pipe(outgoing);
    else outgoing.end(body);
  });
}

function relayedHeaders({ request }: ResourceCall): Record<string, string> {
  const { headers, url } = request;
  const named = (headers["connection"] ?? "").split(",").map((name) => name.trim().toLowerCase());
  const relayed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!NOT_RELAYED.has(name) && !named.includes(name)) relayed[name] = value;
  }
  withoutCredentials(relayed);
  // HTTP/2 has no Host; its like was cut off with the other pseudo-headers.
  relayed["host"] ??= "localhost";
  // Links in HTML must be readable here.
  relayed["accept-encoding"] = "identity";
  relayed["x-forwarded-uri"] = url.split("?", 1)[0] ?? url;
  relayed["x-forwarded-host"] = relayed["host"];
  relayed["x-forwarded-proto"] = "https";
  if (request.stream !== undefined && relayed["content-length"] === undefined)
    relayed["transfer-encoding"] = "chunked";
  return relayed;
}

/** Whom the caller impersonates, and a token that came as a protocol, are for the API server alone. */
function withoutCredentials(headers: Record<string, string>): void {
  for (const name of Object.keys(headers)) if (isImpersonation(name)) delete headers[name];
  const protocols = headers["sec-websocket-protocol"]?.split(",").map((one) => one.trim());
  if (protocols === undefined) return;
  const kept = protocols.filter((one) => !isBearerProtocol(one));
  if (kept.length > 0) headers["sec-websocket-protocol"] = kept.join(", ");
  else delete headers["sec-websocket-protocol"];
}

function responseOf(answer: IncomingMessage, path: ProxyPath, target: URL): ApiResponse {
  const headers: Record<string, string> = {};
  const named = (answer.headers.connection ?? "").toLowerCase();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value === undefined || name === "set-cookie") continue;
    if (NOT_RELAYED.has(name) || CORS.test(name) || named.includes(name)) continue;
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  const rewrite = (url: string): string | undefined => rewriteLink(url, path.prefix, target.host);
  const { location } = headers;
  if (location !== undefined) headers["location"] = rewrite(location) ?? location;
  const isHtml = isRewritable(answer.headers) && location === undefined;
  if (isHtml) delete headers["content-length"];
  return {
    status: answer.statusCode ?? 502,
    headers,
    cookies: answer.headers["set-cookie"],
    // Nothing sets an encoding: chunks are bytes.
    body: isHtml ? rewritten(answer, rewrite) : (answer as AsyncIterable<Uint8Array>),
  };
}

function isRewritable(headers: IncomingHttpHeaders): boolean {
  const encoding = headers["content-encoding"] ?? "identity";
  return /^text\/html\b/i.test(headers["content-type"] ?? "") && encoding === "identity";
}

/** Latin-1 keeps every byte as it is, whatever the page's encoding; markup is ASCII in all that matter. */
async function* rewritten(
  body: AsyncIterable<Buffer>,
  rewrite: (url: string) => string | undefined,
): AsyncIterable<Uint8Array> {
  const rewriter = new LinkRewriter(rewrite);
  for await (const chunk of body) {
    const text = rewriter.push(chunk.toString("latin1"));
    if (text !== "") yield Buffer.from(text, "latin1");
  }
  const rest = rewriter.end();
  if (rest !== "") yield Buffer.from(rest, "latin1");
}
