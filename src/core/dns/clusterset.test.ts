import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { outcome, slice, zoneOptions } from "../../../test/dns/zone.ts";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { ServiceImport } from "../../api/multicluster/serviceimport.ts";
import { answer } from "./answer.ts";
import { importedSliceView, serviceImportView } from "./clusterset-views.ts";
import { decodeMessage } from "./decode.ts";
import type { Query } from "./decode.ts";
import { DnsIndex } from "./dns-index.ts";
import { formatDomainName, parseDomainName } from "./domain-name.ts";
import { CLASS_IN, RCODE, TCP_BYTES, TYPE } from "./message.ts";
import type { ZoneOptions } from "./records.ts";
import { zoneTransfer } from "./transfer.ts";
import { formatRecord } from "./zone-text.ts";

const options: ZoneOptions = {
  ...zoneOptions,
  zones: [["clusterset", "local"]],
  fallthrough: [],
  reverseCidrs: undefined,
  isClusterset: true,
};

function imported(name: string, spec: Partial<ServiceImport["spec"]>): ServiceImport {
  return {
    apiVersion: "multicluster.x-k8s.io/v1alpha1",
    kind: "ServiceImport",
    metadata: { name, namespace: "shop" },
    spec: { type: "ClusterSetIP", ...spec },
  };
}

/** The slice of a Service in another cluster. */
function from(
  cluster: string | undefined,
  service: string,
  endpoints: Parameters<typeof slice>[1],
  ports?: EndpointSlice["ports"],
): EndpointSlice {
  const suffix = cluster ?? "nowhere";
  const { metadata, ...rest } = slice(service, endpoints, ports, { namespace: "shop", suffix });
  const labels = {
    "multicluster.kubernetes.io/service-name": service,
    ...(cluster === undefined ? {} : { "multicluster.kubernetes.io/source-cluster": cluster }),
  };
  return { ...rest, metadata: { ...metadata, labels } };
}

function indexOf(imports: readonly ServiceImport[], slices: readonly EndpointSlice[]): DnsIndex {
  const index = new DnsIndex();
  index.setNamespace("shop", true);
  for (const each of imports) index.setService(keyOf(each), serviceImportView(each));
  for (const each of slices) index.setSlice(keyOf(each), importedSliceView(each));
  return index;
}

const https = { name: "https", protocol: "TCP", port: 443 } as const;
const index = indexOf(
  [
    imported("web", { ips: ["10.42.42.42", "fd00:42::1"], ports: [https, { port: 9000 }] }),
    imported("db", { type: "Headless", ports: [https] }),
    imported("idle", { type: "Headless", ports: [https] }),
  ],
  [
    from("east", "web", [{ addresses: ["10.1.0.9"], hostname: "w" }]),
    from("east", "db", [
      { addresses: ["10.1.0.5"], hostname: "db-0" },
      { addresses: ["10.1.0.6"] },
      { addresses: ["10.1.0.7"], conditions: { ready: false } },
    ]),
    from("West", "db", [{ addresses: ["10.2.0.5"], hostname: "db-0" }]),
    from(undefined, "db", [{ addresses: ["10.3.0.5"], hostname: "stray" }]),
    // This cluster's own: it has no names in the set.
    slice("db", [{ addresses: ["10.9.0.1"] }], undefined, { namespace: "shop", suffix: "own" }),
  ],
);

function ask(name: string, type: number, zone = options): readonly string[] {
  const question = { name: parseDomainName(name) ?? [], type, class: CLASS_IN };
  return outcome(answer(question, index, zone, 0, TCP_BYTES)).map((line) =>
    line.replaceAll("clusterset.local.", "~"),
  );
}

/** Questions below the zone, their types, and what they are answered with. */
const CASES: readonly (readonly [string, keyof typeof TYPE, ...string[]])[] = [
  ["dns-version", "TXT", "NOERROR", 'dns-version.~ TXT "1.0.0"'],
  ["web.shop.svc", "A", "NOERROR", "web.shop.svc.~ A 10.42.42.42"],
  ["web.shop.svc", "AAAA", "NOERROR", "web.shop.svc.~ AAAA fd00:42::1"],
  ["web.shop.svc", "TXT", "NOERROR SOA"],
  [
    "_https._tcp.web.shop.svc",
    "SRV",
    "NOERROR",
    "_https._tcp.web.shop.svc.~ SRV 0 100 443 web.shop.svc.~",
  ],
  // No cluster of the set can be chosen where it has one address for all (KEP-1645).
  ["east.web.shop.svc", "A", "NXDOMAIN SOA"],
  ["w.east.web.shop.svc", "A", "NXDOMAIN SOA"],
  [
    "db.shop.svc",
    "A",
    "NOERROR",
    ...["10.1.0.5", "10.1.0.6", "10.2.0.5", "10.3.0.5"].map((each) => `db.shop.svc.~ A ${each}`),
  ],
  ["db-0.east.db.shop.svc", "A", "NOERROR", "db-0.east.db.shop.svc.~ A 10.1.0.5"],
  ["DB-0.West.db.shop.svc", "A", "NOERROR", "DB-0.West.db.shop.svc.~ A 10.2.0.5"],
  ["10-1-0-6.east.db.shop.svc", "A", "NOERROR", "10-1-0-6.east.db.shop.svc.~ A 10.1.0.6"],
  ["stray.db.shop.svc", "A", "NOERROR", "stray.db.shop.svc.~ A 10.3.0.5"],
  // The name of a cluster has others below it.
  ["east.db.shop.svc", "A", "NOERROR SOA"],
  ["st.db.shop.svc", "A", "NXDOMAIN SOA"],
  ["north.db.shop.svc", "A", "NXDOMAIN SOA"],
  ["db-1.east.db.shop.svc", "A", "NXDOMAIN SOA"],
  ["db-0.db.shop.svc", "A", "NXDOMAIN SOA"],
  [
    "_http._tcp.db.shop.svc",
    "SRV",
    "NOERROR",
    ...["10-1-0-6.east", "db-0.east", "db-0.west", "stray"].map(
      (each) => `_http._tcp.db.shop.svc.~ SRV 0 25 8080 ${each}.db.shop.svc.~`,
    ),
  ],
  ["_tcp.db.shop.svc", "SRV", "NOERROR SOA"],
  ["_https._udp.db.shop.svc", "SRV", "NXDOMAIN SOA"],
  ["idle.shop.svc", "A", "NXDOMAIN SOA"],
  ["gone.shop.svc", "A", "NXDOMAIN SOA"],
  ["shop.svc", "A", "NOERROR SOA"],
  ["bare.svc", "A", "NXDOMAIN SOA"],
  ["svc", "A", "NOERROR SOA"],
  ["pod", "A", "NXDOMAIN SOA"],
  ["10-1-0-5.shop.pod", "A", "NXDOMAIN SOA"],
];

describe("answer() in a clusterset's zone (KEP-1645)", () => {
  for (const [name, type, ...expected] of CASES) {
    it(`${name} ${type}: ${expected[0] ?? ""}`, () => {
      assert.deepEqual(ask(`${name}.clusterset.local`, TYPE[type]), expected);
    });
  }

  it("has SOA and NS at the top, and its serial number grows with each change", () => {
    const serial = String(1000 + index.changes);
    assert.deepEqual(ask("clusterset.local", TYPE.SOA), [
      "NOERROR",
      `~ SOA ns.dns.~ hostmaster.~ ${serial} 7200 1800 86400 5`,
    ]);
    assert.deepEqual(ask("clusterset.local", TYPE.NS), ["NOERROR", "~ NS ns.dns.~"]);
  });

  it("gives an address the name of its Service, or of the endpoint with its cluster", () => {
    const reverse = (address: string): readonly string[] =>
      ask(`${address.split(".").toReversed().join(".")}.in-addr.arpa`, TYPE.PTR).slice(1);
    assert.match(reverse("10.42.42.42")[0] ?? "", / PTR web\.shop\.svc\.~$/);
    assert.match(reverse("10.2.0.5")[0] ?? "", / PTR db-0\.west\.db\.shop\.svc\.~$/);
    // An endpoint behind an address of the set has no name that this could lead to.
    assert.deepEqual(ask("9.0.1.10.in-addr.arpa", TYPE.PTR), ["NXDOMAIN SOA"]);
  });

  it("ignore empty_service: an address of the set without ready endpoints does not exist", () => {
    const alone = indexOf([imported("web", { ips: ["10.42.42.42"] })], []);
    const question = { name: ["web", "shop", "svc", "clusterset", "local"], type: 1, class: 1 };
    const asked = (ignoresEmptyServices: boolean): readonly string[] =>
      outcome(answer(question, alone, { ...options, ignoresEmptyServices }, 0, TCP_BYTES));
    assert.deepEqual(asked(true), ["NXDOMAIN SOA"]);
    assert.equal(asked(false)[0], "NOERROR");
  });

  it("is SERVFAIL until the set is known", () => {
    const question = { name: ["web", "shop", "svc", "clusterset", "local"], type: 1, class: 1 };
    assert.equal(answer(question, undefined, options, 0, TCP_BYTES).kind, "servfail");
  });

  it("is transferred whole, with the clusters in the endpoints' names", () => {
    const query: Query = {
      id: 7,
      question: { name: ["clusterset", "local"], type: TYPE.AXFR, class: CLASS_IN },
      recursionDesired: false,
      authenticData: false,
      checkingDisabled: false,
      edns: undefined,
    };
    const [message] = zoneTransfer(query, index, options, undefined) ?? [];
    assert.ok(message);
    const lines = decodeMessage(message)?.answers.map(formatRecord) ?? [];
    for (const wanted of [
      "web.shop.svc.clusterset.local. 5 IN A 10.42.42.42",
      "db-0.west.db.shop.svc.clusterset.local. 5 IN A 10.2.0.5",
      "_http._tcp.db.shop.svc.clusterset.local. 5 IN SRV 0 25 8080 db-0.west.db.shop.svc.clusterset.local.",
    ])
      assert.ok(lines.includes(wanted), `${wanted} is not in\n${lines.join("\n")}`);
  });

  it("names in SRV records are names, and have exactly the endpoints' addresses", () => {
    const label = fc.stringMatching(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/);
    const members = fc.uniqueArray(
      fc.record({ cluster: label, hostname: fc.option(label, { nil: undefined }) }),
      { minLength: 1, maxLength: 5, selector: (each) => JSON.stringify(each) },
    );
    fc.assert(
      fc.property(label, members, (name, each) => {
        const slices = each.map(({ cluster, hostname }, i) =>
          from(cluster, name, [{ addresses: [`10.7.0.${String(i)}`], hostname }]),
        );
        const named = slices.map((one, i) => ({
          ...one,
          metadata: { ...one.metadata, name: `s${String(i)}` },
        }));
        const own = indexOf([imported(name, { type: "Headless" })], named);
        const lookup = (owner: readonly string[], type: number) => {
          const question = { name: owner, type, class: CLASS_IN };
          const decision = answer(question, own, options, 0, TCP_BYTES);
          assert.equal(decision.kind, "answer");
          return decision;
        };
        const owner = [name, "shop", "svc", "clusterset", "local"];
        const targets = lookup(owner, TYPE.SRV).answers.flatMap(({ data }) =>
          data.kind === "SRV" ? [data.target] : [],
        );
        const found = targets.flatMap((target) => {
          assert.ok(parseDomainName(formatDomainName(target)), formatDomainName(target));
          const { rcode, answers } = lookup(target, TYPE.A);
          assert.equal(rcode, RCODE.NOERROR);
          return answers.map(({ data }) => (data.kind === "A" ? data.address : ""));
        });
        const fitting = each.flatMap(({ cluster, hostname }, i) => {
          const address = `10.7.0.${String(i)}`;
          const first = hostname ?? address.replaceAll(".", "-");
          return parseDomainName([first, cluster, ...owner].join(".")) === undefined
            ? []
            : [address];
        });
        assert.deepEqual([...new Set(found)].toSorted(), fitting.toSorted());
      }),
      { numRuns: 200 },
    );
  });
});
