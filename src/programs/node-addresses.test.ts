import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { ip } from "../core/proxy/fixtures.test.ts";
import { nodeAddresses } from "./node-addresses.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
}

const OPTIONS = {
  nodePortAddresses: "primary",
  clusterCidrs: [cidr("10.244.0.0/16")],
  localhostNodePorts: false,
} as const;

describe("nodeAddresses()", () => {
  it("is the same with and without the node's ends of its Pods' links", () => {
    const before = [ip("10.200.0.11"), ip("127.0.0.1"), ip("fe80::1")];
    const after = [...before, ip("10.244.1.1")];
    const options = { ...OPTIONS, nodePortAddresses: [cidr("10.200.0.11/32")] };
    assert.deepEqual(nodeAddresses(undefined, after, options), {
      nodePorts: ["10.200.0.11"],
      pods: ["10.244.0.0/16"],
      inside: ["10.200.0.11/32", "10.244.0.0/16"],
    });
    assert.deepEqual(
      nodeAddresses(undefined, after, options),
      nodeAddresses(undefined, before, options),
    );
  });

  it("serves node ports on the Node's InternalIPs, and before there is a Node on the machine's own", () => {
    const node = {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "here" },
      spec: {},
      status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
    } as const;
    const machine = [ip("192.0.2.1"), ip("192.0.2.2")];
    assert.deepEqual(nodeAddresses(node, machine, OPTIONS).nodePorts, ["192.0.2.1"]);
    assert.deepEqual(nodeAddresses(undefined, machine, OPTIONS).nodePorts, machine);
  });
});
