import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { deleteRequest, dumpRequest, readFlow } from "./conntrack.ts";

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

it("asks for the flows of one protocol, which the kernel then picks", () => {
  assert.equal(
    hexOf(dumpRequest(2, 17)),
    [
      "30000000010101030100000000000000", // 48 bytes, GET of conntrack, REQUEST | DUMP
      "02000000", // IPv4
      "10000180" + "0c000280" + "05000100" + "11000000", // original { protocol { 17 } }
      "0c001980" + "08000100" + "08000000", // filter by protocol
    ].join(""),
  );
});

/** A flow as the kernel tells it: 10.0.0.9:40000 to 10.96.0.10:53, answered by 10.244.0.3:5353. */
const FLOW = Buffer.from(
  [
    "02000000",
    "34000180" + "14000180" + "080001000a000009" + "080002000a60000a",
    "1c000280" + "0500010011000000" + "060002009c400000" + "0600030000350000",
    "34000280" + "14000180" + "080001000af40003" + "080002000a000009",
    "1c000280" + "0500010011000000" + "0600020014e90000" + "060003009c400000",
    "08000c00" + "deadbeef",
  ].join(""),
  "hex",
);

it("reads who asked whom and who answers", () => {
  const flow = readFlow(FLOW);
  assert.ok(flow !== undefined);
  const { handle, ...rest } = flow;
  assert.deepEqual(rest, {
    protocol: 17,
    hasEnded: false,
    source: "10.0.0.9",
    destination: "10.96.0.10",
    destinationPort: 53,
    replySource: "10.244.0.3",
    replySourcePort: 5353,
  });
  assert.equal(
    hexOf(deleteRequest([handle])),
    "50000000" +
      "02010100" +
      "01000000" +
      "00000000" +
      "02000000" +
      FLOW.subarray(4, 56).toString("hex") +
      "08000c00deadbeef",
  );
});

it("bytes that are no flow give none, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(FLOW.length - 1), (bytes, at) => {
      readFlow(bytes);
      readFlow(Uint8Array.from([...FLOW.subarray(0, at), ...bytes]));
    }),
  );
});
