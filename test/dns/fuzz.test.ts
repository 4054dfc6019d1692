import assert from "node:assert/strict";
import { it } from "node:test";
import { fuzzDns } from "./fuzz-campaign.ts";

it("DNS survives hostile packets over UDP and TCP, and answers plain questions among them", async () => {
  const seed = Date.now() & 0x7fff_ffff;
  const report = await fuzzDns({ udp: 64_000, tcp: 2000 }, seed, () => undefined);
  assert.ok(
    report.answers > report.udpPackets / 4,
    `${String(report.answers)}, seed ${String(seed)}`,
  );
});
