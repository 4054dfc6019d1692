import { EmbeddedStore } from "./embedded.ts";

// Writes until the disk is full, and prints what the store then answers and what it holds when opened again.
const [dir = ""] = process.argv.slice(2);
const store = await EmbeddedStore.open({ dir });
let acknowledged = 0;
let refusal = "";
while (refusal === "") {
  try {
    await store.commit(
      [],
      [{ kind: "put", key: `/k/${String(acknowledged)}`, value: "x".repeat(20_000) }],
    );
    acknowledged++;
  } catch (error) {
    refusal = String(error);
  }
}
const readable = (await store.get("/k/0"))?.value.length;
await store[Symbol.asyncDispose]();
const reopened = await EmbeddedStore.open({ dir });
const { entries } = await reopened.range({ prefix: "/k/" });
await reopened[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify({ acknowledged, refusal, readable, kept: entries.length }));
