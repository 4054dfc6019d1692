import { fuzzDns } from "./fuzz-campaign.ts";

// npm run fuzz:dns [UDP packets] [TCP messages] [seed]: the long form of fuzz.test.ts; half of each goes to a
// server with a thread of its own for UDP, half to one without; a quarter as many as over TCP over TLS.
const [udp = 10_000_000, tcp = 200_000, seed = Date.now() & 0x7fff_ffff] = process.argv
  .slice(2)
  .map(Number);
for (const threads of [true, false]) {
  const startMs = performance.now();
  const counts = {
    udp: Math.ceil(udp / 2),
    tcp: Math.ceil(tcp / 2),
    tls: Math.ceil(tcp / 8),
    threads,
  };
  const report = await fuzzDns(counts, seed, (text) => {
    process.stderr.write(`${text}\n`);
  });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  process.stdout.write(`${JSON.stringify({ threads, seed, seconds, ...report })}\n`);
}
