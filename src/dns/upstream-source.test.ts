import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ip, port, silent } from "../../test/dns/fake-upstream.ts";
import { parseNameServers } from "../core/dns/resolv-conf.ts";
import { isSelf, resolvConfUpstreams } from "./upstream-source.ts";

const self = { address: ip("127.0.0.1"), port: port(53) };

describe("parseNameServers()", () => {
  it("reads name servers in order and passes over everything else", () => {
    const text = [
      "# nameserver 192.0.2.9",
      "search example.com",
      "nameserver 192.0.2.1",
      "nameserver\t2001:db8::1   # the second",
      "nameserver fe80::1%eth0",
      "nameserver nonsense",
      "options ndots:5",
      "nameserver 192.0.2.3",
      "nameserver 192.0.2.4",
    ].join("\n");
    assert.deepEqual(parseNameServers(text), ["192.0.2.1", "2001:db8::1", "192.0.2.3"]);
  });
});

describe("resolvConfUpstreams()", () => {
  it("DNS-029: follows the file, looking at most every two seconds, and leaves itself out", async () => {
    const folder = await mkdtemp(join(tmpdir(), "portolan-dns-"));
    try {
      const path = join(folder, "resolv.conf");
      let nowMs = 0;
      const source = resolvConfUpstreams({ log: silent, nowMs: () => nowMs }, path, self);
      const addresses = async (): Promise<readonly string[]> =>
        (await source()).map((upstream) => `${upstream.address}:${String(upstream.port)}`);
      assert.deepEqual(await addresses(), []);
      await writeFile(path, "nameserver 127.0.0.1\nnameserver 192.0.2.1\n");
      assert.deepEqual(await addresses(), [], "looked again too soon");
      nowMs = 2000;
      assert.deepEqual(await addresses(), ["192.0.2.1:53"]);
      // Replaced, as network managers do it.
      await writeFile(`${path}.new`, "nameserver 192.0.2.2\n");
      await rename(`${path}.new`, path);
      nowMs = 4000;
      assert.deepEqual(await addresses(), ["192.0.2.2:53"]);
      await rm(path);
      nowMs = 6000;
      assert.deepEqual(await addresses(), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("isSelf()", () => {
  it("knows the server by its address, and by any of the host's when it listens on all", () => {
    const asked = { address: ip("127.0.0.53"), port: port(53) };
    assert.equal(isSelf(asked, { address: ip("127.0.0.53"), port: port(53) }), true);
    assert.equal(isSelf(asked, { address: ip("127.0.0.53"), port: port(10_053) }), false);
    assert.equal(isSelf(asked, { address: ip("127.0.0.1"), port: port(53) }), false);
    assert.equal(isSelf(asked, { address: ip("0.0.0.0"), port: port(53) }), true);
    const elsewhere = { address: ip("192.0.2.1"), port: port(53) };
    assert.equal(isSelf(elsewhere, { address: ip("0.0.0.0"), port: port(53) }), false);
  });
});
