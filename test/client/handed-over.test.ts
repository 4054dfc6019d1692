import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { StatusError, hasReason } from "../../src/api/machinery/status.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import type { ConfigMap } from "../../src/api/v1/configmap.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { ApiClient, WatchEvent, WatchOptions } from "../../src/client/client.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { handsOver } from "../apiserver/hands-over.ts";
import { ADMIN, SILENT, startTestServer } from "../apiserver/test-server.ts";
import type { TestServer } from "../apiserver/test-server.ts";

/** What two clients of one server must say alike: one reads JSON, one is handed the server's objects. */
let api: TestServer;
let json: ApiClient;
let objects: ApiClient;

before(async () => {
  // So few recent changes are kept that a version is soon too old.
  api = await startTestServer({ bounds: { maxEvents: 64, maxBytes: 1024 * 1024 } });
  json = createClient({ transport: (request) => api.server.handle(request, ADMIN) });
  objects = createClient({ transport: handsOver(api.server, ADMIN), pageSize: 0 });
  for (const name of ["one", "two"]) await json.create(namespaceKind, { metadata: { name } });
});

after(async () => {
  await api[Symbol.asyncDispose]();
});

const alike = async <T>(ask: (client: ApiClient) => Promise<T>): Promise<T> => {
  const [a, b] = [await ask(json), await ask(objects)];
  assert.deepEqual(b, a);
  return b;
};

const refusal = (ask: (client: ApiClient) => Promise<unknown>) =>
  alike(async (client) => {
    const error: unknown = await ask(client).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    assert.ok(error instanceof StatusError);
    return { code: error.code, status: error.status };
  });

async function eventsUntilEnd(
  client: ApiClient,
  options: WatchOptions,
): Promise<readonly WatchEvent<ConfigMap>[]> {
  const events: WatchEvent<ConfigMap>[] = [];
  for await (const event of client.watch(configMapKind, options)) events.push(event);
  return events;
}

/** Some of everything: what comes into a selection and leaves it, deletions, two namespaces, many in one turn. */
async function change(): Promise<void> {
  const put = (namespace: string, name: string, tier: string) =>
    json.create(configMapKind, {
      metadata: { namespace, name, labels: { tier } },
      data: { v: "1" },
    });
  await Promise.all([put("one", "a", "web"), put("one", "b", "db"), put("two", "a", "web")]);
  const label = (name: string, tier: string) =>
    json.patch(
      configMapKind,
      { namespace: "one", name },
      { kind: "merge", body: { metadata: { labels: { tier } } } },
    );
  await label("b", "web");
  await label("a", "db");
  await json.delete(configMapKind, { namespace: "one", name: "b" });
  await Promise.all([put("two", "c", "db"), label("a", "web")]);
}

const SELECTIONS = [
  {},
  { namespace: "one" },
  { labelSelector: "tier=web" },
  { namespace: "one", labelSelector: "tier in (web),tier!=db" },
  { fieldSelector: "metadata.name=a" },
  { fieldSelector: "metadata.namespace!=one", labelSelector: "tier" },
] as const;

describe("objects that the API server hands over", () => {
  it("are listed and watched as JSON is, with selectors, in order, to the last bookmark", async () => {
    const { resourceVersion } = await json.list(configMapKind);
    await change();
    let seen = 0;
    for (const selection of SELECTIONS) {
      await alike((client) => client.list(configMapKind, selection));
      // The server ends these watches by itself, with a bookmark.
      const options = { ...selection, resourceVersion, timeoutSeconds: 1 };
      const [a, b] = await Promise.all([
        eventsUntilEnd(json, options),
        eventsUntilEnd(objects, options),
      ]);
      assert.deepEqual(b, a);
      assert.equal(b.at(-1)?.type, "BOOKMARK");
      seen += b.length;
    }
    assert.ok(seen > 20, `only ${String(seen)} events`);
    const state = await alike((client) => client.list(configMapKind));
    assert.equal(state.items.length, 3);
  });

  it("are the ones that the server holds, in lists, reads, events and answers to writes", async () => {
    const ref = { namespace: "two", name: "same" };
    const made = await objects.create(configMapKind, { metadata: ref });
    const { resourceVersion: start = "" } = made.metadata;
    const changed = await objects.patch(configMapKind, ref, {
      kind: "merge",
      body: { data: { v: "2" } },
    });
    const { items } = await objects.list(configMapKind, { namespace: "two" });
    const [event] = await eventsUntilEnd(objects, {
      namespace: "two",
      fieldSelector: "metadata.name=same",
      resourceVersion: start,
      timeoutSeconds: 1,
    });
    assert.equal(await objects.get(configMapKind, ref), changed);
    assert.ok(items.includes(changed));
    assert.equal(event?.object, changed);
    await using informers = createInformers({ client: objects, log: SILENT, isShared: true });
    const informer = informers.of(configMapKind, { namespace: "two" });
    await informer.synced(new AbortController().signal);
    assert.ok(informer.list().includes(changed));
  });

  it("are answered to writes as JSON is, with defaults, pruning and refusals", async () => {
    const draft = (name: string) => ({
      metadata: { namespace: "one", name, annotations: { unset: undefined } },
      spec: { ports: [{ port: 80, unknown: 1 }], clusterIP: "None", undefined },
    });
    const written = async (client: ApiClient, name: string) => {
      // Not a Service as the types know it, which is the point.
      const service = await client.create(serviceKind, draft(name) as never);
      const { uid: _, creationTimestamp: _c, resourceVersion: _r, ...metadata } = service.metadata;
      return { ...service, metadata: { ...metadata, name: "", managedFields: undefined } };
    };
    assert.deepEqual(await written(objects, "by-object"), await written(json, "by-json"));
    const broken = { metadata: { namespace: "one", name: "Not A Name" }, spec: {} };
    await refusal((client) => client.create(serviceKind, broken as never));
    await refusal((client) => client.get(serviceKind, { namespace: "one", name: "missing" }));
    await refusal((client) => client.list(serviceKind, { labelSelector: "((" }));
  });

  it("are refused to whoever may not read them", async () => {
    const nobody = { name: "nobody", groups: ["system:authenticated"] };
    const client = createClient({ transport: handsOver(api.server, nobody), pageSize: 0 });
    const forbidden = (error: unknown) => hasReason(error, "Forbidden");
    await assert.rejects(client.list(configMapKind), forbidden);
    await assert.rejects(eventsUntilEnd(client, { resourceVersion: "0" }), forbidden);
  });

  it("are not watched from a version that is too old", async () => {
    const { resourceVersion } = await json.list(configMapKind);
    const ref = { namespace: "one", name: "often" };
    await json.create(configMapKind, { metadata: ref });
    for (let i = 0; i < 80; i++) {
      await json.patch(configMapKind, ref, { kind: "merge", body: { data: { i: String(i) } } });
    }
    const refused = await refusal((client) => eventsUntilEnd(client, { resourceVersion }));
    assert.match(JSON.stringify(refused), /Expired/);
  });
});
