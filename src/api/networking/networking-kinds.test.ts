import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ipAddressKind } from "./ipaddress.kind.ts";
import type { IPAddress } from "./ipaddress.ts";
import { serviceCidrKind } from "./servicecidr.kind.ts";
import { isReadyServiceCidr } from "./servicecidr.ts";
import type { ServiceCIDR } from "./servicecidr.ts";

const texts = (errors: readonly { readonly field: string; readonly message: string }[]) =>
  errors.map(({ field, message }) => `${field}: ${message}`);

function address(parentRef?: object): IPAddress {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: { name: "10.96.0.9" },
    spec: parentRef === undefined ? {} : { parentRef },
  };
}

function ranges(...cidrs: readonly string[]): ServiceCIDR {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: "more" },
    spec: { cidrs },
  };
}

const SERVICE = { resource: "services", namespace: "default", name: "web" };

describe("ipAddressKind", () => {
  const { strategy, columns } = ipAddressKind;

  it("ALLOC-013: takes a canonical address as name and nothing else", () => {
    const names: readonly (readonly [string, ...string[]])[] = [
      ["10.96.0.9"],
      ["2001:db8::1"],
      ["010.96.0.9", "must be a canonical format IP address"],
      ["2001:DB8::1", "must be a canonical format IP address"],
      ["2001:db8:0:0::1", "must be a canonical format IP address"],
      ["web", 'ParseAddr("web"): unable to parse IP'],
    ];
    for (const [name, ...problems] of names) {
      assert.deepEqual(strategy.nameProblems(name, false), problems, name);
    }
  });

  it("ALLOC-013: needs a parent that names an object", () => {
    const cases: readonly (readonly [object | undefined, ...string[]])[] = [
      [SERVICE],
      [{ group: "gateway.example.com", resource: "gateways", name: "edge" }],
      [undefined, "spec.parentRef: Required value"],
      [{}, "spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"],
      [
        { ...SERVICE, name: "a/b" },
        "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
      ],
      [
        { ...SERVICE, namespace: ".." },
        "spec.parentRef.namespace: Invalid value: \"..\": may not be '..'",
      ],
    ];
    for (const [parentRef, ...expected] of cases) {
      assert.deepEqual(texts(strategy.validateCreate(address(parentRef))), expected);
    }
    const [odd] = texts(strategy.validateCreate(address({ ...SERVICE, group: "Apps" })));
    assert.match(odd ?? "", /^spec.parentRef.group: Invalid value: "Apps": a lowercase RFC 1123/);
  });

  it("ALLOC-013: keeps its parent", () => {
    const old = address(SERVICE);
    assert.deepEqual(
      strategy.validateUpdate({ ...old, metadata: { name: "10.96.0.9", labels: { a: "b" } } }, old),
      [],
    );
    const [error] = texts(strategy.validateUpdate(address({ ...SERVICE, name: "db" }), old));
    assert.match(error ?? "", /^spec.parentRef: Invalid value: .*: field is immutable$/);
  });

  it("shows its parent as kubectl does", () => {
    const show = (parentRef?: object) => columns.map((one) => one.cell(address(parentRef), 0));
    assert.deepEqual(show(SERVICE), ["10.96.0.9", "services/default/web"]);
    const gateway = { group: "Gateway.example.com", resource: "gateways", name: "edge" };
    assert.deepEqual(show(gateway), ["10.96.0.9", "gateways.gateway.example.com/edge"]);
    assert.deepEqual(show(), ["10.96.0.9", "<none>"]);
  });
});

describe("serviceCidrKind", () => {
  const { strategy, columns } = serviceCidrKind;

  it("ALLOC-014: has one range or one of each family", () => {
    const more = "10.100.0.0/16";
    const cases: readonly (readonly [readonly string[], ...string[]])[] = [
      [[more]],
      [["fd00::/112", more]],
      [[], "spec.cidrs: Required value: at least one CIDR required"],
      [
        [more, "fd00::/112", "10.0.0.0/8"],
        'spec.cidrs: Invalid value: []string{"10.100.0.0/16", "fd00::/112", "10.0.0.0/8"}: may only hold up to 2 values',
      ],
      [
        [more, "10.101.0.0/16"],
        'spec.cidrs: Invalid value: []string{"10.100.0.0/16", "10.101.0.0/16"}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
      ],
      [
        ["10.100.0.0"],
        'spec.cidrs[0]: Invalid value: "10.100.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ],
      [
        ["10.100.0.1/16"],
        'spec.cidrs[0]: Invalid value: "10.100.0.1/16": must be in canonical form ("10.100.0.0/16")',
      ],
    ];
    for (const [cidrs, ...expected] of cases) {
      assert.deepEqual(texts(strategy.validateCreate(ranges(...cidrs))), expected);
    }
  });

  it("ALLOC-006: refuses IPv6 ranges wider than /64", () => {
    assert.deepEqual(texts(strategy.validateCreate(ranges("fd00::/64"))), []);
    assert.deepEqual(texts(strategy.validateCreate(ranges("fd00::/63"))), [
      'spec.cidrs[0]: Invalid value: "fd00::/63": shortest allowed prefix length for service CIDR is 64, got 63',
    ]);
  });

  it("ALLOC-014: keeps its ranges, but a second family may come", () => {
    const update = (before: readonly string[], after: readonly string[]) =>
      texts(strategy.validateUpdate(ranges(...after), ranges(...before)));
    const [one, other, six] = ["10.100.0.0/16", "10.101.0.0/16", "fd00::/112"];
    assert.deepEqual(update([one], [one]), []);
    assert.deepEqual(update([one], [one, six]), []);
    assert.deepEqual(update([one], [other]), [
      'spec.cidrs[0]: Invalid value: "10.101.0.0/16": field is immutable',
    ]);
    assert.deepEqual(update([one], [other, six]), [
      'spec.cidrs[0]: Invalid value: "10.101.0.0/16": field is immutable',
    ]);
    assert.deepEqual(update([one, six], [one]), [
      'spec.cidrs: Invalid value: []string{"10.100.0.0/16"}: field is immutable',
    ]);
  });

  it("ALLOC-017: is ready unless it says otherwise or is being deleted", () => {
    const condition = (status: string): ServiceCIDR => ({
      ...ranges("10.100.0.0/16"),
      status: {
        conditions: [
          {
            type: "Ready",
            status,
            reason: "",
            message: "",
            lastTransitionTime: "2026-01-01T00:00:00Z",
          },
        ],
      },
    });
    const plain = ranges("10.100.0.0/16");
    assert.equal(isReadyServiceCidr(plain), true);
    assert.equal(isReadyServiceCidr(condition("True")), true);
    assert.equal(isReadyServiceCidr(condition("False")), false);
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const leaving = { ...condition("True"), metadata: { name: "more", deletionTimestamp } };
    assert.equal(isReadyServiceCidr(leaving), false);
  });

  it("shows its ranges as kubectl does, and keeps status and spec apart", () => {
    const object = ranges("10.100.0.0/16", "fd00::/112");
    assert.equal(columns[1]?.cell(object, 0), "10.100.0.0/16,fd00::/112");
    const status = { conditions: [] };
    assert.deepEqual(strategy.prepareForCreate({ ...object, status }).status, {});
    assert.deepEqual(strategy.prepareForUpdate({ ...object, status }, object).status, undefined);
    const written = strategy.prepareForStatusUpdate?.({ ...ranges("10.0.0.0/8"), status }, object);
    assert.deepEqual([written?.spec, written?.status], [object.spec, status]);
  });
});
