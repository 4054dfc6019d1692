import { randomUUID } from "node:crypto";
import { REVIEWS } from "../api/reviews.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { StatusError, failure } from "../api/machinery/status.ts";
import { sleep } from "../async/sleep.ts";
import type { Attributes, Decision } from "../core/authorization/attributes.ts";
import type { NodePortRange } from "../core/allocation/node-port-allocator.ts";
import type { Cidr } from "../net/cidr.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Store } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createNamespaces, publishServer } from "./cluster-objects.ts";
import type { ClusterObjectsDeps, PublishedAddress } from "./cluster-objects.ts";
import { attributesOf } from "./request-attributes.ts";
import type { AuditLog } from "./audit.ts";
import { denied } from "./authorizer.ts";
import { compressed } from "./compression.ts";
import type { ApiContext } from "./context.ts";
import { publishServiceCidr } from "./default-service-cidr.ts";
import { serveCustomKinds } from "./custom-kinds.ts";
import { Deleter } from "./deleter.ts";
import { Documents } from "./documents.ts";
import { ensureDefaultRoles } from "./default-roles.ts";
import { checkContent } from "./escalation.ts";
import { expireEvents } from "./event-expiry.ts";
import { failureResponse, jsonResponse, textResponse } from "./exchange.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { internalError, methodNotAllowed, unknownPath } from "./failures.ts";
import { HEALTH_PATHS, answerHealth } from "./health.ts";
import type { RingBounds } from "./kind-cache.ts";
import type { AgentTls } from "./logs.ts";
import { LiveKinds } from "./live-kinds.ts";
import { DEFAULT_LIMITS, Limits, untilOver } from "./limits.ts";
import type { RequestLimits } from "./limits.ts";
import { answerOpenId } from "./openid.ts";
import { Registry } from "./registry.ts";
import { answerResource } from "./resource.ts";
import { requestMetrics } from "./metrics.ts";
import type { RequestMetrics } from "./metrics.ts";
import { answerReview } from "./reviews.ts";
import { parseReviewRoute, parseRoute } from "./routes.ts";
import type { ResourceRoute, Route } from "./routes.ts";
import { Security } from "./security.ts";
import type { Caller } from "./security.ts";
import { WatchCache } from "./watch-cache.ts";
import type { WriteHook } from "./write-hook.ts";
import { writeHooks } from "./write-hooks.ts";
import { Writer } from "./writer.ts";

export interface ApiServerDeps {
  /** Outlives the server; the caller disposes it. */
  readonly store: Store;
  /**
   * From `servedKinds()`, made for the ranges of {@link loopbackPodCidrs} and for the address at which the server
   * listens where that is a loopback address.
   */
  readonly kinds: readonly KindDefinition[];
  readonly log: Logger;
  /**
   * One range of cluster IPs for each family that the cluster has, the primary one first; they become the
   * ServiceCIDR `kubernetes`.
   */
  readonly serviceCidrs: readonly Cidr[];
  readonly nodePortRange: NodePortRange;
  /** Loopback ranges of Pods, whose addresses {@link loopbackWriters} may put into slices; usually none. */
  readonly loopbackPodCidrs?: readonly Cidr[] | undefined;
  /** Users who may; by default nobody but the server itself. */
  readonly loopbackWriters?: ((user: User) => boolean) | undefined;
  /** Admission plug-in DenyServiceExternalIPs: nobody adds external IPs to Services; off by default. */
  readonly denyServiceExternalIps?: boolean | undefined;
  /**
   * Admission plug-in ServiceAccount: each Pod runs as an account of its namespace and has its token. Off by
   * default: it needs the loop that gives each namespace its account.
   */
  readonly serviceAccountAdmission?: boolean | undefined;
  /** How to reach node agents for logs, exec and the like; undefined: those are not served. */
  readonly agentTls?: AgentTls | undefined;
  /** Where the keys of ServiceAccount tokens are kept; undefined: in memory. */
  readonly keysDir?: string | undefined;
  /** Who gives out ServiceAccount tokens, a URL; default as of a cluster of the domain cluster.local. */
  readonly tokenIssuer?: string | undefined;
  /** Gets every request but those for health; the caller disposes it. */
  readonly audit?: AuditLog | undefined;
  /** What each user may have under way; default {@link DEFAULT_LIMITS}. */
  readonly limits?: RequestLimits | undefined;
  /** Our own version, e.g. "0.1.0". */
  readonly version: string;
  /** Where requests are counted. */
  readonly metrics?: Metrics | undefined;
  /** The text of `/metrics`. */
  readonly renderMetrics?: (() => string) | undefined;
  /** How much of each kind's recent past is kept for watches; default 8192 changes or 4 MiB. */
  readonly bounds?: RingBounds | undefined;
  /** Epoch milliseconds; default the clock. */
  readonly now?: (() => number) | undefined;
  /** A number in [0, 1); default Math.random. */
  readonly random?: (() => number) | undefined;
}

export interface ApiServer extends AsyncDisposable {
  /** Answers any request; never rejects. `user` is undefined for a caller that showed nothing. */
  handle(request: ApiRequest, user: User | undefined): Promise<ApiResponse>;
  /** Writes the Service `kubernetes` with its endpoints and keeps them so; called once, when listening. */
  publish(address: PublishedAddress): Promise<void>;
}

const TOKEN_ISSUER = "https://kubernetes.default.svc.cluster.local";
/** Store history is kept so long, for other servers that follow it. */
const COMPACT_EVERY_MS = 5 * 60_000;

/**
 * Starts an API server over a store: loads all objects, creates the namespaces that every cluster has, and
 * is ready to answer. Disposing ends all watches.
 */
export async function createApiServer(deps: ApiServerDeps): Promise<ApiServer> {
  const cache = await WatchCache.start(deps);
  let server: Server | undefined;
  try {
    server = new Server(deps, cache);
    const { kinds, registry } = server.clusterObjects;
    const now = deps.now ?? Date.now;
    await Promise.all([
      createNamespaces(server.clusterObjects),
      server.publishServiceCidr(),
      ensureDefaultRoles({ cache, registry, kinds, now, newUid: randomUUID }),
    ]);
    await server.serveCustomKinds();
    return server;
  } catch (error) {
    await (server ?? cache)[Symbol.asyncDispose]();
    throw error;
  }
}

/** A request on its way through the server. */
interface Exchange {
  readonly request: ApiRequest;
  readonly route: Route | undefined;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Once it is known. */
  caller: Caller | undefined;
  decision: Decision | undefined;
}

class Server implements ApiServer {
  readonly clusterObjects: ClusterObjectsDeps;
  readonly #deps: ApiServerDeps;
  readonly #context: ApiContext;
  readonly #stop = new AbortController();
  readonly #documents: Documents;
  readonly #live: LiveKinds;
  readonly #hooks: Map<string, WriteHook>;
  readonly #loops: Promise<void>[] = [];
  readonly #metrics: RequestMetrics | undefined;
  readonly #limits: Limits;
  #publicUrl = "";

  constructor(deps: ApiServerDeps, cache: WatchCache) {
    const { store, kinds, log } = deps;
    const now = deps.now ?? Date.now;
    const sources = { now, random: deps.random ?? Math.random, newUid: randomUUID };
    const byResource = new Map(kinds.map((kind) => [resourceNameOf(kind), kind]));
    const namespaceKind = byResource.get("namespaces");
    if (namespaceKind === undefined) throw new Error("an API server must serve namespaces");
    const registry = new Registry(store, cache);
    this.#live = new LiveKinds(kinds, cache);
    this.#hooks = writeHooks({
      ...deps,
      ...sources,
      cache,
      registry,
      stopping: this.#stop.signal,
    });
    const security = new Security({
      cache,
      registry,
      kinds: byResource,
      keysDir: deps.keysDir,
      issuer: deps.tokenIssuer ?? TOKEN_ISSUER,
      now,
    });
    const writer = new Writer({
      registry,
      namespaceKind,
      hooks: this.#hooks,
      ...sources,
      checkContent: (kind, user, object, old) =>
        checkContent(security.authorizer, kind, user, object, old),
    });
    this.#deps = deps;
    this.#limits = new Limits(deps.limits ?? DEFAULT_LIMITS);
    this.#context = {
      cache,
      registry,
      writer,
      deleter: new Deleter({ registry, writer, now }),
      security,
      nodeKind: byResource.get("nodes"),
      agentTls: deps.agentTls,
      loopbackPodCidrs: deps.loopbackPodCidrs ?? [],
      log,
      now,
      stopping: this.#stop.signal,
    };
    this.clusterObjects = { cache, registry, writer, kinds: byResource, log };
    this.#metrics = deps.metrics && requestMetrics(deps.metrics, cache);
    this.#documents = new Documents(this.#live, deps.version);
    this.#loops.push(this.#compact());
    const eventKind = byResource.get("events");
    if (eventKind !== undefined) {
      const expiry = { cache, registry, eventKind, log, now };
      this.#loops.push(expireEvents(expiry, this.#stop.signal));
    }
  }

  /** Writes the ServiceCIDR `kubernetes` and keeps it (ALLOC-015). */
  async publishServiceCidr(): Promise<void> {
    const { serviceCidrs } = this.#deps;
    const signal = this.#stop.signal;
    const { done } = await publishServiceCidr(this.clusterObjects, serviceCidrs, signal);
    this.#loops.push(done);
  }

  async publish(address: PublishedAddress): Promise<void> {
    const { serviceCidrs } = this.#deps;
    const signal = this.#stop.signal;
    this.#publicUrl = `https://${formatHostPort(address.address, address.port)}`;
    const { done } = await publishServer(this.clusterObjects, address, serviceCidrs, signal);
    this.#loops.push(done);
  }

  /** Serves the kinds that definitions add, now and from now on. */
  async serveCustomKinds(): Promise<void> {
    const { kinds, cache, registry, writer, log } = this.clusterObjects;
    const definitionKind = kinds.get("customresourcedefinitions.apiextensions.k8s.io");
    if (definitionKind === undefined) return;
    const { deleter, now } = this.#context;
    const { random = Math.random } = this.#deps;
    const state = { cache, registry, writer, deleter, live: this.#live, hooks: this.#hooks };
    const deps = { ...state, definitionKind, log, now, random };
    const { done } = await serveCustomKinds(deps, this.#stop.signal);
    this.#loops.push(done);
  }

  async handle(request: ApiRequest, user: User | undefined): Promise<ApiResponse> {
    const startMs = performance.now();
    const at = request.url.indexOf("?");
    const path = at === -1 ? request.url : request.url.slice(0, at);
    const query = new URLSearchParams(at === -1 ? "" : request.url.slice(at + 1));
    const route = parseRoute(path, this.#live.routes) ?? parseReviewRoute(path, REVIEWS);
    const exchange: Exchange = {
      request,
      route,
      path,
      query,
      caller: undefined,
      decision: undefined,
    };
    const response = await this.#answer(exchange, user)
      .then((answer) => (isCompressible(route) ? compressed(request, answer) : answer))
      .catch((error: unknown) => this.#failed(request, error));
    const elapsedMs = performance.now() - startMs;
    this.#metrics?.answered(request.method, route, response.status, elapsedMs / 1000);
    if (this.#deps.audit !== undefined)
      this.#audit(this.#deps.audit, exchange, response, elapsedMs);
    return response;
  }

  #failed(request: ApiRequest, error: unknown): ApiResponse {
    if (error instanceof StatusError) return failureResponse(error);
    if (request.signal.aborted) return failureResponse(internalError("the request was cancelled"));
    this.#deps.log.error("request failed", { method: request.method, url: request.url, error });
    return failureResponse(internalError(error instanceof Error ? error.message : String(error)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the API server is closed"));
    for (const kindCache of this.#context.cache.kinds()) kindCache.notify();
    await Promise.all(this.#loops);
    this.#metrics?.[Symbol.dispose]();
    await this.#context.cache[Symbol.asyncDispose]();
  }

  async #answer(exchange: Exchange, shown: User | undefined): Promise<ApiResponse> {
    const { request, path, query } = exchange;
    if (HEALTH_PATHS.includes(path)) return answerHealth(path, query, this.#checks());
    const { security } = this.#context;
    const caller = await security.callerOf(request, shown);
    exchange.caller = caller;
    if (this.#stop.signal.aborted) {
      throw failure(503, "ServiceUnavailable", "the API server is shutting down");
    }
    const { name } = caller.asker;
    await this.#limits.enter(name, request);
    try {
      return await this.#answerUser(exchange, caller.user, name);
    } finally {
      this.#limits.leave(name);
    }
  }

  /** Authorizes, here and nowhere else but for what is in bodies, and answers. */
  async #answerUser(exchange: Exchange, user: User, asker: string): Promise<ApiResponse> {
    const { request, route, path, query } = exchange;
    const { security } = this.#context;
    const attributes = attributesOf(request.method, route, path, query);
    exchange.decision = security.authorizer.decide(user, attributes);
    if (exchange.decision.kind !== "allow") {
      throw denied(user, attributes, exchange.decision.reason);
    }
    switch (route?.kind) {
      case undefined:
        throw unknownPath();
      case "resource":
        return this.#answerResource(exchange, route, user, asker, attributes);
      case "review":
        return answerReview(security, request, user, route, query);
      case "discovery":
      case "other":
        return this.#answerDocument(request, route.path, query);
    }
  }

  /** Watches, and what subresources relay, may be streams, of which each user has a bound. */
  async #answerResource(
    { request, query }: Exchange,
    route: ResourceRoute,
    user: User,
    asker: string,
    attributes: Attributes,
  ): Promise<ApiResponse> {
    const mayStream = attributes.verb === "watch" || route.subresource !== undefined;
    if (!mayStream) return answerResource(this.#context, request, user, route, query);
    const over = this.#limits.openStream(asker);
    try {
      const response = await answerResource(this.#context, request, user, route, query);
      return untilOver(response, over, request.signal);
    } catch (error) {
      over();
      throw error;
    }
  }

  #audit(audit: AuditLog, exchange: Exchange, response: ApiResponse, elapsedMs: number): void {
    const { request, route, path, query, caller, decision } = exchange;
    if (HEALTH_PATHS.includes(path)) return;
    const attributes = attributesOf(request.method, route, path, query);
    const answeredMs = (this.#deps.now ?? Date.now)();
    audit.record({
      request,
      attributes,
      caller,
      decision,
      code: response.status,
      receivedMs: answeredMs - elapsedMs,
      answeredMs,
    });
  }

  async #answerDocument(
    request: ApiRequest,
    path: string,
    query: URLSearchParams,
  ): Promise<ApiResponse> {
    if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
    const { renderMetrics } = this.#deps;
    if (path === "/metrics" && renderMetrics !== undefined) {
      return textResponse(200, renderMetrics(), "text/plain; version=0.0.4; charset=utf-8");
    }
    if (path === "/version") return jsonResponse(200, versionInfo(this.#deps.version));
    const openId = await answerOpenId(this.#context.security.tokens, path, this.#publicUrl);
    if (openId !== undefined) return openId;
    const response = this.#documents.answer(path, query, request.headers);
    if (response === undefined) throw unknownPath();
    return response;
  }

  #checks() {
    return [
      { name: "ping", problem: () => undefined },
      { name: "watch-cache", problem: () => this.#context.cache.problem },
      {
        name: "shutdown",
        problem: () => (this.#stop.signal.aborted ? "the server is shutting down" : undefined),
      },
    ];
  }

  /** Forgets what happened in the store more than five minutes ago. */
  async #compact(): Promise<void> {
    const { store, log } = this.#deps;
    let revision = store.revision;
    while (!this.#stop.signal.aborted) {
      try {
        await sleep(COMPACT_EVERY_MS, this.#stop.signal);
        await store.compact(revision);
        revision = store.revision;
      } catch (error) {
        if (!this.#stop.signal.aborted) log.warn("the store could not be compacted", { error });
      }
    }
  }
}

/** What a proxy relays may be of any size, and is the target's to compress. */
function isCompressible(route: Route | undefined): boolean {
  return route?.kind !== "resource" || route.subresource !== "proxy";
}

function versionInfo(version: string): object {
  return {
    major: "1",
    minor: "34",
    gitVersion: `v1.34.0+portolan.${version}`,
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "go0.0",
    compiler: process.release.name,
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}
