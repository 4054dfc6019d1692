import assert from "node:assert/strict";
import { it } from "node:test";
import { fuzzDns } from "./fuzz-campaign.ts";

const skip = process.platform === "linux" ? false : "the fuzzer sends with Linux's calls";

for (const threads of [true, false]) {
  const where = threads ? "a thread of its own" : "the main thread";
  it(`DNS in ${where} survives hostile packets over UDP, TCP and TLS, and answers plain questions among them`, {
    skip,
  }, async () => {
    const seed = Date.now() & 0x7fff_ffff;
    const counts = { udp: 40_000, tcp: 600, tls: 200, threads };
    const report = await fuzzDns(counts, seed, () => undefined);
    const text = `${JSON.stringify(report)}, seed ${String(seed)}`;
    assert.ok(report.answers > report.udpPackets / 4, text);
  });
}
