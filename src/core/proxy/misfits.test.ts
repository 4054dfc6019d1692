import assert from "node:assert/strict";
import { it } from "node:test";
import { endpoint, slice } from "./fixtures.test.ts";
import { misfitsOf } from "./misfits.ts";

it("finds endpoints whose address is none of the slice's family, and no others", () => {
  const lines = ["10.0.0.1", "300.0.0.1", "fd00::1", "pod.example", "::ffff:10.0.0.2", "127.0.0.1"];
  const endpoints = lines.map((address) => endpoint(`${address} ready`));
  // What stands for an IPv4 address in IPv6 is read as that, as the rules have it.
  const of = (addressType: "IPv4" | "IPv6" | "FQDN"): readonly string[] =>
    misfitsOf(slice([], { addressType, endpoints }));
  assert.deepEqual(of("IPv4"), ["300.0.0.1", "fd00::1", "pod.example"]);
  assert.deepEqual(of("IPv6"), [
    "10.0.0.1",
    "300.0.0.1",
    "pod.example",
    "::ffff:10.0.0.2",
    "127.0.0.1",
  ]);
  assert.deepEqual(of("FQDN"), []);
});
