import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

interface Event {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion: string;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly rows?: readonly { readonly cells: readonly unknown[] }[];
    readonly columnDefinitions?: readonly unknown[] | null;
  };
}

/** Reads the events of a watch one by one. */
class Watching {
  readonly #abort = new AbortController();
  readonly #events: AsyncIterator<Event>;

  private constructor(body: AsyncIterable<Uint8Array>, abort: AbortController) {
    this.#abort = abort;
    this.#events = eventsOf(body);
  }

  static async open(api: TestServer, url: string, accept = "application/json"): Promise<Watching> {
    const abort = new AbortController();
    const response = await api.open(url, { headers: { accept }, signal: abort.signal });
    assert.equal(response.status, 200);
    return new Watching(response.body, abort);
  }

  async next(): Promise<Event> {
    const { value, done } = await this.#events.next();
    if (done === true) throw new Error("the watch ended");
    return value;
  }

  /** The next events as `TYPE name`. */
  async take(count: number): Promise<readonly string[]> {
    const seen: string[] = [];
    while (seen.length < count) {
      const { type, object } = await this.next();
      seen.push(`${type} ${object.metadata.name ?? ""}`.trim());
    }
    return seen;
  }

  async ended(): Promise<boolean> {
    return (await this.#events.next()).done === true;
  }

  close(): void {
    this.#abort.abort();
  }
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Event, undefined> {
  for await (const chunk of body) {
    // Frames are never cut, so each chunk is whole lines.
    for (const line of Buffer.from(chunk).toString().trimEnd().split("\n")) {
      // A watch frame, by the protocol.
      yield JSON.parse(line) as Event;
    }
  }
  return undefined;
}

describe("watch", () => {
  let api: TestServer;
  beforeEach(async () => {
    api = await startTestServer({ bounds: { maxEvents: 16, maxBytes: 1e6 } });
  });
  afterEach(() => api[Symbol.asyncDispose]());
  const create = (name: string, labels: object = {}) =>
    api.call("POST", MAPS, { metadata: { name, labels } });

  it("without a version begins with what is there", async () => {
    await create("a");
    await create("b");
    const watching = await Watching.open(api, `${MAPS}?watch=true`);
    await create("c");
    assert.deepEqual(await watching.take(3), ["ADDED a", "ADDED b", "ADDED c"]);
  });

  it("continues from a version without gap or repetition", async () => {
    await create("a");
    const { json } = await api.call("GET", MAPS);
    const version = textAt(json, "metadata.resourceVersion");
    await create("b");
    await api.call("PATCH", `${MAPS}/a`, { data: { x: "1" } }, MERGE);
    const watching = await Watching.open(api, `${MAPS}?watch=true&resourceVersion=${version}`);
    await api.call("DELETE", `${MAPS}/b`);
    assert.deepEqual(await watching.take(2), ["ADDED b", "MODIFIED a"]);
    const gone = await watching.next();
    assert.equal(gone.type, "DELETED");
    assert.equal(gone.object.metadata.resourceVersion, String(api.store.revision));
  });

  it("turns changes of labels into arrivals and departures", async () => {
    await create("a", { on: "yes" });
    const watching = await Watching.open(api, `${MAPS}?watch=1&labelSelector=on%3Dyes`);
    const label = (on: string) =>
      api.call("PATCH", `${MAPS}/a`, { metadata: { labels: { on } } }, MERGE);
    await label("no");
    await label("still no");
    await label("yes");
    await api.call("PATCH", `${MAPS}/a`, { data: { x: "1" } }, MERGE);
    assert.deepEqual(await watching.take(4), ["ADDED a", "DELETED a", "ADDED a", "MODIFIED a"]);
  });

  it("sees only its namespace and its name", async () => {
    await api.call("POST", "/api/v1/namespaces", { metadata: { name: "other" } });
    const watching = await Watching.open(api, `${MAPS}?watch=1&fieldSelector=metadata.name%3Da`);
    await api.call("POST", "/api/v1/namespaces/other/configmaps", { metadata: { name: "a" } });
    await create("aa");
    await create("a");
    await api.call("DELETE", `${MAPS}/a`);
    assert.deepEqual(await watching.take(2), ["ADDED a", "DELETED a"]);
  });

  it("ends a streamed list with a bookmark, as WatchList clients want it", async () => {
    await create("a");
    const watching = await Watching.open(
      api,
      `${MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    );
    assert.deepEqual(await watching.take(1), ["ADDED a"]);
    const { type, object } = await watching.next();
    assert.equal(type, "BOOKMARK");
    assert.equal(object.kind, "ConfigMap");
    assert.equal(object.metadata.annotations?.["k8s.io/initial-events-end"], "true");
    assert.equal(object.metadata.resourceVersion, String(api.store.revision));
    const refused = await api.call("GET", `${MAPS}?watch=1&sendInitialEvents=true`);
    assert.equal(refused.status, 422);
  });

  it("without changes says nothing of a write that changes nothing", async () => {
    const made = await create("a");
    const watching = await Watching.open(api, `${MAPS}?watch=1`);
    await api.call("PUT", `${MAPS}/a`, made.json);
    await create("b");
    assert.deepEqual(await watching.take(2), ["ADDED a", "ADDED b"]);
  });

  it("tells a version that is too old with a 410", async () => {
    const version = String(api.store.revision);
    for (let i = 0; i < 20; i++) await create(`m${String(i)}`);
    const watching = await Watching.open(api, `${MAPS}?watch=1&resourceVersion=${version}`);
    const { type, object } = await watching.next();
    assert.deepEqual([type, object.kind, object.code], ["ERROR", "Status", 410]);
    assert.equal(await watching.ended(), true);
  });

  it("cuts a reader off that fell behind, and holds nothing for it", async () => {
    const watching = await Watching.open(api, `${MAPS}?watch=1`);
    await create("a");
    assert.deepEqual(await watching.take(1), ["ADDED a"]);
    for (let i = 0; i < 40; i++) await create(`m${String(i)}`);
    const { type, object } = await watching.next();
    assert.deepEqual([type, object.code], ["ERROR", 410]);
    assert.equal(await watching.ended(), true);
  });

  it("closes after timeoutSeconds, with a bookmark where those are wanted", async () => {
    const watching = await Watching.open(
      api,
      `${MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=1`,
    );
    assert.equal((await watching.next()).type, "BOOKMARK");
    assert.equal(await watching.ended(), true);
  });

  it("ends when its reader goes, and when the server ends", async () => {
    const first = await Watching.open(api, `${MAPS}?watch=1`);
    const firstEnd = first.ended();
    first.close();
    assert.equal(await firstEnd, true);
    const second = await Watching.open(api, `${MAPS}?watch=1`);
    const secondEnd = second.ended();
    await api.server[Symbol.asyncDispose]();
    assert.equal(await secondEnd, true);
  });

  it("shows tables, with the columns in the first event alone", async () => {
    await create("a");
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const watching = await Watching.open(api, `${MAPS}?watch=1`, accept);
    await create("b");
    const first = await watching.next();
    assert.equal(first.object.kind, "Table");
    assert.ok((first.object.columnDefinitions ?? []).length > 0);
    assert.equal(first.object.rows?.[0]?.cells[0], "a");
    const second = await watching.next();
    assert.equal(second.object.columnDefinitions, null);
    assert.equal(second.object.rows?.[0]?.cells[0], "b");
  });

  it("refuses a version from the future with a 504", async () => {
    const answer = await api.call("GET", `${MAPS}?watch=1&resourceVersion=999999`);
    assert.equal(answer.status, 504);
    assert.match(
      textAt(answer.json, "message"),
      /Too large resource version: 999999, current: \d+/,
    );
  });

  it("shares one serialized frame between watchers", async () => {
    const open = () => api.open(`${MAPS}?watch=1`);
    const [first, second] = await Promise.all([open(), open()]);
    const frames = [first, second].map(({ body }) => body[Symbol.asyncIterator]().next());
    await create("a");
    const [one, two] = await Promise.all(frames);
    assert.deepEqual(one, two);
  });
});
