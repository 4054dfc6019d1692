import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { request as requestHttp1 } from "node:https";
import type { IncomingMessage } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { SILENT } from "../../test/apiserver/test-server.ts";
import { clusterCertificates } from "./certificates.ts";
import type { ClusterCertificates } from "./certificates.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiRequest, ApiResponse, User } from "./exchange.ts";
import { ListenError, listen } from "./http.ts";
import { MAX_BODY_BYTES } from "./incoming-body.ts";
import type { HttpListener, ListenOptions } from "./http.ts";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";

const certificates = await clusterCertificates({
  dir: undefined,
  apiServerNames: [],
  agentNames: [],
  clusterDomain: "cluster.local",
  now: Date.now,
});

type Handler = (request: ApiRequest, user: User | undefined) => Promise<ApiResponse>;

function start(handler: Handler, port = 0, patience?: ListenOptions["patience"]) {
  const { apiServer, authority } = certificates;
  const tls = { key: apiServer.key, cert: apiServer.certificate, clientCa: authority };
  return listen({ address: "127.0.0.1", port, tls, handler, log: SILENT, patience });
}

const echo: Handler = async (request, user) =>
  jsonResponse(200, {
    method: request.method,
    url: request.url,
    body: Buffer.from(request.body ?? []).toString(),
    user: user ?? null,
  });

function credentials(which: keyof ClusterCertificates | "none") {
  const pair = which === "none" ? undefined : certificates[which];
  const own = typeof pair === "object" ? { cert: pair.certificate, key: pair.key } : {};
  return { ca: certificates.authority, ...own };
}

async function http1(
  { port }: HttpListener,
  options: {
    readonly method?: string;
    readonly path?: string;
    readonly as?: "admin" | "none";
  } = {},
  body?: string,
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  const outgoing = requestHttp1({
    host: "127.0.0.1",
    port,
    method: options.method ?? "GET",
    path: options.path ?? "/",
    agent: false,
    ...credentials(options.as ?? "admin"),
  });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  return { status: incoming.statusCode, text };
}

function http2({ port }: HttpListener): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${String(port)}`, credentials("admin"));
  session.on("error", () => {});
  return session;
}

/** It has ended, in order or not. */
function closed(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  return new Promise((resolve) => {
    socket.resume().once("close", () => resolve());
  });
}

async function readStream(stream: ClientHttp2Stream): Promise<{ status: number; text: string }> {
  const [headers] = (await once(stream, "response")) as [
    IncomingHttpHeaders & { ":status": number },
  ];
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return { status: headers[":status"], text };
}

/** A watch that says one word and then waits for its reader to go. */
function endless(state: { ended: () => void }): Handler {
  return async ({ signal }) => ({
    status: 200,
    headers: { "content-type": "text/plain" },
    body: (async function* () {
      yield Buffer.from("hello");
      await once(signal, "abort");
      state.ended();
    })(),
  });
}

describe("listen()", () => {
  it("serves HTTP/1.1 and HTTP/2 on one port, with the certificate's user", async () => {
    await using listener = await start(echo);
    const user = {
      name: "kubernetes-admin",
      groups: ["system:masters", "system:authenticated"],
    };
    const over1 = await http1(listener, { method: "POST", path: "/x?y=1" }, "body");
    assert.deepEqual(JSON.parse(over1.text), { method: "POST", url: "/x?y=1", body: "body", user });
    const session = http2(listener);
    const over2 = await readStream(session.request({ ":path": "/z" }));
    assert.deepEqual(JSON.parse(over2.text), { method: "GET", url: "/z", body: "", user });
    session.close();
  });

  it("serves connections that came in at a Unix socket, with the certificate's user", async () => {
    await using listener = await start(echo);
    const path = join(mkdtempSync(join(tmpdir(), "portolan-http-")), "socket");
    const door = createServer({ allowHalfOpen: true }, (near) => listener.accept(near));
    door.listen(path);
    await once(door, "listening");
    const secure = (): TLSSocket =>
      connectTls({ path, servername: "localhost", ALPNProtocols: ["h2"], ...credentials("admin") });
    const session = connectHttp2("https://localhost", { createConnection: secure });
    const second = await readStream(session.request({ ":path": "/two" }));
    const outgoing = requestHttp1({
      path: "/one",

      createConnection: () =>
        connectTls({ path, servername: "localhost", ...credentials("admin") }),
    });
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    let first = "";
    for await (const chunk of incoming) first += String(chunk);
    const told = [first, second.text].map((text) => {
      const { url, user } = JSON.parse(text) as { url: string; user: User | null };
      return [url, user?.groups.includes("system:masters")];
    });
    assert.deepEqual(told, [
      ["/one", true],
      ["/two", true],
    ]);
    session.destroy();
    door.close();
    await once(door, "close");
    rmSync(dirname(path), { recursive: true });
  });

  it("knows no user without a certificate of ours", async () => {
    await using listener = await start(echo);
    const { text } = await http1(listener, { as: "none" });
    assert.match(text, /"user":null/);
  });

  it("refuses a body beyond 3 MiB with 413, declared or not", async () => {
    await using listener = await start(echo);
    const large = "x".repeat(MAX_BODY_BYTES + 1);
    const session = http2(listener);
    const declared = session.request({
      ":method": "POST",
      ":path": "/",
      "content-length": String(large.length),
    });
    assert.equal((await readStream(declared)).status, 413);
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.on("error", () => {});
    stream.write(large);
    assert.equal((await readStream(stream)).status, 413);
    const exact = session.request({ ":method": "POST", ":path": "/" });
    exact.end("x".repeat(MAX_BODY_BYTES));
    assert.equal((await readStream(exact)).status, 200);
    session.destroy();
  });

  it("refuses a body beyond 3 MiB over HTTP/1.1 without waiting for its end, and ends the connection", async () => {
    await using listener = await start(echo);
    const outgoing = requestHttp1({
      host: "127.0.0.1",
      port: listener.port,
      method: "POST",
      path: "/",
      agent: false,
      ...credentials("admin"),
    });
    outgoing.on("error", () => {});
    // Without a length, and never ended.
    outgoing.write("x".repeat(MAX_BODY_BYTES + 1));
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    assert.equal(incoming.statusCode, 413);
    assert.equal(incoming.headers.connection, "close");
    outgoing.destroy();
  });

  it("answers a handler that fails with 500, and goes on", async () => {
    let calls = 0;
    await using listener = await start(async (...args) => {
      calls++;
      if (calls === 1) throw new Error("broken");
      return echo(...args);
    });
    const failed = await http1(listener);
    assert.equal(failed.status, 500);
    assert.match(failed.text, /InternalError/);
    assert.equal((await http1(listener)).status, 200);
  });

  it("tells the handler when a reader goes, over HTTP/2 and HTTP/1.1", async () => {
    let ended = () => {};
    const state = { ended: () => ended() };
    await using listener = await start(endless(state));
    const session = http2(listener);
    const end2 = new Promise<void>((resolve) => (ended = resolve));
    const stream = session.request({ ":path": "/" });
    await once(stream, "data");
    stream.close();
    await end2;
    session.close();
    const end1 = new Promise<void>((resolve) => (ended = resolve));
    const outgoing = requestHttp1({
      host: "127.0.0.1",
      port: listener.port,
      agent: false,
      ...credentials("admin"),
    });
    outgoing.on("error", () => {});
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    await once(incoming, "data");
    outgoing.destroy();
    await end1;
  });

  it("reads no more from a body than the reader takes", async () => {
    let produced = 0;
    const block = Buffer.alloc(64 * 1024);
    await using listener = await start(async ({ signal }) => ({
      status: 200,
      headers: {},
      body: (async function* () {
        while (!signal.aborted && produced < 10_000) {
          produced++;
          yield block;
        }
      })(),
    }));
    const session = http2(listener);
    const stream = session.request({ ":path": "/" });
    await once(stream, "readable");
    // Other requests on the connection still get through, and nothing is made that nobody reads.
    const before = produced;
    const ping = new Promise<void>((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve())),
    );
    await ping;
    assert.ok(before < 200, `made ${String(before)} blocks for a reader that took none`);
    stream.close();
    session.destroy();
  });

  it("announces the end, and cuts what does not end by itself", async () => {
    const listener = await start(endless({ ended: () => {} }));
    const session = http2(listener);
    const goaway = once(session, "goaway");
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => {});
    await once(stream, "data");
    const closed = once(session, "close");
    await listener[Symbol.asyncDispose]();
    await goaway;
    await closed;
    await assert.rejects(http1(listener), /ECONNREFUSED|EADDRNOTAVAIL/);
  });

  it("ends while clients are in the middle of their handshakes, gone or silent", async () => {
    const listener = await start(echo);
    const silent = connectTcp(listener.port, "127.0.0.1");
    const gone = connectTcp(listener.port, "127.0.0.1");
    await Promise.all([once(silent, "connect"), once(gone, "connect")]);
    // The head of a TLS record whose rest never comes.
    gone.end(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    const ended = [closed(silent), closed(gone)];
    await listener[Symbol.asyncDispose]();
    await Promise.all(ended);
  });

  it("waits only so long for a handshake", async () => {
    const patience = { headMs: 50, bodyMs: 5000, halfClosedMs: 5000 };
    await using listener = await start(echo, 0, patience);
    const silent = connectTcp(listener.port, "127.0.0.1");
    await closed(silent);
    assert.equal((await http1(listener)).status, 200);
  });

  it("names the address that is in use, and the way out", async () => {
    await using first = await start(echo);
    await assert.rejects(start(echo, first.port), (error) => {
      assert.ok(error instanceof ListenError);
      assert.equal(error.code, "EADDRINUSE");
      assert.match(
        error.message,
        new RegExp(`127\\.0\\.0\\.1:${String(first.port)}: the port is in use; end what uses it`),
      );
      return true;
    });
  });

  it("answers clients that close their side once they have asked", async () => {
    await using listener = await start(async (request, user) => {
      // Turns of the loop, in which the end of the client's side arrives.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      return echo(request, user);
    });
    for (const [method, body] of [
      ["GET", ""],
      ["POST", "body"],
    ] as const) {
      const head = `${method} /x HTTP/1.1\r\nhost: a\r\ncontent-length: ${String(body.length)}\r\n\r\n`;
      const text = await sendAndClose(listener, head + body);
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(text, new RegExp(`"method":"${method}".*"body":"${body}"`));
    }
  });

  it("ends an endless answer to a client that has closed its side", async () => {
    const state = { ended: () => {} };
    const ended = new Promise<void>((resolve) => (state.ended = resolve));
    const handler = endless(state);
    const patience = { headMs: 5000, bodyMs: 5000, halfClosedMs: 50 };
    await using listener = await start(handler, 0, patience);
    const text = await sendAndClose(listener, "GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
    assert.match(text, /hello/);
    await ended;
  });

  it("answers with a Status what is no request", async () => {
    await using listener = await start(echo);
    for (const [bytes, code, reason] of [
      ["\0\r\n\r\n", 400, "BadRequest"],
      ["GET / HTTP/1.1\r\nho", 400, "BadRequest"],
      ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf", 400, "BadRequest"],
      [
        `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
        431,
        "RequestEntityTooLarge",
      ],
    ] as const) {
      checkStatus(await sendAndClose(listener, bytes), code, reason);
    }
  });

  it("waits only so long for a head and for a body", async () => {
    const patience = { headMs: 50, bodyMs: 50, halfClosedMs: 50 };
    await using listener = await start(echo, 0, patience);
    const head = "POST / HTTP/1.1\r\nhost: a\r\n";
    checkStatus(await sendAndWait(listener, head), 408, "Timeout");
    checkStatus(
      await sendAndWait(listener, `${head}content-length: 9\r\n\r\nhalf`),
      400,
      "BadRequest",
    );
  });
});

function sendAndClose(listener: HttpListener, text: string): Promise<string> {
  return exchange(listener, (socket) => socket.end(text));
}

function sendAndWait(listener: HttpListener, text: string): Promise<string> {
  return exchange(listener, (socket) => socket.write(text));
}

/** All that comes until the server closes the connection. */
async function exchange(
  { port }: HttpListener,
  send: (socket: TLSSocket) => void,
): Promise<string> {
  const options = {
    host: "127.0.0.1",
    port,
    ALPNProtocols: ["http/1.1"],
    allowHalfOpen: true,
    ...credentials("admin"),
  };
  const socket = connectTls(options);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.on("end", () => socket.end());
  socket.on("error", () => socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await once(socket, "secureConnect");
  send(socket);
  await closed;
  return text;
}

function checkStatus(text: string, code: number, reason: string): void {
  assert.match(text, new RegExp(`^HTTP/1\\.1 ${String(code)} `));
  const status: unknown = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
  assert.ok(typeof status === "object" && status !== null);
  const { kind, code: stated, reason: why } = { ...status } as Readonly<Record<string, unknown>>;
  assert.deepEqual({ kind, stated, why }, { kind: "Status", stated: code, why: reason });
}
