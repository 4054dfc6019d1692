import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allocationProblems } from "./allocations.ts";
import type { Allocated } from "./allocations.ts";

const service = (name: string, ip: string, nodePort: number): Allocated => ({
  metadata: { namespace: "n", name },
  spec: {
    type: "NodePort",
    clusterIP: ip,
    clusterIPs: [ip],
    ports: [{ port: 80, protocol: "TCP", nodePort }],
  },
});
const address = (name: string, service: string): Allocated => ({
  metadata: { name },
  spec: { parentRef: { namespace: "n", name: service } },
});
const GOOD = [service("a", "10.0.0.1", 30001), service("b", "10.0.0.2", 30002)];

describe("allocationProblems()", () => {
  it("finds none where all is well", () => {
    assert.deepEqual(allocationProblems(GOOD, undefined), []);
    assert.deepEqual(
      allocationProblems(GOOD, [address("10.0.0.1", "a"), address("10.0.0.2", "b")]),
      [],
    );
  });

  it("finds what two hold", () => {
    assert.deepEqual(allocationProblems([...GOOD, service("c", "10.0.0.1", 30002)], undefined), [
      "address 10.0.0.1: n/a and n/c",
      "node port 30002/TCP: n/b and n/c",
    ]);
  });

  it("finds half a Service", () => {
    assert.deepEqual(allocationProblems([service("a", "", 0)], undefined), [
      "n/a: no clusterIP",
      "n/a: no nodePort",
    ]);
  });

  it("finds addresses that leaked, and ones that nothing vouches for", () => {
    assert.deepEqual(
      allocationProblems(GOOD, [address("10.0.0.1", "a"), address("10.0.0.9", "x")]),
      ["IPAddress 10.0.0.9 is of n/x, held by nobody", "address 10.0.0.2 of n/b has no IPAddress"],
    );
  });
});
