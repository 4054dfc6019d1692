import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { servedKinds } from "../../src/api/kinds.ts";
import { readAll } from "../../src/apiserver/exchange.ts";
import type { ApiRequest, ApiResponse, User } from "../../src/apiserver/exchange.ts";
import { createApiServer } from "../../src/apiserver/server.ts";
import type { ApiServer, ApiServerDeps } from "../../src/apiserver/server.ts";
import { DEFAULT_NODE_PORT_RANGE } from "../../src/core/allocation/node-port-allocator.ts";
import { parseCidr } from "../../src/net/cidr.ts";
import type { Cidr } from "../../src/net/cidr.ts";
import { EmbeddedStore } from "../../src/store/embedded/embedded.ts";
import type { Logger } from "../../src/telemetry/log.ts";

export const ADMIN: User = { name: "admin", groups: ["system:masters", "system:authenticated"] };

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as JSON; tests read what they know is there. */
  readonly json: Json;
}

/** JSON as tests look into it: what is not there reads as undefined, and a wrong guess fails the assertion. */
export interface Json {
  readonly [key: string]: Json;
}

/** The text at a path such as `metadata.name`; "" where there is none. */
export function textAt(json: Json, path: string): string {
  let value: unknown = json;
  for (const key of path.split(".")) {
    value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  }
  return typeof value === "string" ? value : "";
}

export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  /** Ends the server and starts another one over the same store. */
  restart(more?: Partial<ApiServerDeps>): Promise<void>;
  readonly store: EmbeddedStore;
  /** A second server over the same store. */
  another(): Promise<Pick<TestServer, "server" | "call"> & AsyncDisposable>;
  call(
    method: ApiRequest["method"],
    url: string,
    body?: unknown,
    options?: CallOptions,
  ): Promise<Answer>;
  open(url: string, options?: CallOptions): Promise<ApiResponse>;
}

interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly user?: User;
  readonly signal?: AbortSignal;
}

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`not a CIDR: ${text}`);
  return parsed;
}

/** An API server over a store in a temporary folder; no socket. */
export async function startTestServer(options: Partial<ApiServerDeps> = {}): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-api-"));
  const store = await EmbeddedStore.open({ dir });
  const start = (more: Partial<ApiServerDeps> = {}) =>
    createApiServer({
      store,
      // The tests' servers listen, if at all, at this address.
      kinds: servedKinds({ podCidrs: [cidr("127.0.0.1/32")] }),
      log: SILENT,
      serviceCidrs: [cidr("10.96.0.0/16")],
      nodePortRange: DEFAULT_NODE_PORT_RANGE,
      version: "0.0.0",
      ...options,
      ...more,
    });
  const close = async () => {
    await store[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  };
  let server = await start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const open: TestServer["open"] = (url, { headers = {}, user = ADMIN, signal } = {}) =>
    server.handle({ method: "GET", url, headers, signal: signal ?? never() }, user);
  return {
    get server() {
      return server;
    },
    async restart(more) {
      await server[Symbol.asyncDispose]();
      server = await start(more);
    },
    store,
    open,
    call: callOn(() => server),
    async another() {
      const second = await start();
      return {
        server: second,
        call: callOn(() => second),
        [Symbol.asyncDispose]: () => second[Symbol.asyncDispose](),
      };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await close();
    },
  };
}

function callOn(server: () => ApiServer): TestServer["call"] {
  return async (method, url, body, { headers = {}, user = ADMIN, signal } = {}) => {
    const bytes =
      body === undefined
        ? undefined
        : body instanceof Uint8Array || typeof body === "string"
          ? Buffer.from(body)
          : Buffer.from(JSON.stringify(body));
    const request = {
      method,
      url,
      headers: { "content-type": "application/json", ...headers },
      body: bytes,
      signal: signal ?? never(),
    };
    const response = await server().handle(request, user);
    const text = (await readAll(response.body)).toString();
    return {
      status: response.status,
      headers: response.headers,
      text,
      // Whoever reads it knows that the answer is JSON.
      json: (text.startsWith("{") ? JSON.parse(text) : {}) as Json,
    };
  };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Failures that the server only logs are of no interest to most tests. */
export const SILENT: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => SILENT,
};
