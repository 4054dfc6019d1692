import { startResponding } from "./fuzz-target.ts";

// The server under fuzz, in a process of its own: a crash, a hang and a leak of it can be seen from outside.
const target = await startResponding(process.argv[2] === "threads");
process.stdout.write(`${String(target.port)} ${String(target.tlsPort)}\n`);
process.on("message", () => {
  process.send?.({ rss: process.memoryUsage().rss, seen: target.seen() });
});
process.on("disconnect", () => {
  process.exit(0);
});
