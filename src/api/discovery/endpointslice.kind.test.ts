import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "./endpointslice.kind.ts";
import type { EndpointSlice } from "./endpointslice.ts";

const { strategy, columns } = endpointSliceKind;

function slice(fields: object = {}): EndpointSlice {
  const object = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: "default" },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.1"] }],
    ports: [{ port: 80 }],
    ...fields,
  };
  // Tests put in what clients may send, not what the type allows.
  return strategy.defaults(object as unknown as EndpointSlice);
}
const one = (fields: object) => slice({ endpoints: [{ addresses: ["10.0.0.1"], ...fields }] });
const addresses = (count: number) =>
  Array.from({ length: count }, (_, i) => `10.0.${String(i >> 8)}.${String((i & 255) + 1)}`);
const texts = (object: EndpointSlice): readonly string[] =>
  strategy.validateCreate(object).map((error) => `${error.field}: ${error.message}`);

describe("endpointSliceKind", () => {
  it("VAL-041: completes name and protocol of ports, and the conditions", () => {
    assert.deepEqual(slice().ports, [{ port: 80, name: "", protocol: "TCP" }]);
    assert.deepEqual(slice().endpoints[0]?.conditions, {});
    assert.equal(slice({ ports: undefined }).ports, undefined);
    assert.deepEqual(slice({ endpoints: undefined }).endpoints, []);
  });

  it("VAL-043: drops the old topology", () => {
    const old = one({ deprecatedTopology: { a: "b" }, nodeName: "n" });
    assert.deepEqual(strategy.prepareForCreate(old), one({ nodeName: "n" }));
    assert.deepEqual(strategy.prepareForUpdate(old, old), one({ nodeName: "n" }));
    assert.equal(strategy.generation, "content");
  });

  it("VAL-044: is not created by PUT", () => {
    assert.equal(strategy.createOnUpdate, false);
  });

  it("accepts what is right", () => {
    const good = [
      slice(),
      slice({ endpoints: [], ports: undefined }),
      slice({ addressType: "IPv6", endpoints: [{ addresses: ["fd00::1"] }] }),
      slice({ addressType: "FQDN", endpoints: [{ addresses: ["a.example"] }] }),
      one({ hostname: "web-0", nodeName: "n1.example", hints: { forZones: [{ name: "z" }] } }),
    ];
    for (const object of good) assert.deepEqual(texts(object), []);
  });

  const zones = Array.from({ length: 9 }, (_, i) => ({ name: `z${String(i)}` }));
  const cases: readonly [id: string, object: EndpointSlice, ...expected: string[]][] = [
    ["VAL-039", slice({ addressType: undefined, endpoints: [] }), "addressType: Required value"],
    [
      "VAL-039",
      slice({ addressType: "IP", endpoints: [] }),
      'addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"',
    ],
    [
      "VAL-040",
      slice({ endpoints: addresses(1001).map((address) => ({ addresses: [address] })) }),
      "endpoints: Too many: 1001: must have at most 1000 items",
    ],
    [
      "VAL-040",
      one({ addresses: [] }),
      "endpoints[0].addresses: Required value: must contain at least 1 address",
    ],
    [
      "VAL-040",
      one({ addresses: addresses(101) }),
      "endpoints[0].addresses: Too many: 101: must have at most 100 items",
    ],
    [
      "VAL-040",
      one({ addresses: ["fd00::1"] }),
      'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address',
    ],
    [
      "VAL-040",
      one({ addresses: ["127.0.0.1"] }),
      'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
    [
      "VAL-040",
      slice({
        addressType: "IPv6",
        endpoints: [{ addresses: ["::"] }, { addresses: ["fe80::1"] }],
      }),
      'endpoints[0].addresses[0]: Invalid value: "::": may not be unspecified (::)',
      'endpoints[1].addresses[0]: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
    ],
    [
      "VAL-040",
      slice({ addressType: "FQDN", endpoints: [{ addresses: ["local"] }] }),
      'endpoints[0].addresses[0]: Invalid value: "local": should be a domain with at least two segments separated by dots',
    ],
    ["VAL-041", slice({ ports: [{ port: 1 }, { port: 2 }] }), 'ports[1].name: Duplicate value: ""'],
    [
      "VAL-041",
      slice({ ports: [{ port: 1, protocol: "ICMP" }] }),
      'ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ],
    [
      "VAL-042",
      one({ hints: { forZones: zones } }),
      "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items",
    ],
    [
      "VAL-042",
      one({ hints: { forNodes: [{ name: "n" }, { name: "n" }] } }),
      'endpoints[0].hints.forNodes[1].name: Duplicate value: "n"',
    ],
    [
      "VAL-042",
      one({ hints: { forZones: [{ name: "" }] } }),
      "endpoints[0].hints.forZones[0].name: Required value",
    ],
  ];
  for (const [id, object, ...expected] of cases) {
    it(`${id}: refuses with ${expected[0] ?? ""}`, () => {
      assert.deepEqual(texts(object), expected);
    });
  }

  it("VAL-039, VAL-042: refuses another address type, and names that are none", () => {
    const next = slice({ addressType: "FQDN", endpoints: [] });
    assert.deepEqual(
      strategy.validateUpdate(next, slice()).map((error) => `${error.field}: ${error.message}`),
      ['addressType: Invalid value: "FQDN": field is immutable'],
    );
    const fields = (object: EndpointSlice) =>
      strategy.validateCreate(object).map((error) => error.field);
    assert.deepEqual(fields(one({ hostname: "a.b", nodeName: "N" })), [
      "endpoints[0].nodeName",
      "endpoints[0].hostname",
    ]);
    assert.deepEqual(fields(slice({ ports: [{ name: "A" }] })), ["ports[0].name"]);
  });

  it("is printed as kubectl does", () => {
    const row = (object: EndpointSlice) => columns.map((column) => column.cell(object, 0));
    assert.deepEqual(
      columns.map((column) => column.name),
      ["Name", "AddressType", "Ports", "Endpoints", "Age"],
    );
    const many = addresses(5).map((address) => ({ addresses: [address] }));
    assert.deepEqual(row(slice({ endpoints: many, ports: [{ port: 80 }, { name: "x" }] })), [
      "web-1",
      "IPv4",
      "80,x",
      "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
      "<unknown>",
    ]);
    assert.deepEqual(row(slice({ endpoints: [], ports: undefined })).slice(2, 4), [
      "<unset>",
      "<unset>",
    ]);
  });
});
