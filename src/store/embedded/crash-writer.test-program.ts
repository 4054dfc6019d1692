import { EmbeddedStore } from "./embedded.ts";

// Writes numbered keys for ever, sixteen at a time, and prints each number once its write is acknowledged.
const [dir = "", from = "0"] = process.argv.slice(2);
const store = await EmbeddedStore.open({ dir });
for (let i = Number(from); ; i += 16) {
  const numbers = Array.from({ length: 16 }, (_, offset) => i + offset);
  await Promise.all(
    numbers.map((n) =>
      store.commit([], [{ kind: "put", key: `/k/${String(n)}`, value: String(n) }]),
    ),
  );
  process.stdout.write(numbers.map((n) => `${String(n)}\n`).join(""));
}
