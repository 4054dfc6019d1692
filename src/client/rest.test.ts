import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import type { ConfigMap } from "../api/v1/configmap.ts";
import { StatusError, hasReason } from "../api/machinery/status.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { ApiClient, WatchEvent } from "./client.ts";
import { createHttpTransport } from "./http-transport.ts";
import type { HttpTransport } from "./http-transport.ts";
import { createClient } from "./rest.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let server: Server;
let http: HttpTransport;
let client: ApiClient;
let seen: Seen[];
let warnings: string[];
/** What the server does with a request. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;

function answerJson(status: number, body: unknown): void {
  answer = (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
}

const handle: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    answer(request, response);
  });
};

beforeEach(async () => {
  seen = [];
  warnings = [];
  server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  http = createHttpTransport({
    server: `http://127.0.0.1:${String(port)}/below/`,
    bearerToken: () => Promise.resolve("secret"),
  });
  const log = createLogger({
    write: (line) => warnings.push(line.slice(25)),
    level: "info",
    format: "text",
    now: () => new Date(0),
  });
  client = createClient({ transport: http.transport, userAgent: "test/1", log });
});

afterEach(() => {
  http[Symbol.dispose]();
  server.closeAllConnections();
  server.close();
});

const stored: ConfigMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "default", name: "a", resourceVersion: "7" },
};
const ref = { namespace: "default", name: "a" };

describe("createClient()", () => {
  const calls: readonly [
    name: string,
    call: () => Promise<unknown>,
    request: string,
    contentType: string | undefined,
    body: unknown,
  ][] = [
    ["get", () => client.get(configMapKind, ref), "GET configmaps/a", undefined, undefined],
    [
      "create",
      () =>
        client.create(configMapKind, { metadata: { namespace: "default", generateName: "a-" } }),
      "POST configmaps",
      "application/json",
      {
        metadata: { namespace: "default", generateName: "a-" },
        apiVersion: "v1",
        kind: "ConfigMap",
      },
    ],
    [
      "update",
      () => client.update(configMapKind, stored),
      "PUT configmaps/a",
      "application/json",
      stored,
    ],
    [
      "updateStatus",
      () => client.updateStatus(configMapKind, stored),
      "PUT configmaps/a/status",
      "application/json",
      stored,
    ],
    [
      "merge patch",
      () => client.patch(configMapKind, ref, { kind: "merge", body: { data: null } }),
      "PATCH configmaps/a",
      "application/merge-patch+json",
      { data: null },
    ],
    [
      "strategic patch of a subresource",
      () =>
        client.patch(
          configMapKind,
          ref,
          { kind: "strategic", body: {} },
          { subresource: "status" },
        ),
      "PATCH configmaps/a/status",
      "application/strategic-merge-patch+json",
      {},
    ],
    [
      "JSON patch",
      () => client.patch(configMapKind, ref, { kind: "json", body: [] }),
      "PATCH configmaps/a",
      "application/json-patch+json",
      [],
    ],
    [
      "delete with preconditions",
      () =>
        client.delete(configMapKind, ref, { gracePeriodSeconds: 0, preconditions: { uid: "u" } }),
      "DELETE configmaps/a",
      "application/json",
      {
        kind: "DeleteOptions",
        apiVersion: "v1",
        gracePeriodSeconds: 0,
        preconditions: { uid: "u" },
      },
    ],
    [
      "deleteCollection",
      () =>
        client.deleteCollection(configMapKind, {
          namespace: "default",
          labelSelector: "a in (b,c)",
        }),
      "DELETE configmaps?labelSelector=a+in+%28b%2Cc%29",
      "application/json",
      { kind: "DeleteOptions", apiVersion: "v1" },
    ],
    [
      "createSubresource",
      () => client.createSubresource(configMapKind, ref, "binding", { target: {} }),
      "POST configmaps/a/binding",
      "application/json",
      { target: {} },
    ],
  ];
  for (const [name, call, request, contentType, body] of calls) {
    it(`sends ${name}`, async () => {
      answerJson(200, stored);
      await call();
      const [sent] = seen;
      const [method, path] = request.split(" ");
      assert.equal(sent?.method, method);
      assert.equal(sent?.url, `/below/api/v1/namespaces/default/${path ?? ""}`);
      assert.equal(sent?.headers["content-type"], contentType);
      assert.equal(sent?.headers["user-agent"], "test/1");
      assert.equal(sent?.headers.authorization, "Bearer secret");
      assert.deepEqual(sent?.body === "" ? undefined : JSON.parse(sent?.body ?? ""), body);
    });
  }

  it("reads kinds of a group below /apis, and those of the cluster without a namespace", async () => {
    answerJson(200, stored);
    const kind = {
      ...configMapKind,
      group: "storage.k8s.io",
      plural: "classes",
      namespaced: false,
    };
    await client.get(kind, { name: "a b" });
    assert.equal(seen[0]?.url, "/below/apis/storage.k8s.io/v1/classes/a%20b");
  });

  it("refuses a name that needs a namespace and has none", async () => {
    await assert.rejects(
      client.get(configMapKind, { name: "a" }),
      /ConfigMap "a": a namespace is needed/,
    );
    assert.equal(seen.length, 0);
  });

  it("rejects with the server's Status", async () => {
    answerJson(409, {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "changed",
      reason: "Conflict",
      details: { name: "a" },
      code: 409,
    });
    await assert.rejects(client.update(configMapKind, stored), (error) => {
      assert.ok(error instanceof StatusError && hasReason(error, "Conflict"));
      assert.equal(error.message, "changed");
      assert.equal(error.status.details?.name, "a");
      return true;
    });
  });

  it("rejects with a Status of its own for an answer that is not the API's, quoting it", async () => {
    answer = (_request, response) => {
      response.writeHead(503, { "retry-after": "3" }).end("<html>upstream down</html>\n");
    };
    await assert.rejects(client.get(configMapKind, ref), (error) => {
      assert.ok(error instanceof StatusError && hasReason(error, "ServiceUnavailable"));
      assert.match(error.message, /answered 503 with "<html>upstream down<\/html>"/);
      assert.equal(error.status.details?.retryAfterSeconds, 3);
      return true;
    });
  });

  it("rejects an answer of 200 that is not JSON", async () => {
    answer = (_request, response) => response.end("<html>login here</html>");
    await assert.rejects(client.get(configMapKind, ref), /not JSON: "<html>login here/);
  });

  it("lists anew in one answer when the pages' version expires between two pages", async () => {
    answer = (request, response) => {
      const query = new URL(request.url ?? "", "http://x").searchParams;
      if (query.has("continue")) response.writeHead(410).end("too old");
      else {
        const metadata = query.has("limit")
          ? { resourceVersion: "5", continue: "t" }
          : { resourceVersion: "9" };
        response.end(JSON.stringify({ metadata, items: [{ metadata: { name: "a" } }] }));
      }
    };
    const { items, resourceVersion } = await client.list(configMapKind);
    assert.equal(resourceVersion, "9");
    assert.deepEqual(items, [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } }]);
  });

  it("logs each of the server's warnings once", async () => {
    answer = (_request, response) => {
      const warning = ['299 - "v1 Endpoints is deprecated"', String.raw`299 - "say \"hi\", twice"`];
      response.setHeader("warning", warning).end(JSON.stringify(stored));
    };
    await client.get(configMapKind, ref);
    await client.get(configMapKind, ref);
    assert.deepEqual(warnings, [
      'WARN  API warning text="v1 Endpoints is deprecated"',
      String.raw`WARN  API warning text="say \"hi\", twice"`,
    ]);
  });

  it("ends a call with the signal's reason, and leaves no listener", async () => {
    const controller = new AbortController();
    answer = () => {
      controller.abort(new Error("stop"));
    };
    await assert.rejects(client.get(configMapKind, ref, { signal: controller.signal }), /stop/);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("rejects with the socket's code when the server is not there", async () => {
    const gone = createHttpTransport({ server: "http://127.0.0.1:1" });
    const call = createClient({ transport: gone.transport }).get(configMapKind, ref);
    await assert.rejects(call, { code: "ECONNREFUSED" });
  });

  it("sends a GET again when the connection that was kept for reuse is closed", async () => {
    answerJson(200, stored);
    await client.get(configMapKind, ref);
    const [first] = seen;
    let isFirst = true;
    answer = (request, response) => {
      if (isFirst) request.socket.destroy();
      else response.end(JSON.stringify(stored));
      isFirst = false;
    };
    assert.equal((await client.get(configMapKind, ref)).metadata.name, "a");
    assert.deepEqual(
      seen.map((request) => request.url),
      [first?.url, first?.url, first?.url],
    );
  });
});

describe("watch()", () => {
  const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

  async function collect(watch: AsyncIterable<WatchEvent<ConfigMap>>): Promise<string[]> {
    const events: string[] = [];
    for await (const { type, object } of watch) events.push(`${type} ${object.metadata.name}`);
    return events;
  }

  it("gives events as they come, and ends with the server's end", async () => {
    answer = (_request, response) => {
      response.write(line("ADDED", stored) + line("MODIFIED", stored).slice(0, 20));
      response.end(`${line("MODIFIED", stored).slice(20)}\n${line("DELETED", stored)}{"type":"cut`);
    };
    const events = await collect(client.watch(configMapKind, { resourceVersion: "1" }));
    assert.deepEqual(events, ["ADDED a", "MODIFIED a", "DELETED a"]);
  });

  it("rejects with Expired, whether as an answer or as an event", async () => {
    const status = { kind: "Status", reason: "Expired", code: 410, message: "too old" };
    answerJson(410, status);
    const watch = (): Promise<string[]> =>
      collect(client.watch(configMapKind, { resourceVersion: "1" }));
    await assert.rejects(watch(), (error) => hasReason(error, "Expired"));
    answer = (_request, response) => response.end(line("ERROR", status));
    await assert.rejects(watch(), (error) => hasReason(error, "Expired"));
  });

  it("refuses what is no event, quoting it", async () => {
    answer = (_request, response) => response.end('{"kind":"ConfigMapList"}\n');
    const watch = collect(client.watch(configMapKind, { resourceVersion: "1" }));
    await assert.rejects(watch, /not a watch event: \{"kind":"ConfigMapList"\}/);
  });

  it("says when the server has accepted, before any event", async () => {
    let open: ServerResponse | undefined;
    answer = (_request, response) => {
      response.flushHeaders();
      open = response;
    };
    const opened = (): void => {
      open?.end(line("ADDED", stored));
    };
    const events = await collect(client.watch(configMapKind, { resourceVersion: "1", opened }));
    assert.deepEqual(events, ["ADDED a"]);
  });

  it("closes its connection when the consumer leaves, and leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    let closed: Promise<unknown> = Promise.resolve();
    answer = (_request, response) => {
      closed = once(response, "close");
      response.write(line("ADDED", stored));
    };
    for await (const _event of client.watch(configMapKind, { resourceVersion: "1", signal })) break;
    await closed;
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("rejects with the signal's reason while it waits", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    answer = (_request, response) => {
      response.flushHeaders();
    };
    const opened = (): void => {
      controller.abort(new Error("stop"));
    };
    const watch = collect(client.watch(configMapKind, { resourceVersion: "1", signal, opened }));
    await assert.rejects(watch, /^Error: stop$/);
  });
});
