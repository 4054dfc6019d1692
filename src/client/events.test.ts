import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Event } from "../api/v1/event.ts";
import type { ObjectReference } from "../api/v1/reference.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createEventRecorder, referenceTo } from "./events.ts";
import type { EventRecorder } from "./events.ts";
import { createHttpTransport } from "./http-transport.ts";
import type { HttpTransport } from "./http-transport.ts";
import { createClient } from "./rest.ts";

const web: ObjectReference = {
  apiVersion: "v1",
  kind: "Service",
  namespace: "default",
  name: "web",
  uid: "u",
};
const START_MS = Date.UTC(2026, 2, 1, 10);

let server: Server;
let http: HttpTransport;
let events: EventRecorder;
let nowMs: number;
let logged: string[];
/** What the server holds, by name; and how it answers writes, when not by doing them. */
let held: Map<string, Event>;
let refuseWith: number | undefined;
let writes: string[];
/** Requests are answered only once this resolves. */
let mayAnswer: Promise<void>;

beforeEach(async () => {
  nowMs = START_MS;
  logged = [];
  writes = [];
  held = new Map();
  refuseWith = undefined;
  mayAnswer = Promise.resolve();
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "" } = request;
      writes.push(method);
      // What the recorder sends is an Event, or the fields of one that change.
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Event;
      const name = method === "POST" ? body.metadata.name : (url.split("/").at(-1) ?? "");
      const known = method === "POST" ? body : held.get(name);
      const status = refuseWith ?? (known === undefined ? 404 : 200);
      const event = known === undefined ? undefined : { ...known, ...body };
      if (status === 200 && event !== undefined) held.set(name, event);
      void mayAnswer.then(() => response.writeHead(status).end(JSON.stringify(event ?? {})));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  http = createHttpTransport({ server: `http://127.0.0.1:${String(port)}` });
  const write = (line: string): void => {
    logged.push(line.slice(25));
  };
  events = createEventRecorder({
    client: createClient({ transport: http.transport }),
    component: "test-controller",
    host: "local",
    now: () => nowMs,
    log: createLogger({ write, level: "info", format: "text", now: () => new Date(0) }),
    random: () => 0,
  });
});

afterEach(async () => {
  await events[Symbol.asyncDispose]();
  http[Symbol.dispose]();
  server.closeAllConnections();
  server.close();
});

describe("EventRecorder", () => {
  it("writes a core/v1 Event as kubectl shows it", async () => {
    events.record(web, "Warning", "NoAddress", "no address is free");
    await events.idle();
    const [event] = held.values();
    assert.match(event?.metadata.name ?? "", /^web\.[0-9a-f]{16}$/);
    const { metadata: _named, ...rest } = event ?? { metadata: {} };
    assert.deepEqual(rest, {
      apiVersion: "v1",
      kind: "Event",
      involvedObject: web,
      reason: "NoAddress",
      message: "no address is free",
      type: "Warning",
      count: 1,
      firstTimestamp: "2026-03-01T10:00:00Z",
      lastTimestamp: "2026-03-01T10:00:00Z",
      source: { component: "test-controller", host: "local" },
      reportingComponent: "test-controller",
      reportingInstance: "local",
    });
  });

  it("counts the same news within ten minutes, and begins anew after that", async () => {
    const record = async (atMs: number): Promise<void> => {
      nowMs = START_MS + atMs;
      events.record(web, "Normal", "Synced", "done");
      await events.idle();
    };
    for (const atMs of [0, 1_000, 600_000, 1_300_000]) await record(atMs);
    assert.deepEqual(writes, ["POST", "PATCH", "PATCH", "POST"]);
    const counts = [...held.values()].map((event) => [event.count, event.lastTimestamp]);
    assert.deepEqual(counts, [
      [3, "2026-03-01T10:10:00Z"],
      [1, "2026-03-01T10:21:40Z"],
    ]);
  });

  it("writes a storm of the same news at once", async () => {
    for (let i = 0; i < 50; i += 1) events.record(web, "Normal", "Synced", "done");
    events.record(web, "Normal", "Synced", "done otherwise");
    await events.idle();
    assert.deepEqual(
      [...held.values()].map((event) => event.count),
      [50, 1],
    );
  });

  it("makes one Event of many similar ones, and drops what is too many about an object", async () => {
    for (let i = 0; i < 12; i += 1) {
      events.record(web, "Warning", "Failed", `attempt ${String(i)}`);
      await events.idle();
    }
    const combined = [...held.values()].filter(({ message = "" }) => message.startsWith("("));
    assert.deepEqual(
      combined.map(({ message, count }) => [message, count]),
      [["(combined from similar events): attempt 11", 2]],
    );
    assert.equal(held.size, 11);
    for (let i = 0; i < 40; i += 1) {
      events.record(web, "Warning", `Reason${String(i)}`, "failed");
      await events.idle();
    }
    // 25 writes in all; the clock stands still.
    assert.equal(writes.length, 25);
    nowMs += 300_000;
    events.record(web, "Normal", "Synced", "done");
    await events.idle();
    assert.equal(writes.length, 26);
  });

  it("makes the Event again that somebody deleted", async () => {
    events.record(web, "Normal", "Synced", "done");
    await events.idle();
    held.clear();
    nowMs += 1_000;
    events.record(web, "Normal", "Synced", "done");
    await events.idle();
    assert.deepEqual(writes, ["POST", "PATCH", "POST"]);
    assert.equal(held.size, 1);
  });

  it("writes of an object of the cluster into the namespace default", async () => {
    events.record({ kind: "Node", name: "local" }, "Normal", "Ready", "is ready");
    await events.idle();
    assert.deepEqual(
      [...held.values()].map((event) => event.metadata.namespace),
      ["default"],
    );
  });

  it("does not repeat what the server refuses, and says so", async () => {
    refuseWith = 422;
    events.record(web, "Normal", "Synced", "done");
    await events.idle();
    assert.deepEqual(writes, ["POST"]);
    assert.match(logged[0] ?? "", /^WARN {2}event refused reason=Synced object=web/);
  });

  it("tries again while the server is away, and warns once", async () => {
    refuseWith = 503;
    events.record(web, "Normal", "Synced", "done");
    while (writes.length < 2) await once(server, "request");
    refuseWith = undefined;
    await events.idle();
    assert.equal(held.size, 1);
    assert.equal(logged.length, 1);
    assert.match(logged[0] ?? "", /^WARN {2}events cannot be written/);
  });

  it("drops what is beyond its bound, and says how much", async () => {
    let release = (): void => undefined;
    mayAnswer = new Promise((resolve) => {
      release = resolve;
    });
    for (let i = 0; i < 1_010; i += 1) {
      events.record({ ...web, uid: String(i) }, "Normal", "Synced", "done");
    }
    release();
    await events.idle();
    assert.equal(held.size, 1_000);
    assert.deepEqual(logged, [
      "WARN  dropping events waiting=1000",
      "INFO  dropped events dropped=10",
    ]);
  });

  it("writes what waits when it is disposed, and takes nothing after that", async () => {
    events.record(web, "Normal", "Synced", "done");
    await events[Symbol.asyncDispose]();
    events.record(web, "Normal", "Synced", "late");
    await events.idle();
    assert.equal(held.size, 1);
  });
});

describe("referenceTo()", () => {
  it("names the object and the part", () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", namespace: "n", uid: "u", resourceVersion: "5" },
    };
    assert.deepEqual(referenceTo(pod, "spec.containers{web}"), {
      apiVersion: "v1",
      kind: "Pod",
      name: "a",
      namespace: "n",
      uid: "u",
      resourceVersion: "5",
      fieldPath: "spec.containers{web}",
    });
  });
});
