import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ListWatchServer } from "../../test/client/list-watch-server.ts";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import { createLogger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { createHttpTransport } from "./http-transport.ts";
import { createClient } from "./rest.ts";
import { createInformers } from "./shared-informers.ts";

const never = new AbortController().signal;
const log = createLogger({
  write: () => undefined,
  level: "error",
  format: "text",
  now: () => new Date(0),
});

describe("createInformers()", () => {
  it("shares one informer a kind and scope", async () => {
    await using server = await ListWatchServer.start();
    using http = createHttpTransport({ server: server.url });
    await using informers = createInformers({ client: createClient(http), log });
    const all = informers.of(configMapKind);
    assert.equal(informers.of(configMapKind, {}), all);
    const some = informers.of(configMapKind, { fieldSelector: "metadata.name=a" });
    assert.notEqual(some, all);
    assert.equal(informers.of(configMapKind, { fieldSelector: "metadata.name=a" }), some);
    await Promise.all([all.synced(never), some.synced(never)]);
    assert.equal(server.listCount, 2);
    const scoped = server.requests.filter((url) => url.includes("fieldSelector=metadata.name%3Da"));
    assert.notEqual(scoped.length, 0);
  });

  it("counts what it holds and hears", async () => {
    await using server = await ListWatchServer.start();
    server.put("a", {});
    using http = createHttpTransport({ server: server.url });
    const metrics = new Metrics();
    await using informers = createInformers({ client: createClient(http), log, metrics });
    await informers.of(configMapKind).synced(never);
    assert.match(metrics.render(), /portolan_informer_objects\{resource="configmaps"\} 1\n/);
    assert.match(metrics.render(), /portolan_informer_lists_total\{resource="configmaps"\} 1\n/);
  });

  it("refuses to start one after its end", async () => {
    await using server = await ListWatchServer.start();
    using http = createHttpTransport({ server: server.url });
    const informers = createInformers({ client: createClient(http), log });
    await informers[Symbol.asyncDispose]();
    assert.throws(() => informers.of(configMapKind), /informers are stopped; asked for configmaps/);
  });
});
