import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConfigError, parseClusterConfig } from "./config.ts";
import type { RawConfig } from "./config.ts";

function parse(raw: RawConfig) {
  return parseClusterConfig(raw, { dataDir: "/state", images: {} }, (setting) => `--${setting}`);
}

describe("parseClusterConfig()", () => {
  it("gives every setting its default", () => {
    assert.deepEqual(parse({}), {
      dataDir: "/state",
      apiListen: { address: "127.0.0.1", port: 6443 },
      dnsListen: { address: "127.0.0.1", port: 10_053 },
      dnsTlsListen: undefined,
      kubeconfig: undefined,
      serviceCidr: undefined,
      podCidr: undefined,
      clusterDomain: "cluster.local",
      nodePortRange: { first: 30_000, last: 32_767 },
      denyServiceExternalIps: false,
      auditLog: undefined,
      manifests: [],
      images: {},
    });
  });

  it("keeps no folder when ephemeral", () => {
    assert.equal(parse({ ephemeral: true }).dataDir, undefined);
  });

  const refused: readonly (readonly [RawConfig, RegExp])[] = [
    [{ apiListen: "localhost:6443" }, /^--apiListen: "localhost:6443" is not IP:PORT/],
    [{ apiListen: "127.0.0.1:99999" }, /is not IP:PORT/],
    [{ dnsListen: "53" }, /^--dnsListen: "53" is not IP:PORT/],
    [{ ephemeral: true, dataDir: "/x" }, /exclude each other/],
    [{ serviceCidr: "10.96.0.0/16" }, /is outside 127\.0\.0\.0\/8/],
    [{ serviceCidr: "127.96.0.0/16,fd00::/108" }, /names two families/],
    [{ serviceCidr: "127.96.0.0" }, /is not a CIDR/],
    [{ podCidr: "127.96.0.0/30" }, /prefix length of 12 to 28/],
    [{ podCidr: "127.0.0.0/16" }, /which the machine itself uses/],
    [{ serviceCidr: "127.96.0.0/16", podCidr: "127.96.128.0/20" }, /overlaps --serviceCidr/],
    [{ clusterDomain: "Cluster.Local" }, /is not a domain name/],
    [{ nodePortRange: "32767-30000" }, /is not a range of ports/],
    [{ nodePortRange: "0-10" }, /is not a range of ports/],
  ];
  for (const [raw, message] of refused) {
    it(`refuses ${JSON.stringify(raw)}`, () => {
      assert.throws(
        () => parse(raw),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
