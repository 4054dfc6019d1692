import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { objectKey } from "../../api/machinery/object-key.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { DnsIndex } from "./dns-index.ts";
import { byFamily } from "./views.ts";
import type { ServiceView, SliceView } from "./views.ts";

const key = (name: string) => objectKey({ namespace: "default", name });
const names = ["a", "b", "c"];
const addresses = [1, 2, 3, 4, 5]
  .map((n) => `10.0.0.${String(n)}`)
  .flatMap((text): IpAddress[] => [parseIpAddress(text) ?? []].flat());

const serviceChange = fc.record({
  kind: fc.constant("service" as const),
  name: fc.constantFrom(...names),
  clusterIp: fc.option(fc.constantFrom(...addresses), { nil: undefined }),
});
const sliceChange = fc.record({
  kind: fc.constant("slice" as const),
  name: fc.constantFrom("s1", "s2", "s3"),
  service: fc.option(fc.constantFrom(...names), { nil: undefined }),
  port: fc.constantFrom(80, 81),
  members: fc.uniqueArray(
    fc.record({
      address: fc.constantFrom(...addresses),
      name: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
    }),
    { selector: ({ address }) => address },
  ),
});

type ServiceChange = typeof serviceChange extends fc.Arbitrary<infer T> ? T : never;
type SliceChange = typeof sliceChange extends fc.Arbitrary<infer T> ? T : never;

function apply(index: DnsIndex, change: ServiceChange | SliceChange): void {
  if (change.kind === "service") {
    const view: ServiceView | undefined =
      change.clusterIp === undefined
        ? undefined
        : {
            key: key(change.name),
            kind: "clusterIP",
            clusterIps: byFamily([change.clusterIp]),
            ports: [],
            target: undefined,
          };
    index.setService(key(change.name), view);
  } else {
    const view: SliceView | undefined =
      change.service === undefined
        ? undefined
        : {
            service: key(change.service),
            ports: [{ name: "http", protocol: "tcp", port: change.port }],
            endpoints: change.members.map(({ address, name = `at-${address}` }) => ({
              name,
              address,
            })),
          };
    index.setSlice(key(change.name), view);
  }
}

/** All that an index answers, in an order of its own. */
function contents(index: DnsIndex): unknown {
  return {
    services: names.map((name) => index.service(key(name))),
    endpoints: names.map((name) => index.endpoints(key(name)).addresses.IPv4.toSorted()),
    labels: names.map((name) =>
      index
        .endpoints(key(name))
        .labels.map((label) => label.name)
        .toSorted(),
    ),
    ports: names.map((name) =>
      [...index.endpoints(key(name)).portLists()].map((ports) => String(ports[0]?.port)).toSorted(),
    ),
    clusterIps: addresses.map((address) => index.serviceAt(address) !== undefined),
    // Which of several names a Service's address has then is not said.
    reverse: addresses.map((address) =>
      index
        .endpointsAt(address)
        .map(({ service }) => service)
        .toSorted(),
    ),
  };
}

describe("DnsIndex", () => {
  it("DNS-031: after any history it holds what the last state of each object says", () => {
    const history = fc.array(fc.oneof(serviceChange, sliceChange), { maxLength: 30 });
    fc.assert(
      fc.property(history, (changes) => {
        const lived = new DnsIndex();
        for (const change of changes) {
          apply(lived, change);
          // Asking in between must leave nothing stale behind.
          contents(lived);
        }
        const last = new Map(changes.map((change) => [`${change.kind}/${change.name}`, change]));
        const fresh = new DnsIndex();
        for (const change of last.values()) apply(fresh, change);
        assert.deepEqual(contents(lived), contents(fresh));
      }),
      { numRuns: 300 },
    );
  });

  it("DNS-010: an address in two slices of one Service has one name there", () => {
    const index = new DnsIndex();
    const [address] = addresses;
    assert.ok(address);
    apply(index, { kind: "service", name: "a", clusterIp: addresses[1] });
    apply(index, {
      kind: "slice",
      name: "s1",
      service: "a",
      port: 80,
      members: [{ address, name: undefined }],
    });
    apply(index, {
      kind: "slice",
      name: "s2",
      service: "a",
      port: 80,
      members: [{ address, name: undefined }],
    });
    assert.deepEqual(index.endpointsAt(address), [{ service: "default/a", name: "at-10.0.0.1" }]);
    assert.deepEqual(index.endpoints(key("a")).addresses.IPv4, ["10.0.0.1"]);
  });

  it("a slice whose label moves to another Service leaves the first", () => {
    const index = new DnsIndex();
    const [address] = addresses;
    assert.ok(address);
    apply(index, {
      kind: "slice",
      name: "s1",
      service: "a",
      port: 80,
      members: [{ address, name: undefined }],
    });
    apply(index, {
      kind: "slice",
      name: "s1",
      service: "b",
      port: 80,
      members: [{ address, name: undefined }],
    });
    assert.deepEqual(index.endpoints(key("a")).addresses.IPv4, []);
    assert.deepEqual(index.endpoints(key("b")).addresses.IPv4, [address]);
  });
});
