import { fuzzDns } from "./fuzz-campaign.ts";

// npm run fuzz:dns [UDP packets] [TCP messages] [seed]: the long form of fuzz.test.ts.
const [udp = 10_000_000, tcp = 200_000, seed = Date.now() & 0x7fff_ffff] = process.argv
  .slice(2)
  .map(Number);
const startMs = performance.now();
const report = await fuzzDns({ udp, tcp }, seed, (text) => {
  process.stderr.write(`${text}\n`);
});
const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
process.stdout.write(`${JSON.stringify({ seed, seconds, ...report })}\n`);
