import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SILENT } from "../../test/apiserver/test-server.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import { EmbeddedStore } from "../store/embedded/embedded.ts";
import { WatchCache } from "./watch-cache.ts";

describe("WatchCache", () => {
  it("lets nobody wait for a revision once it is closed", async (t) => {
    const dir = await mkdtemp(join(tmpdir(), "portolan-watch-cache-"));
    t.after(() => rm(dir, { recursive: true }));
    await using store = await EmbeddedStore.open({ dir });
    const cache = await WatchCache.start({ store, kinds: [serviceKind], log: SILENT });
    const waiting = assert.rejects(cache.reached(store.revision + 1), /the watch cache is closed/);
    await cache[Symbol.asyncDispose]();
    await waiting;
    await assert.rejects(cache.reached(store.revision + 1), /the watch cache is closed/);
  });
});
