import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hasReason } from "../../src/api/machinery/status.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import type { HttpListener } from "../../src/apiserver/http.ts";
import { createApiServer } from "../../src/apiserver/server.ts";
import type { ApiServer } from "../../src/apiserver/server.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { createEventRecorder, referenceTo } from "../../src/client/events.ts";
import { createHttpTransport } from "../../src/client/http-transport.ts";
import type { HttpTransport } from "../../src/client/http-transport.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { EmbeddedStore } from "../../src/store/embedded/embedded.ts";
import { handsOver } from "../apiserver/hands-over.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

const never = new AbortController().signal;
const ADMIN = { name: "admin", groups: ["system:masters"] };
const log = createLogger({
  write: () => undefined,
  level: "error",
  format: "text",
  now: () => new Date(),
});

let directory: string;
let store: EmbeddedStore;
let api: ApiServer;
let listener: HttpListener;
let http: HttpTransport;
let overSocket: ApiClient;
let inProcess: ApiClient;
let byObjects: ApiClient;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "real-api-"));
  store = await EmbeddedStore.open({ dir: directory });
  api = await createApiServer({
    store,
    kinds: [namespaceKind, configMapKind, eventKind],
    log,
    serviceCidrs: [],
    nodePortRange: { first: 30000, last: 32767 },
    version: "0.0.0",
  });
  const certificates = await clusterCertificates({
    dir: undefined,
    apiServerNames: [],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const { authority, apiServer, admin } = certificates;
  listener = await listen({
    address: "127.0.0.1",
    port: 0,
    tls: { key: apiServer.key, cert: apiServer.certificate, clientCa: authority },
    handler: (request, user) => api.handle(request, user),
    log,
  });
  const server = `https://127.0.0.1:${String(listener.port)}`;
  http = createHttpTransport({ server, ca: authority, cert: admin.certificate, key: admin.key });
  overSocket = createClient({ transport: http.transport });
  inProcess = createClient({ transport: (request) => api.handle(request, ADMIN) });
  byObjects = createClient({ transport: handsOver(api, ADMIN), pageSize: 0 });
});

after(async () => {
  http[Symbol.dispose]();
  await api[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

for (const [name, clientOf] of [
  ["over TLS with a client certificate", () => overSocket],
  ["within the process", () => inProcess],
  ["by the server's own objects", () => byObjects],
] as const) {
  describe(`the client on the real API server, ${name}`, () => {
    it("writes, reads and refuses", async () => {
      const client = clientOf();
      const made = await client.create(configMapKind, {
        metadata: { namespace: "default", generateName: "m-" },
        data: { v: "1" },
      });
      const read = await client.get(configMapKind, { ...made.metadata });
      assert.deepEqual(read, made);
      const changed = await client.update(configMapKind, { ...read, data: { v: "2" } });
      const stale = client.update(configMapKind, { ...read, data: { v: "3" } });
      await assert.rejects(stale, (error) => hasReason(error, "Conflict"));
      const patch = { kind: "merge", body: { data: { w: "1" } } } as const;
      const patched = await client.patch(configMapKind, changed.metadata, patch);
      assert.deepEqual(patched.data, { v: "2", w: "1" });
      const other = client.delete(configMapKind, made.metadata, {
        preconditions: { uid: "other" },
      });
      await assert.rejects(other, (error) => hasReason(error, "Conflict"));
      await client.delete(configMapKind, made.metadata);
      const gone = client.get(configMapKind, made.metadata);
      await assert.rejects(gone, (error) => hasReason(error, "NotFound"));
    });

    it("follows changes through an informer", async () => {
      const client = clientOf();
      await using informers = createInformers({ client, log });
      const informer = informers.of(configMapKind, { namespace: "default" });
      await informer.synced(never);
      const seen: string[] = [];
      let wake = (): void => undefined;
      informer.onChange(({ before: was, after: is }) => {
        seen.push(`${was?.data?.["v"] ?? "none"} -> ${is?.data?.["v"] ?? "none"}`);
        wake();
      });
      const ref = { namespace: "default", name: "followed" };
      await client.create(configMapKind, { metadata: ref, data: { v: "1" } });
      await client.patch(configMapKind, ref, { kind: "merge", body: { data: { v: "2" } } });
      await client.delete(configMapKind, ref);
      while (seen.length < 3) await new Promise<void>((resolve) => (wake = resolve));
      assert.deepEqual(seen, ["none -> 1", "1 -> 2", "2 -> none"]);
    });

    it("records events", async () => {
      const client = clientOf();
      await using events = createEventRecorder({
        client,
        component: "test",
        host: "",
        now: Date.now,
        log,
      });
      const namespace = await client.get(namespaceKind, { name: "default" });
      for (const _ of [1, 2]) {
        events.record(referenceTo(namespace), "Normal", "Seen", `by ${name}`);
        await events.idle();
      }
      const { items } = await client.list(eventKind, { namespace: "default" });
      const counts = items
        .filter(({ message }) => message === `by ${name}`)
        .map(({ count }) => count);
      assert.deepEqual(counts, [2]);
    });
  });
}
