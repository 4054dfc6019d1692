import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service } from "../../src/api/v1/service.ts";
import { storageKey } from "../../src/apiserver/stored.ts";
import { endpoint } from "../../src/core/proxy/fixtures.test.ts";
import type { Started } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { inNamespace } from "./in-namespace.ts";
import { NODE4 } from "./network.ts";
import { ProgramCluster } from "./program-cluster.ts";

const GOOD = "10.244.0.1 ready @here";
const SHARED = "203.0.113.40";
const INVALID = 'portolan_proxy_problems{reason="InvalidEndpoint"}';

inNamespace(import.meta.url, () => {
  let cluster: ProgramCluster;
  let proxy: Started;

  before(async () => {
    cluster = await ProgramCluster.start();
    await cluster.network.serve("node", 8080);
    proxy = await cluster.proxy();
  });

  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  /** Puts a Service's slice into the store as a server would that does not look at addresses. */
  async function storeEndpoints(name: string, lines: readonly string[]): Promise<void> {
    const ref = { namespace: "default", name };
    const { metadata, ...rest } = await cluster.client.get(endpointSliceKind, ref);
    const { resourceVersion: _, ...kept } = metadata;
    const slice: EndpointSlice = { ...rest, metadata: kept, endpoints: lines.map(endpoint) };
    const key = storageKey(endpointSliceKind, ref);
    await cluster.api.store.commit([], [{ kind: "put", key, value: JSON.stringify(slice) }]);
  }

  describe("endpoints that nobody should be sent to", () => {
    for (const [what, name, bad] of [
      ["loopback", "loop", "127.0.0.1"],
      ["link-local", "link", "169.254.7.7"],
      ["multicast", "multi", "224.0.0.9"],
      ["unspecified", "zero", "0.0.0.0"],
    ] as const) {
      it(`${what}: left out, told on the Service and counted; the Service's others and other Services go on`, async () => {
        const made = await cluster.expose(name, [GOOD]);
        const vip = made.spec.clusterIP ?? "";
        await cluster.untilAnswered("10.244.0.1", vip);
        await storeEndpoints(name, [GOOD, `${bad} ready @here`]);
        const told = await cluster.event("InvalidEndpoint", "Service", name);
        assert.match(told.message ?? "", new RegExp(`does not forward to ${bad}:8080`));
        await eventually("it is counted", async () => (await cluster.metric(INVALID)) === 1);
        for (let i = 0; i < 8; i++) assert.equal(await cluster.answers(vip), "10.244.0.1");
        await storeEndpoints(name, [GOOD]);
        await eventually(
          "it is counted no more",
          async () => (await cluster.metric(INVALID)) === 0,
        );
      });
    }

    it("of the other family: left out, told on the slice and counted", async () => {
      const count = "portolan_proxy_invalid_addresses";
      const made = await cluster.expose("mixed", [GOOD]);
      await storeEndpoints("mixed", ["fd00:244::2 ready @here", GOOD, "no-address ready @here"]);
      const told = await cluster.event("InvalidEndpoint", "EndpointSlice", "mixed");
      assert.match(told.message ?? "", /"fd00:244::2", "no-address" get no traffic/);
      assert.equal(await cluster.metric(count), 2);
      for (let i = 0; i < 8; i++) {
        await cluster.untilAnswered("10.244.0.1", made.spec.clusterIP ?? "");
      }
      await storeEndpoints("mixed", [GOOD]);
      await eventually("it is counted no more", async () => (await cluster.metric(count)) === 0);
    });

    it("not so the node's own address: Pods of the host's network have it", async () => {
      const made = await cluster.expose("host", [`${NODE4} ready @here`]);
      await eventually("the node answers", async () =>
        /^192\.0\.2\.1$/.test(await cluster.answers(made.spec.clusterIP ?? "")),
      );
      assert.equal(await cluster.metric(INVALID), 0);
    });
  });

  it("PROXY-014: of two Services with one load-balancer address and port the older has it, the other is told, and has it after", async () => {
    const conflicts = "portolan_proxy_address_conflicts";
    const claim = async (name: string, pod: string): Promise<Service> => {
      const made = await cluster.expose(name, [pod], { type: "LoadBalancer" });
      const body = { status: { loadBalancer: { ingress: [{ ip: SHARED }] } } };
      const patch = { kind: "merge", body } as const;
      return cluster.client.patch(serviceKind, made.metadata, patch, { subresource: "status" });
    };
    // By name it would be the second.
    const older = await claim("zz-older", "10.244.0.1 ready @here");
    await cluster.untilAnswered("10.244.0.1", SHARED);
    const second = (text: string | undefined): number => Date.parse(text ?? "");
    await eventually(
      "the next second",
      () => Date.now() >= second(older.metadata.creationTimestamp) + 1_000,
    );
    const younger = await claim("aa-younger", "10.244.0.2 ready @here");
    const told = await cluster.event("AddressConflict", "Service", "aa-younger");
    assert.match(told.message ?? "", /203\.0\.113\.40:80 goes to Service default\/zz-older/);
    assert.equal(await cluster.metric(conflicts), 1);
    assert.equal(await cluster.answers(SHARED), "10.244.0.1");
    // All else of the loser is its own.
    assert.equal(await cluster.answers(younger.spec.clusterIP ?? ""), "10.244.0.2");
    await cluster.remove("zz-older");
    await cluster.untilAnswered("10.244.0.2", SHARED);
    assert.equal(await cluster.metric(conflicts), 0);
  });

  it("NODE-004: node ports follow the node's InternalIPs, added, removed and changed", async () => {
    const made = await cluster.expose("ports", [GOOD], { type: "NodePort" });
    const nodePort = made.spec.ports?.[0]?.nodePort ?? 0;
    const another = "198.18.7.1";
    execFileSync("ip", ["address", "add", `${another}/32`, "dev", "v-world"]);
    await cluster.untilAnswered("10.244.0.1", NODE4, nodePort);
    assert.equal(await cluster.answers(another, nodePort), "refused");
    await cluster.nodeAddresses(NODE4, another);
    await cluster.untilAnswered("10.244.0.1", another, nodePort);
    assert.equal(await cluster.answers(NODE4, nodePort), "10.244.0.1");
    await cluster.nodeAddresses(another);
    await cluster.untilAnswered("refused", NODE4, nodePort);
    assert.equal(await cluster.answers(another, nodePort), "10.244.0.1");
    await cluster.nodeAddresses(NODE4);
    await cluster.untilAnswered("10.244.0.1", NODE4, nodePort);
    assert.equal(await cluster.answers(another, nodePort), "refused");
    execFileSync("ip", ["address", "del", `${another}/32`, "dev", "v-world"]);
  });

  it("EXT-004, NODE-004: by flags, externalIPs are left to the network, and node ports follow the machine's addresses in a range", async () => {
    const made = await cluster.expose("flags", [GOOD], {
      type: "NodePort",
      externalIPs: ["203.0.113.50"],
    });
    const nodePort = made.spec.ports?.[0]?.nodePort ?? 0;
    await cluster.untilAnswered("10.244.0.1", "203.0.113.50");
    await proxy.end("SIGTERM");
    proxy = await cluster.proxy([
      "--ignore-external-ips",
      "--nodeport-addresses",
      "198.18.0.0/15,2001:db8:18::/48",
    ]);
    assert.notEqual(await cluster.answers("203.0.113.50"), "10.244.0.1");
    assert.equal(await cluster.answers(made.spec.clusterIP ?? ""), "10.244.0.1");
    assert.equal(await cluster.answers(NODE4, nodePort), "refused");
    const held = await cluster.network.hold({ from: "world" }, made.spec.clusterIP ?? "", 80);
    for (const [one, other] of [
      ["198.18.7.1", undefined],
      // The address is another one: the old port is refused, the new one answers.
      ["198.18.7.2", "198.18.7.1"],
    ] as const) {
      execFileSync("ip", ["address", "add", `${one}/32`, "dev", "v-world"]);
      if (other !== undefined) {
        execFileSync("ip", ["address", "del", `${other}/32`, "dev", "v-world"]);
      }
      await cluster.untilAnswered("10.244.0.1", one, nodePort);
      if (other !== undefined)
        assert.notEqual(await cluster.answers(other, nodePort), "10.244.0.1");
    }
    assert.equal(await held.echo("through it all"), "through it all");
    held.end();
  });
});
