import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { it } from "node:test";
import { storeContract } from "../store.contract.ts";
import type { StoreUnderTest } from "../store.contract.ts";
import { CompactedError } from "../store.ts";
import { CorruptStoreError } from "./data-file.ts";
import { EmbeddedStore } from "./embedded.ts";

storeContract("EmbeddedStore", async (): Promise<StoreUnderTest> => {
  const dir = await mkdtemp(join(tmpdir(), "portolan-store-"));
  let store = await EmbeddedStore.open({ dir });
  return {
    store,
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await EmbeddedStore.open({ dir });
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
});

it("EmbeddedStore refuses a truncated file by name", async () => {
  await using folder = await filledStore();
  await truncate(folder.file, 8192);
  await assert.rejects(EmbeddedStore.open({ dir: folder.dir }), (error) => {
    assert.ok(error instanceof CorruptStoreError);
    assert.match(error.message, /data\.mdb is damaged: it has 8192 bytes/);
    return true;
  });
});

it("EmbeddedStore refuses a file that is something else", async () => {
  await using folder = await filledStore();
  await writeFile(folder.file, "not a store".repeat(10_000));
  await assert.rejects(EmbeddedStore.open({ dir: folder.dir }), CorruptStoreError);
});

it("EmbeddedStore cuts off a watcher that falls behind by more than its bound", async () => {
  const dir = await mkdtemp(join(tmpdir(), "portolan-store-"));
  const store = await EmbeddedStore.open({ dir, watcherBound: 5 });
  const watch = store.watch({
    prefix: "/",
    afterRevision: 1,
    signal: new AbortController().signal,
  });
  const iterator = watch[Symbol.asyncIterator]();
  const first = iterator.next();
  await store.commit([], [{ kind: "put", key: "/0", value: "" }]);
  await first;
  for (let i = 0; i < 10; i++)
    await store.commit([], [{ kind: "put", key: "/1", value: String(i) }]);
  await assert.rejects(async () => {
    for (;;) await iterator.next();
  }, CompactedError);
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

it("EmbeddedStore loses no acknowledged write when its process is killed", async () => {
  const dir = await mkdtemp(join(tmpdir(), "portolan-store-"));
  let acknowledged = 0;
  for (const afterWrites of [5, 40, 150]) {
    const last = await writeUntilKilled(dir, acknowledged, afterWrites);
    const store = await EmbeddedStore.open({ dir });
    for (let i = 0; i <= last; i++) {
      assert.equal((await store.get(`/k/${String(i)}`))?.value, String(i), `write ${String(i)}`);
    }
    acknowledged = last + 1;
    await store[Symbol.asyncDispose]();
  }
  await rm(dir, { recursive: true });
});

/** Starts a writer of numbered keys, kills it once it acknowledged some, and gives the last number it acknowledged. */
async function writeUntilKilled(dir: string, from: number, writes: number): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      join(import.meta.dirname, "crash-writer.test-program.ts"),
      dir,
      String(from),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let last = -1;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last >= from + writes) child.kill("SIGKILL");
  }
  assert.ok(last >= from + writes);
  return last;
}

async function filledStore(): Promise<{ dir: string; file: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-store-"));
  const store = await EmbeddedStore.open({ dir });
  for (let i = 0; i < 50; i++) {
    await store.commit([], [{ kind: "put", key: `/k/${String(i)}`, value: "x".repeat(2000) }]);
  }
  await store[Symbol.asyncDispose]();
  const file = join(dir, "data.mdb");
  assert.ok((await readFile(file)).length > 8192);
  return { dir, file, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

const mayMount = spawnSync("unshare", ["-rm", "true"]).status === 0;

it("EmbeddedStore on a full disk refuses writes, serves reads, and keeps what it acknowledged", {
  skip: mayMount ? false : "needs a mount namespace (unshare -rm)",
}, () => {
  const program = join(import.meta.dirname, "fill-disk.test-program.ts");
  const script = 'mount -t tmpfs -o size=3m none "$1" && exec "$2" --import tsx "$3" "$1"';
  const dir = mkdtempSync(join(tmpdir(), "portolan-full-"));
  const run = spawnSync(
    "unshare",
    ["-rm", "sh", "-c", script, "sh", dir, process.execPath, program],
    {
      encoding: "utf8",
    },
  );
  rmdirSync(dir);
  const result: unknown = JSON.parse(run.stdout);
  assert.ok(typeof result === "object" && result !== null);
  assert.ok(
    "acknowledged" in result && "kept" in result && "readable" in result && "refusal" in result,
  );
  assert.ok(Number(result.acknowledged) > 10);
  assert.equal(result.kept, result.acknowledged);
  assert.equal(result.readable, 20_000);
  assert.match(
    String(result.refusal),
    /StoreUnavailableError: .*(No space left on device|Input\/output error)/,
  );
});
