// The thread of src/dns/udp-worker.ts, from its source: threads do not inherit how TypeScript is loaded.

const { register } = await import(import.meta.resolve("tsx/esm/api"));
register();
await import("../../src/dns/udp-worker.ts");
