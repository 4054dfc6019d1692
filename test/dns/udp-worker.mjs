// The thread of src/dns/udp-worker.ts, from its source: threads do not inherit how TypeScript is loaded.
import { register } from "tsx/esm/api";

register();
await import("../../src/dns/udp-worker.ts");
