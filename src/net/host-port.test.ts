import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { formatHostPort, parseHostPort, parsePort } from "./host-port.ts";

it("parseHostPort() and formatHostPort() are inverses", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (ip, port) => {
      const text = ip.includes(":") ? `[${ip}]:${String(port)}` : `${ip}:${String(port)}`;
      const parsed = parseHostPort(text);
      assert.ok(parsed !== undefined);
      const again = formatHostPort(parsed.address, parsed.port);
      assert.deepEqual(parseHostPort(again), parsed);
    }),
  );
});

it("parseHostPort() refuses what is no address and port", () => {
  for (const text of [
    "",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:x",
    "::1:80",
    "host:80",
    "1.2.3.4:70000",
  ]) {
    assert.equal(parseHostPort(text), undefined, text);
  }
});

it("parsePort() takes whole numbers from 0 to 65535", () => {
  assert.equal(parsePort("80"), 80);
  assert.equal(parsePort(0), 0);
  for (const value of [-1, 65_536, 1.5, Number.NaN, "", "8o", "-1", "1e3"]) {
    assert.equal(parsePort(value), undefined, String(value));
  }
});
