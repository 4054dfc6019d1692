import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import type { ConfigMap } from "../api/v1/configmap.ts";
import { ListWatchServer } from "../../test/client/list-watch-server.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createHttpTransport } from "./http-transport.ts";
import type { Informer } from "./informer.ts";
import { createClient } from "./rest.ts";
import { createInformers } from "./shared-informers.ts";
import type { InformersDeps } from "./shared-informers.ts";

const never = new AbortController().signal;

function key(name: string): ObjectKey {
  return objectKey({ namespace: "default", name });
}

/** A server, an informer on it, and what the informer said, through real sockets. */
class Stage implements AsyncDisposable {
  readonly server: ListWatchServer;
  readonly informer: Informer<ConfigMap>;
  readonly logged: string[] = [];
  /** `added a`, `changed a`, `deleted a`, in order. */
  readonly changes: string[] = [];
  readonly #close: () => Promise<void>;
  #waiters: (() => void)[] = [];

  constructor(server: ListWatchServer, more: Partial<InformersDeps>) {
    this.server = server;
    const http = createHttpTransport({ server: server.url });
    const write = (line: string): void => {
      this.logged.push(line.replace(/^\S+ /, ""));
      this.#wake();
    };
    const log = createLogger({ write, level: "info", format: "text", now: () => new Date(0) });
    const client = createClient({ transport: http.transport, log });
    const informers = createInformers({ client, log, random: () => 0, ...more });
    this.informer = informers.of(configMapKind);
    this.informer.onChange(({ key: changed, before, after }) => {
      const what = before === undefined ? "added" : after === undefined ? "deleted" : "changed";
      this.changes.push(`${what} ${changed.slice("default/".length)}`);
      this.#wake();
    });
    this.#close = async () => {
      await informers[Symbol.asyncDispose]();
      http[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    };
  }

  static async start(
    prepare: (server: ListWatchServer) => void = () => undefined,
    more: Partial<InformersDeps> = {},
  ): Promise<Stage> {
    const server = await ListWatchServer.start();
    prepare(server);
    return new Stage(server, more);
  }

  /** Resolves when it holds; looked at after every change and every log line. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** The informer's copy, as `name -> data`. */
  contents(): Record<string, unknown> {
    const all = this.informer.list().map((object) => [object.metadata.name, object.data] as const);
    return Object.fromEntries(all);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

describe("Informer", () => {
  it("lists, then follows every change", async () => {
    await using stage = await Stage.start((server) => {
      server.put("a", { v: "1" });
    });
    assert.equal(stage.informer.hasSynced, false);
    await stage.informer.synced(never);
    assert.equal(stage.informer.hasSynced, true);
    assert.deepEqual(stage.contents(), { a: { v: "1" } });

    await stage.server.until(() => stage.server.openWatches === 1);
    stage.server.put("b", { v: "1" });
    stage.server.put("a", { v: "2" });
    stage.server.remove("b");
    await stage.until(() => stage.changes.length === 4);
    assert.deepEqual(stage.changes, ["added a", "added b", "changed a", "deleted b"]);
    assert.deepEqual(stage.informer.get(key("a"))?.data, { v: "2" });
    assert.equal(stage.informer.get(key("b")), undefined);
  });

  it("reads a list page by page, and fills in what servers leave out of its items", async () => {
    await using stage = await Stage.start((server) => {
      for (let i = 0; i < 1001; i += 1) server.put(`m${String(i)}`, {});
    });
    await stage.informer.synced(never);
    assert.equal(stage.informer.list().length, 1001);
    const pages = stage.server.requests.filter((url) => url.includes("limit=500"));
    assert.equal(pages.length, 3);
    const object = stage.informer.get(key("m1000"));
    assert.deepEqual([object?.apiVersion, object?.kind], ["v1", "ConfigMap"]);
  });

  it("asks for bookmarks and an end after 5 to 10 minutes", async () => {
    await using stage = await Stage.start();
    await stage.server.until(() => stage.server.openWatches === 1);
    const watch = stage.server.requests.find((url) => url.includes("watch=true"));
    assert.match(watch ?? "", /allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=300$/);
  });

  it("drops managed fields", async () => {
    await using stage = await Stage.start((server) => {
      server.put("a", { v: "1" });
    });
    await stage.informer.synced(never);
    const object = stage.informer.get(key("a"));
    assert.equal(object?.metadata.managedFields, undefined);
    assert.equal(object?.metadata.uid, "uid-2");
  });

  it("keeps only what it is told to when listeners have heard of an object, and still knows its version", async () => {
    const heard: unknown[] = [];
    await using stage = await Stage.start(
      (server) => {
        server.put("a", { v: "1" });
      },
      { remnant: (object) => ({ ...object, data: undefined }) },
    );
    stage.informer.onChange(({ before, after }) => heard.push([before?.data, after?.data]));
    await stage.informer.synced(never);
    await stage.server.until(() => stage.server.openWatches === 1);
    stage.server.put("a", { v: "2" });
    await stage.until(() => stage.changes.length === 2);
    assert.deepEqual(heard, [
      [undefined, { v: "1" }],
      [undefined, { v: "2" }],
    ]);
    assert.deepEqual(stage.contents(), { a: undefined });
    // A list that comes again tells only of what changed meanwhile.
    await stage.server.shutDown();
    stage.server.put("b", { v: "1" });
    stage.server.compact();
    await stage.server.listen();
    await stage.until(() => stage.changes.length === 3);
    assert.deepEqual(stage.changes, ["added a", "changed a", "added b"]);
  });

  it("makes each object smaller when its page is in, before the next page is asked for", async () => {
    const asked: number[] = [];
    const seen: { server?: ListWatchServer } = {};
    await using stage = await Stage.start(
      (server) => {
        seen.server = server;
        for (let i = 0; i < 501; i += 1) server.put(`m${String(i)}`, {});
      },
      {
        transform: (_, object) => {
          asked.push(seen.server?.requests.length ?? 0);
          return object;
        },
      },
    );
    await stage.informer.synced(never);
    assert.deepEqual([asked.length, asked[0], asked[500]], [501, 1, 2]);
  });

  it("watches again without a list when the server ends the watch, and misses nothing", async () => {
    await using stage = await Stage.start();
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    server.endWatches();
    await server.until(() => server.openWatches === 0);
    server.put("a", { v: "1" });
    await stage.until(() => stage.changes.length === 1);
    assert.equal(server.listCount, 1);
    assert.deepEqual(stage.logged, []);
  });

  it("watches again from where it was when the connection is cut, and warns once", async () => {
    await using stage = await Stage.start();
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    server.put("a", { v: "1" });
    await stage.until(() => stage.changes.length === 1);
    server.cutWatches();
    await stage.until(() => stage.informer.lastError !== undefined);
    server.put("b", { v: "1" });
    await stage.until(() => stage.changes.length === 2 && stage.informer.lastError === undefined);
    assert.deepEqual(stage.changes, ["added a", "added b"]);
    assert.equal(server.listCount, 1);
    assert.match(stage.logged[0] ?? "", /^WARN {2}not following the API resource=configmaps/);
    assert.match(stage.logged[1] ?? "", /^INFO {2}following the API again/);
  });

  it("tells what was deleted, made and changed while the server was away and forgot its history", async () => {
    await using stage = await Stage.start((server) => {
      for (const name of ["kept", "gone", "new-data"]) server.put(name, { v: "1" });
    });
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    assert.deepEqual(stage.changes.splice(0).length, 3);
    await server.shutDown();
    server.remove("gone");
    server.put("new-data", { v: "2" });
    server.put("made", { v: "1" });
    server.compact();
    await server.listen();
    await stage.until(() => stage.changes.length === 3);
    assert.deepEqual(stage.changes.toSorted(), ["added made", "changed new-data", "deleted gone"]);
    assert.deepEqual(stage.contents(), server.contents());
    const warnings = stage.logged.filter((line) => line.startsWith("WARN"));
    assert.equal(warnings.length, 1);
  });

  it("lists again when the server comes back as one that never saw the version", async () => {
    await using stage = await Stage.start((server) => {
      for (const name of ["a", "b"]) server.put(name, { v: "1" });
    });
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    await server.shutDown();
    server.forgetEverything();
    await server.listen();
    await stage.until(() => stage.changes.length === 4);
    assert.deepEqual(stage.changes.slice(2), ["deleted a", "deleted b"]);
  });

  it("watches from the last bookmark, so that old history is not needed", async () => {
    await using stage = await Stage.start();
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    server.compact();
    server.bookmark();
    const { version } = server;
    server.endWatches();
    await server.until(() => server.watchCount === 2);
    assert.match(server.requests.at(-1) ?? "", new RegExp(`resourceVersion=${version}&`));
    assert.equal(server.listCount, 1);
  });

  it("keeps its copy and says why while the server refuses, then goes on", async () => {
    await using stage = await Stage.start((server) => {
      server.failWith({ status: 503, body: "<html>starting</html>" });
    });
    await stage.server.until(() => stage.server.requests.length === 3);
    assert.equal(stage.informer.hasSynced, false);
    assert.match(String(stage.informer.lastError), /503 with "<html>starting/);
    stage.server.put("a", {});
    stage.server.failWith();
    await stage.informer.synced(never);
    await stage.until(() => stage.informer.lastError === undefined);
    assert.deepEqual(stage.contents(), { a: {} });
  });

  it("survives an event that is cut in the middle of a character", async () => {
    await using stage = await Stage.start();
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: "default", name: "a", uid: "u", resourceVersion: "9" },
      data: { v: "größe €" },
    };
    const bytes = new TextEncoder().encode(`${JSON.stringify({ type: "ADDED", object })}\n`);
    for (const byte of bytes) {
      server.sendToWatches(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await stage.until(() => stage.changes.length === 1);
    assert.deepEqual(stage.contents(), { a: { v: "größe €" } });
  });

  it("tells a late listener of what is there, and a disposed one nothing", async () => {
    await using stage = await Stage.start((server) => {
      server.put("a", {});
    });
    await stage.server.until(() => stage.server.openWatches === 1);
    const heard: string[] = [];
    const listening = stage.informer.onChange((change) => heard.push(change.key));
    assert.deepEqual(heard, ["default/a"]);
    listening[Symbol.dispose]();
    stage.server.put("b", {});
    await stage.until(() => stage.changes.length === 2);
    assert.deepEqual(heard, ["default/a"]);
  });

  it("logs a listener that throws, and tells the others all the same", async () => {
    await using stage = await Stage.start();
    stage.informer.onChange(() => assert.fail("a defect"));
    const heard: string[] = [];
    stage.informer.onChange((change) => heard.push(change.key));
    await stage.server.until(() => stage.server.openWatches === 1);
    stage.server.put("a", {});
    await stage.until(() => heard.length === 1);
    assert.match(
      stage.logged[0] ?? "",
      /^ERROR informer listener threw .*key=default\/a.*a defect/,
    );
  });

  it("rejects synced() with the signal's reason", async () => {
    await using stage = await Stage.start((server) => {
      server.failWith({ status: 500, body: "" });
    });
    const controller = new AbortController();
    const syncing = stage.informer.synced(controller.signal);
    controller.abort(new Error("stop"));
    await assert.rejects(syncing, /stop/);
  });

  it("closes its connections when disposed", async () => {
    const stage = await Stage.start();
    const { server } = stage;
    await server.until(() => server.openWatches === 1);
    const closed = server.until(() => server.openWatches === 0);
    await stage[Symbol.asyncDispose]();
    await closed;
  });

  it("ends up with what the server holds, whatever happens on the way", async () => {
    const name = fc.constantFrom("a", "b", "c");
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant("put" as const), name, v: fc.nat(3) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), name }) },
      fc.record({ kind: fc.constantFrom("compact", "bookmark", "endWatches", "cutWatches") }),
      fc.record({ kind: fc.constant("turn" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await using stage = await Stage.start();
        const { server, informer } = stage;
        informer.addIndex("v", (object) => [object.data?.["v"] ?? ""]);
        for (const s of steps) {
          if (s.kind === "put") server.put(s.name, { v: String(s.v) });
          else if (s.kind === "remove") server.remove(s.name);
          else if (s.kind === "turn") await server.until(() => server.openWatches === 1);
          else server[s.kind]();
        }
        server.put("last", { v: "last" });
        await stage.until(() => informer.get(key("last")) !== undefined);
        assert.deepEqual(stage.contents(), server.contents());
        for (const object of informer.list()) {
          assert.ok(informer.byIndex("v", object.data?.["v"] ?? "").includes(object));
        }
      }),
      { numRuns: 30 },
    );
  });
});
