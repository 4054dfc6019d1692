import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ip } from "../../core/proxy/fixtures.test.ts";
import { renderBalancer } from "./world-rules.ts";

describe("the balancer of a lab's world", () => {
  it("deals an address's new connections to its nodes, and sends established ones where they went", () => {
    const balanced = [
      { address: ip("10.201.0.5"), nodes: [ip("10.200.0.11"), ip("10.200.0.12")] },
      { address: ip("fd00:201::5"), nodes: [ip("fd00:200::c")] },
    ];
    assert.equal(
      renderBalancer(balanced),
      `table ip balancer
delete table ip balancer
table ip balancer {
  chain output {
    type route hook output priority mangle; policy accept;
    ct state new ip daddr 10.201.0.5 ct mark set numgen random mod 2 map { 0 : 11, 1 : 12 }
    ct mark != 0 meta mark set ct mark
  }
}
table ip6 balancer
delete table ip6 balancer
table ip6 balancer {
  chain output {
    type route hook output priority mangle; policy accept;
    ct state new ip6 daddr fd00:201::5 ct mark set numgen random mod 1 map { 0 : 12 }
    ct mark != 0 meta mark set ct mark
  }
}
`,
    );
  });
});
