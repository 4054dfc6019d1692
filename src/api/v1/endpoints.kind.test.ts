import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointsKind } from "./endpoints.kind.ts";
import type { Endpoints } from "./endpoints.ts";

const { strategy, columns, deprecation } = endpointsKind;

function endpoints(...subsets: readonly object[]): Endpoints {
  const metadata = { name: "web", namespace: "default" };
  const object = { apiVersion: "v1", kind: "Endpoints", metadata, subsets };
  // Tests put in what clients may send, not what the type allows.
  return strategy.defaults(object as unknown as Endpoints);
}
const texts = (object: Endpoints): readonly string[] =>
  strategy.validateCreate(object).map((error) => `${error.field}: ${error.message}`);
const ip = { ip: "10.0.0.1" };
const at = "subsets[0]";

describe("endpointsKind", () => {
  it("completes the protocol of ports", () => {
    assert.deepEqual(endpoints({ addresses: [ip], ports: [{ port: 80 }] }).subsets?.[0]?.ports, [
      { port: 80, protocol: "TCP" },
    ]);
  });

  const cases: readonly [object: Endpoints, ...expected: string[]][] = [
    [endpoints({ addresses: [ip], ports: [{ port: 80 }] })],
    [endpoints({ notReadyAddresses: [{ ...ip, hostname: "web-0", nodeName: "n1" }] })],
    [
      endpoints({ ports: [{ port: 80 }] }),
      `${at}: Required value: must specify \`addresses\` or \`notReadyAddresses\``,
    ],
    [
      endpoints({ addresses: [{ ip: "x" }] }),
      `${at}.addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
    ],
    [
      endpoints({ notReadyAddresses: [{ ip: "127.0.0.1" }] }),
      `${at}.notReadyAddresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
    ],
    [
      endpoints({ addresses: [ip], ports: [{ port: 80 }, { port: 81, name: "b" }] }),
      `${at}.ports[0].name: Required value`,
    ],
    [
      endpoints({ addresses: [ip], ports: [{ port: 0 }] }),
      `${at}.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive`,
    ],
  ];
  for (const [object, ...expected] of cases) {
    it(`VAL-045: ${expected[0] ?? `accepts ${JSON.stringify(object.subsets)}`}`, () => {
      assert.deepEqual(texts(object), expected);
    });
  }

  it("VAL-046: warns that it is deprecated", () => {
    assert.equal(
      deprecation,
      "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    );
  });

  it("is printed as kubectl does", () => {
    const cell = (object: Endpoints) => columns[1]?.cell(object, 0);
    const addresses = [ip, { ip: "fd00::1" }];
    assert.equal(cell(endpoints()), "<none>");
    assert.equal(cell(endpoints({ addresses })), "10.0.0.1,fd00::1");
    const ports = [{ port: 80 }, { port: 443, name: "b" }];
    assert.equal(
      cell(endpoints({ addresses, ports })),
      "10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...",
    );
  });
});
