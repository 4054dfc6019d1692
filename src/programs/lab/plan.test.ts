import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cidrContains } from "../../net/cidr.ts";
import { bridgePort, machineCommands, MAX_NODES, planLab, worldRules } from "./plan.ts";

describe("the plan of a lab", () => {
  it("deals nodes to zones in turn, and to none without zones", () => {
    const zones = (count: number): readonly (string | undefined)[] =>
      planLab(4, count, "cluster.local").nodes.map(({ zone }) => zone);
    assert.deepEqual(zones(3), ["zone-a", "zone-b", "zone-c", "zone-a"]);
    assert.deepEqual(zones(0), [undefined, undefined, undefined, undefined]);
  });

  it("gives no address twice, whatever the number of nodes", () => {
    const plan = planLab(MAX_NODES, 3, "cluster.local");
    const machines = [plan.control, plan.world, ...plan.nodes];
    const addresses = machines.flatMap((machine) => machine.addresses);
    assert.equal(new Set(addresses).size, 2 * (MAX_NODES + 2));
    assert.equal(new Set(plan.nodes.map(({ podCidr }) => podCidr)).size, MAX_NODES);
    assert.equal(new Set(plan.nodes.map((node) => node.secondPodCidr)).size, MAX_NODES);
  });

  it("refuses fewer than one node and more than there are addresses for", () => {
    for (const nodes of [0, -1, 1.5, Number.NaN, MAX_NODES + 1])
      assert.throws(() => planLab(nodes, 0, "cluster.local"), /1 to 200 nodes/);
  });

  it("has links of different names, short enough for the kernel", () => {
    const { control, world, nodes } = planLab(MAX_NODES, 0, "cluster.local");
    const names = [control, world, ...nodes].map(bridgePort);
    assert.equal(new Set(names).size, MAX_NODES + 2);
    assert.ok(names.every((name) => name.length <= 15));
  });

  it("has cluster DNS inside the Services' ranges", () => {
    const { clusterDns, serviceCidrs } = planLab(1, 0, "cluster.local");
    assert.ok(cidrContains(serviceCidrs[0], clusterDns[0]));
    assert.ok(cidrContains(serviceCidrs[1], clusterDns[1]));
  });

  it("routes nodes to each other's Pods, and the world to load balancers over all nodes", () => {
    const plan = planLab(2, 0, "cluster.local");
    const [first] = plan.nodes;
    assert.ok(first);
    assert.deepEqual(machineCommands(plan, first, 1), [
      "link add eth0 type veth peer name to-node-1 netns 1",
      "link set lo up",
      "addr add 10.200.0.11/24 dev eth0",
      "addr add fd00:200::b/64 dev eth0 nodad",
      "link set eth0 up",
      "route add 10.244.2.0/24 via 10.200.0.12",
      "route add fd00:10:244:2::/64 via fd00:200::c",
      "route add default via 10.200.0.3",
      "route add default via fd00:200::3",
      "addr add 10.96.0.10/32 dev lo",
      "addr add fd00:10:96::a/128 dev lo nodad",
    ]);
    assert.deepEqual(machineCommands(plan, plan.world, 1).slice(5), [
      "route add 10.201.0.0/16 nexthop via 10.200.0.11 nexthop via 10.200.0.12",
      "route add default via 10.200.0.11 table 11",
      "route add default via 10.200.0.12 table 12",
      "route add fd00:201::/64 nexthop via fd00:200::b nexthop via fd00:200::c",
      "route add default via fd00:200::b table 11",
      "route add default via fd00:200::c table 12",
    ]);
    assert.deepEqual(worldRules(plan), [
      "rule add fwmark 11 lookup 11",
      "rule add fwmark 12 lookup 12",
    ]);
  });
});
