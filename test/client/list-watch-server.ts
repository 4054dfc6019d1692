import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Any object; the server looks at its metadata only. */
export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly object[];
  };
  readonly data?: Readonly<Record<string, string>>;
}

interface HistoryEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A real HTTP server that lists and watches ConfigMaps as kube-apiserver does, and fails on command: what a
 * client must live through, without a cluster. It holds state; it is no recording.
 */
export class ListWatchServer implements AsyncDisposable {
  readonly #objects = new Map<string, StoredObject>();
  readonly #history: HistoryEvent[] = [];
  readonly #watches = new Set<ServerResponse>();
  readonly #server = createServer((request, response) => {
    this.#handle(request, response);
  });
  #version = 1;
  #compacted = 0;
  #failWith: Answer | undefined;
  #port = 0;
  #waiters: { readonly isTrue: () => boolean; readonly resolve: () => void }[] = [];
  /** Method and URL of every request, in order. */
  readonly requests: string[] = [];

  static async start(): Promise<ListWatchServer> {
    const server = new ListWatchServer();
    await server.listen();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}`;
  }

  get version(): string {
    return String(this.#version);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  get listCount(): number {
    return this.requests.filter((url) => !url.includes("watch=true") && !url.includes("continue="))
      .length;
  }

  get watchCount(): number {
    return this.requests.filter((url) => url.includes("watch=true")).length;
  }

  /** Again on the port it had, after {@link shutDown}. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        // A server that listens on a port has such an address.
        this.#port = (this.#server.address() as AddressInfo).port;
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Cuts every connection and refuses new ones; the state stays. */
  shutDown(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.shutDown();
  }

  put(name: string, data: Readonly<Record<string, string>>, labels?: Record<string, string>): void {
    const old = this.#objects.get(name);
    this.#version += 1;
    const object: StoredObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        namespace: "default",
        name,
        uid: old?.metadata.uid ?? `uid-${String(this.#version)}`,
        resourceVersion: this.version,
        ...(labels === undefined ? {} : { labels }),
        managedFields: [{ manager: "test" }],
      },
      data,
    };
    this.#objects.set(name, object);
    this.#commit({
      version: this.#version,
      type: old === undefined ? "ADDED" : "MODIFIED",
      object,
    });
  }

  remove(name: string): void {
    const old = this.#objects.get(name);
    if (old === undefined) return;
    this.#version += 1;
    this.#objects.delete(name);
    const object = { ...old, metadata: { ...old.metadata, resourceVersion: this.version } };
    this.#commit({ version: this.#version, type: "DELETED", object });
  }

  /** What the server holds, as `name -> data`. */
  contents(): Record<string, unknown> {
    return Object.fromEntries([...this.#objects].map(([name, object]) => [name, object.data]));
  }

  /** Forgets history, so that a watch from before now is told 410. Bumps the version, as other kinds would. */
  compact(): void {
    this.#version += 1;
    this.#compacted = this.#version;
    this.#history.length = 0;
  }

  /** Becomes a server that never held anything and counts versions from the start. */
  forgetEverything(): void {
    this.#objects.clear();
    this.#history.length = 0;
    this.#version = 1;
    this.#compacted = 0;
  }

  /** Tells all watches the version, which moves on without a change of this kind. */
  bookmark(): void {
    this.#version += 1;
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { resourceVersion: this.version },
    };
    this.sendToWatches(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }

  sendToWatches(text: string | Uint8Array): void {
    for (const watch of this.#watches) watch.write(text);
  }

  /** Ends the watches as a server does after their timeout. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
    this.#watches.clear();
  }

  /** Cuts the watches' connections. */
  cutWatches(): void {
    for (const watch of this.#watches) watch.socket?.resetAndDestroy();
    this.#watches.clear();
  }

  /** Answers every request with this until called without. */
  failWith(answer?: Answer): void {
    this.#failWith = answer;
  }

  /** Resolves as soon as it holds; looked at whenever a request comes or a connection goes. */
  until(isTrue: () => boolean): Promise<void> {
    if (isTrue()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ isTrue, resolve }));
  }

  #commit(event: HistoryEvent): void {
    this.#history.push(event);
    this.sendToWatches(lineOf(event));
  }

  #look(): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => !waiter.isTrue());
    for (const waiter of waiters) if (waiter.isTrue()) waiter.resolve();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://server");
    this.requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
    const failure = this.#failWith;
    if (failure !== undefined) {
      response.writeHead(failure.status, failure.headers).end(failure.body);
    } else if (url.searchParams.get("watch") === "true") {
      this.#watch(Number(url.searchParams.get("resourceVersion")), response);
    } else {
      this.#list(url.searchParams, response);
    }
    this.#look();
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const start = Number(query.get("continue") ?? 0);
    const limit = Number(query.get("limit") ?? Number.POSITIVE_INFINITY);
    const all = [...this.#objects.values()];
    // Real servers leave apiVersion and kind out of a list's items.
    const items = all
      .slice(start, start + limit)
      .map(({ apiVersion: _a, kind: _k, ...item }) => item);
    const next = start + limit < all.length ? String(start + limit) : undefined;
    respond(response, 200, {
      apiVersion: "v1",
      kind: "ConfigMapList",
      metadata: {
        resourceVersion: this.version,
        ...(next === undefined ? {} : { continue: next }),
      },
      items,
    });
  }

  #watch(from: number, response: ServerResponse): void {
    if (from < this.#compacted) {
      // In the stream, as kube-apiserver's watch cache says it.
      response.writeHead(200, { "content-type": "application/json" });
      response.end(`${JSON.stringify({ type: "ERROR", object: EXPIRED })}\n`);
      return;
    }
    if (from > this.#version) {
      respond(response, 504, TOO_LARGE);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const event of this.#history) if (event.version > from) response.write(lineOf(event));
    this.#watches.add(response);
    response.on("close", () => {
      this.#watches.delete(response);
      this.#look();
    });
  }
}

const EXPIRED = {
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: "too old resource version",
  reason: "Expired",
  code: 410,
};

const TOO_LARGE = {
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: "Too large resource version",
  reason: "Timeout",
  details: {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
  },
  code: 504,
};

function lineOf(event: HistoryEvent): string {
  return `${JSON.stringify({ type: event.type, object: event.object })}\n`;
}

function respond(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
