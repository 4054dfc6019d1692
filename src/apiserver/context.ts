import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Deleter } from "./deleter.ts";
import type { ApiRequest, User } from "./exchange.ts";
import type { KindCache } from "./kind-cache.ts";
import type { AgentTls } from "./logs.ts";
import type { Security } from "./security.ts";
import type { Registry } from "./registry.ts";
import type { ResourceRoute } from "./routes.ts";
import type { WatchCache } from "./watch-cache.ts";
import type { Writer } from "./writer.ts";

/** What all verbs work with. */
export interface ApiContext {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly writer: Writer;
  readonly deleter: Deleter;
  readonly security: Security;
  readonly nodeKind: KindDefinition | undefined;
  readonly agentTls: AgentTls | undefined;
  /** Where Pods have loopback addresses: the only ones that proxies may lead to; else none. */
  readonly loopbackPodCidrs: readonly Cidr[];
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Aborts when the server ends; ends all watches. */
  readonly stopping: AbortSignal;
}

/** One request for a resource. */
export interface ResourceCall {
  readonly context: ApiContext;
  readonly request: ApiRequest;
  readonly user: User;
  readonly route: ResourceRoute;
  readonly query: URLSearchParams;
  readonly kindCache: KindCache;
}
