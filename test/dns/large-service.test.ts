import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { startDns } from "../../src/dns/server.ts";
import type { DnsServer } from "../../src/dns/server.ts";
import { ip, port, silent } from "./fake-upstream.ts";
import { MemoryApi } from "./memory-api.ts";
import { service, slice } from "./zone.ts";

const run = promisify(execFile);
const hasDig = spawnSync("dig", ["-v"]).error === undefined;
const skip = hasDig ? false : "dig is not installed (Debian: bind9-dnsutils)";
const worker = new URL("udp-worker.mjs", import.meta.url);

const SLICES = 5;
const A_SLICE = 1000;
const NAME = "large.default.svc.cluster.local";

/** A server of a cluster with one headless Service of 5,000 endpoints. */
async function startLarge(threads: number): Promise<DnsServer> {
  const api = new MemoryApi();
  const informers = createInformers({ client: api, log: silent });
  const server = await startDns(
    { informers, log: silent },
    {
      listen: { address: ip("127.0.0.1"), port: port(0) },
      reverseCidrs: [],
      upstreams: [],
      fastPath: threads === 0 ? undefined : { threads, worker },
    },
  );
  api.put(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  api.put(serviceKind, service("large", { clusterIP: "None" }));
  for (let n = 0; n < SLICES; n++) {
    const members = Array.from({ length: A_SLICE }, (_, i) => ({
      addresses: [`10.${String(112 + n)}.${String(i >> 8)}.${String(i & 255)}`],
      hostname: `pod-${String(n)}-${String(i)}`,
    }));
    api.put(endpointSliceKind, slice("large", members, undefined, { suffix: String(n) }));
  }
  api.openGate();
  const signal = AbortSignal.timeout(20_000);
  await informers.of(namespaceKind).synced(signal);
  await informers.of(serviceKind).synced(signal);
  await informers.of(endpointSliceKind).synced(signal);
  return {
    ...server,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
    },
  };
}

interface Dug {
  readonly flags: string;
  readonly addresses: readonly string[];
  readonly bytes: number;
  /** How dig asked in the end. */
  readonly transport: string;
}

async function dig(to: DnsServer, ...args: readonly string[]): Promise<Dug> {
  const at = ["@127.0.0.1", "-p", String(to.port), "+time=5", "+tries=1"];
  const { stdout } = await run("dig", [...at, ...args, NAME], { maxBuffer: 1 << 24 });
  return {
    flags: /^;; flags: ([a-z ]+);/m.exec(stdout)?.[1] ?? "",
    addresses: [...stdout.matchAll(/^large\.\S+\s+\d+\s+IN\s+A\s+(\S+)$/gm)].map(
      ([, address = ""]) => address,
    ),
    bytes: Number(/^;; MSG SIZE {2}rcvd: (\d+)$/m.exec(stdout)?.[1]),
    transport: /^;; SERVER: .*\((\w+)\)$/m.exec(stdout)?.[1] ?? "",
  };
}

describe("a headless Service of 5,000 endpoints", { skip }, () => {
  for (const threads of [0, 2]) {
    const where = threads === 0 ? "the main thread" : "threads";
    it(`by ${where}: dig gets what fits over UDP, and over TCP 4,092, which change from one to the next`, async () => {
      await using server = await startLarge(threads);
      // Twice: the second is what a thread answers.
      for (let i = 0; i < 2; i++) {
        const plain = await dig(server, "+noedns", "+ignore");
        assert.match(plain.flags, /\btc\b/);
        assert.ok(plain.bytes <= 512 && plain.addresses.length > 20, JSON.stringify(plain));
        const edns = await dig(server, "+bufsize=4096", "+ignore");
        assert.match(edns.flags, /\btc\b/);
        assert.ok(edns.bytes <= 1232 && edns.addresses.length > 70, JSON.stringify(edns));
      }
      const first = await dig(server);
      assert.equal(first.transport, "TCP");
      assert.match(first.flags, /\btc\b/);
      assert.equal(first.addresses.length, 4092);
      assert.ok(first.bytes <= 65_535 && first.bytes > 65_500, String(first.bytes));
      const seen = new Set(first.addresses);
      for (let i = 0; seen.size < SLICES * A_SLICE; i++) {
        assert.ok(i < 8, `${String(seen.size)} seen`);
        const next = await dig(server, "+tcp");
        assert.equal(next.addresses.length, 4092);
        for (const address of next.addresses) seen.add(address);
      }
    });
  }
});
