// Takes the place of src/dns/udp-worker.ts, and fails at the first message, as a defect would make it.
import { workerData } from "node:worker_threads";

const { register } = await import(import.meta.resolve("tsx/esm/api"));
register();
const { loadLibc } = await import("../../src/kernel/libc.ts");
const { UdpBatch } = await import("../../src/kernel/udp-batch.ts");
const { libc } = await loadLibc();
const batch = new UdpBatch(libc, workerData.fd);
while (batch.receive() === 0);
throw new Error("a defect");
