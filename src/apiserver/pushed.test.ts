import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { describe, it } from "node:test";
import { SILENT, startTestServer } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";
import { clusterCertificates } from "./certificates.ts";
import { SourceBody } from "./exchange.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { listen } from "./http.ts";
import type { HttpListener } from "./http.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const certificates = await clusterCertificates({
  dir: undefined,
  apiServerNames: [],
  agentNames: [],
  clusterDomain: "cluster.local",
  now: Date.now,
});

type Handler = (request: ApiRequest, user: User | undefined) => Promise<ApiResponse>;

function serve(handler: Handler): Promise<HttpListener> {
  const { apiServer, authority } = certificates;
  const tls = { key: apiServer.key, cert: apiServer.certificate, clientCa: authority };
  return listen({ address: "127.0.0.1", port: 0, tls, handler, log: SILENT });
}

function clientOf({ port }: HttpListener): ClientHttp2Session {
  const { admin, authority } = certificates;
  const session = connect(`https://127.0.0.1:${String(port)}`, {
    ca: authority,
    cert: admin.certificate,
    key: admin.key,
  });
  session.on("error", () => {});
  return session;
}

async function openWatch(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const stream = session.request({ ":path": `${MAPS}?watch=1` });
  await once(stream, "response");
  return stream;
}

/** Reads the events of a watch until one of that name, or an error, is there. */
async function eventsUntil(stream: ClientHttp2Stream, last: string): Promise<readonly string[]> {
  const seen: string[] = [];
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      // A watch frame, by the protocol.
      const { type, object } = JSON.parse(line) as {
        readonly type: string;
        readonly object: { readonly code?: number; readonly metadata: { readonly name?: string } };
      };
      seen.push(type === "ERROR" ? `ERROR ${String(object.code)}` : (object.metadata.name ?? ""));
    }
    if (seen.at(-1) === last || seen.at(-1)?.startsWith("ERROR") === true) break;
  }
  return seen;
}

const create = (api: TestServer, name: string, text = "") =>
  api.call("POST", MAPS, { metadata: { name }, data: { text } });

describe("watches over a connection", () => {
  it("give each reader every change once and in order, however writes fall together", async () => {
    await using api = await startTestServer({});
    await using listener = await serve((request, user) => api.server.handle(request, user));
    const sessions = [clientOf(listener), clientOf(listener)];
    const streams = await Promise.all(
      Array.from({ length: 40 }, (_, i) => openWatch(sessions[i % 2] ?? clientOf(listener))),
    );
    const names = Array.from({ length: 60 }, (_, i) => `m${String(i)}`);
    for (let i = 0; i < names.length; i += 6) {
      await Promise.all(names.slice(i, i + 6).map((name) => create(api, name)));
    }
    await create(api, "last");
    const { text } = await api.call("GET", MAPS);
    // A list, by the protocol.
    const { items } = JSON.parse(text) as {
      readonly items: readonly {
        readonly metadata: { readonly name: string; readonly resourceVersion: string };
      }[];
    };
    const byVersion = items.toSorted(
      (a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion),
    );
    const expected = byVersion
      .map(({ metadata }) => metadata.name)
      .filter((name) => names.includes(name) || name === "last");
    for (const stream of streams) {
      const seen = await eventsUntil(stream, "last");
      assert.deepEqual(
        seen.filter((name) => expected.includes(name)),
        expected,
      );
    }
    for (const session of sessions) session.destroy();
  });

  it("cut off with a 410 who does not read, and hold nobody else up", async () => {
    await using api = await startTestServer({ bounds: { maxEvents: 16, maxBytes: 1e6 } });
    await using listener = await serve((request, user) => api.server.handle(request, user));
    const [slow, quick] = [clientOf(listener), clientOf(listener)];
    const unread = await openWatch(slow);
    const read = eventsUntil(await openWatch(quick), "last");
    for (let i = 0; i < 100; i++) await create(api, `m${String(i)}`, "x".repeat(10_000));
    await create(api, "last");
    const seen = await read;
    assert.ok(seen.includes("m0") && seen.includes("m99") && seen.at(-1) === "last", seen.join());
    const late = await eventsUntil(unread, "last");
    assert.equal(late.at(-1), "ERROR 410");
    assert.ok(
      late.length < 50,
      `${String(late.length)} events were kept for a reader that is gone`,
    );
    for (const session of [slow, quick]) session.destroy();
  });
});

describe("pushed()", () => {
  /** Endless chunks of 16 kB, or none: what was asked for, and whether it was closed. */
  function counting(isEndless: boolean) {
    const state = { asked: 0, closed: Promise.resolve(), isClosed: false };
    let close = (): void => {};
    state.closed = new Promise((resolve) => {
      close = resolve;
    });
    let isGone = false;
    let ready = (): void => {};
    const handler: Handler = async ({ signal }) => {
      signal.addEventListener("abort", () => {
        isGone = true;
        ready();
      });
      const source = {
        next: () => {
          state.asked++;
          if (isGone) return "end" as const;
          return isEndless ? Buffer.alloc(16_384, 0x61) : ("wait" as const);
        },
        onReady: (call: () => void) => {
          ready = call;
        },
        close: () => {
          state.isClosed = true;
          close();
        },
      };
      return { status: 200, headers: {}, body: new SourceBody(source) };
    };
    return { state, handler };
  }

  it("asks a source for no more than the reader takes", async () => {
    const { state, handler } = counting(true);
    await using listener = await serve(handler);
    const session = clientOf(listener);
    const stream = await openWatch(session);
    // An answer to a ping has passed all that could be sent before it.
    for (let i = 0; i < 5; i++)
      await new Promise<void>((resolve) => void session.ping(() => resolve()));
    const before = state.asked;
    assert.ok(before > 0 && before < 64, `${String(before)} chunks for a reader that takes none`);
    let taken = 0;
    for await (const chunk of stream) {
      taken += Buffer.from(chunk).length;
      if (taken > 4_000_000) break;
    }
    assert.ok(state.asked > before + 100);
    session.destroy();
    await state.closed;
  });

  it("closes a source whose reader goes", async () => {
    const { state, handler } = counting(false);
    await using listener = await serve(handler);
    const session = clientOf(listener);
    await openWatch(session);
    assert.equal(state.isClosed, false);
    session.destroy();
    await state.closed;
  });
});
