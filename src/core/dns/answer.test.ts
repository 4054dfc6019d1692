import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  indexOf,
  outcome,
  service,
  short,
  slice,
  zoneOptions as options,
} from "../../../test/dns/zone.ts";
import { keyOf } from "../../api/machinery/object-key.ts";
import { answer } from "./answer.ts";
import type { Decision } from "./answer.ts";
import type { DnsIndex } from "./dns-index.ts";
import { formatDomainName, parseDomainName } from "./domain-name.ts";
import { CLASS_IN, TCP_BYTES, TYPE } from "./message.ts";
import type { ZoneOptions } from "./records.ts";
import { serviceView } from "./views.ts";
import { formatRecord } from "./zone-text.ts";

const http = { name: "http", protocol: "TCP", port: 80 } as const;

const services = [
  service("web", {
    type: "ClusterIP",
    clusterIP: "10.96.0.10",
    clusterIPs: ["10.96.0.10", "fd00:10::a"],
    ports: [http, { name: "dns", protocol: "UDP", port: 53 }],
  }),
  service("plain", {
    type: "NodePort",
    clusterIP: "10.96.0.11",
    clusterIPs: ["10.96.0.11"],
    ports: [{ protocol: "TCP", port: 80 }],
  }),
  service("1st", {
    type: "LoadBalancer",
    clusterIP: "10.96.0.12",
    clusterIPs: ["10.96.0.12"],
    ports: [{ name: "HTTP-alt", protocol: "TCP", port: 80 }],
  }),
  service("db", { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
  service("empty", { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
  service("portless", { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"] }),
  service("outside", { type: "ExternalName", externalName: "api.example.com" }),
  service("inside", { type: "ExternalName", externalName: "web.default.svc.cluster.local." }),
  service("nowhere", { type: "ExternalName", externalName: "gone.default.svc.cluster.local" }),
  service("literal", { type: "ExternalName", externalName: "192.0.2.1" }),
  service("loop", { type: "ExternalName", externalName: "loop.default.svc.cluster.local" }),
  service("self", { type: "ExternalName", externalName: "localhost" }),
];

const slices = [
  slice("web", [{ addresses: ["10.112.0.1"] }, { addresses: ["10.112.0.2"], hostname: "two" }]),
  slice("db", [
    { addresses: ["10.112.0.5"], hostname: "db-0", conditions: { ready: true } },
    { addresses: ["10.112.0.6"], hostname: "db-1" },
    { addresses: ["10.112.0.7"], hostname: "twin" },
    { addresses: ["10.112.0.8"], hostname: "twin" },
    { addresses: ["10.112.0.9"], hostname: "late", conditions: { ready: false } },
    {
      addresses: ["10.112.0.10"],
      hostname: "leaving",
      conditions: { ready: false, serving: true, terminating: true },
    },
  ]),
  slice(
    "db",
    [{ addresses: ["fd00:112::5"], hostname: "db-0" }, { addresses: ["fd00:112::"] }],
    undefined,
    {
      suffix: "v6",
      addressType: "IPv6",
    },
  ),
  slice("empty", [{ addresses: ["10.112.0.20"], conditions: { ready: false } }]),
  slice("portless", [{ addresses: ["10.112.0.5"], hostname: "member" }], []),
];

const cluster = indexOf(services, slices);

function ask(
  name: string,
  type: keyof typeof TYPE,
  index: DnsIndex | undefined = cluster,
  rotation = 0,
  changed: Partial<ZoneOptions> = {},
): Decision {
  const parsed = parseDomainName(name);
  assert.ok(parsed, `not a name: ${name}`);
  const question = { name: parsed, type: TYPE[type], class: CLASS_IN };
  return answer(question, index, { ...options, ...changed }, rotation, TCP_BYTES);
}

/** A question (`~` stands for the cluster domain), and the outcome's lines. */
type Case = readonly [name: string, type: keyof typeof TYPE, ...outcome: string[]];

function holds(id: string, cases: readonly Case[]): void {
  for (const [name, type, ...expected] of cases) {
    it(`${id}: ${name} ${type} -> ${expected.join("; ")}`, () => {
      const full = name.replace("~", "cluster.local.");
      assert.deepEqual(outcome(ask(full, type)), expected);
    });
  }
}

describe("answer() for Services with a cluster IP", () => {
  holds("DNS-001", [
    ["web.default.svc.~", "A", "NOERROR", "web.default.svc.~ A 10.96.0.10"],
    ["plain.default.svc.~", "A", "NOERROR", "plain.default.svc.~ A 10.96.0.11"],
  ]);
  it("DUAL-019: a Service of two families has an address of each", () => {
    const addresses = (["A", "AAAA"] as const).map((type) =>
      outcome(ask("web.default.svc.cluster.local.", type)),
    );
    assert.deepEqual(addresses, [
      ["NOERROR", "web.default.svc.~ A 10.96.0.10"],
      ["NOERROR", "web.default.svc.~ AAAA fd00:10::a"],
    ]);
  });
  holds("DNS-035", [["web.default.svc.~", "AAAA", "NOERROR", "web.default.svc.~ AAAA fd00:10::a"]]);
  holds("DNS-002", [
    [
      "_http._tcp.web.default.svc.~",
      "SRV",
      "NOERROR",
      "_http._tcp.web.default.svc.~ SRV 0 100 80 web.default.svc.~",
    ],
    ["_dns._tcp.web.default.svc.~", "SRV", "NXDOMAIN SOA"],
    ["_._tcp.plain.default.svc.~", "SRV", "NXDOMAIN SOA"],
    [
      "_http-alt._tcp.1st.default.svc.~",
      "A",
      "NOERROR",
      "_http-alt._tcp.1st.default.svc.~ A 10.96.0.12",
    ],
  ]);
  holds("DNS-003", [
    [
      "10.0.96.10.in-addr.arpa.",
      "PTR",
      "NOERROR",
      "10.0.96.10.in-addr.arpa. PTR web.default.svc.~",
    ],
    [
      "A.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
      "PTR",
      "NOERROR",
      "A.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa. PTR web.default.svc.~",
    ],
    ["10.0.96.10.in-addr.arpa.", "A", "NOERROR SOA"],
  ]);
  holds("DNS-034", [["1st.default.svc.~", "A", "NOERROR", "1st.default.svc.~ A 10.96.0.12"]]);
  holds("DNS-036", [["1st.default.svc.~", "AAAA", "NOERROR SOA"]]);
  holds("DNS-025", [
    [
      "web.default.svc.~",
      "SRV",
      "NOERROR",
      "web.default.svc.~ SRV 0 50 53 web.default.svc.~",
      "web.default.svc.~ SRV 0 50 80 web.default.svc.~",
    ],
    [
      "plain.default.svc.~",
      "SRV",
      "NOERROR",
      "plain.default.svc.~ SRV 0 100 80 plain.default.svc.~",
    ],
  ]);
  holds("DNS-039", [
    ["two.web.default.svc.~", "A", "NOERROR", "two.web.default.svc.~ A 10.112.0.2"],
    ["10-112-0-1.web.default.svc.~", "A", "NOERROR", "10-112-0-1.web.default.svc.~ A 10.112.0.1"],
    ["10-112-0-9.web.default.svc.~", "A", "NXDOMAIN SOA"],
  ]);
});

describe("answer() for headless Services", () => {
  holds("DNS-004", [
    [
      "db.default.svc.~",
      "A",
      "NOERROR",
      "db.default.svc.~ A 10.112.0.5",
      "db.default.svc.~ A 10.112.0.6",
      "db.default.svc.~ A 10.112.0.7",
      "db.default.svc.~ A 10.112.0.8",
    ],
  ]);
  holds("DNS-035", [
    [
      "db.default.svc.~",
      "AAAA",
      "NOERROR",
      "db.default.svc.~ AAAA fd00:112::",
      "db.default.svc.~ AAAA fd00:112::5",
    ],
  ]);
  holds("DNS-005", [
    ["empty.default.svc.~", "A", "NXDOMAIN SOA"],
    ["empty.default.svc.~", "AAAA", "NXDOMAIN SOA"],
    ["_http._tcp.empty.default.svc.~", "SRV", "NXDOMAIN SOA"],
  ]);
  holds("DNS-006", [
    [
      "_http._tcp.db.default.svc.~",
      "SRV",
      "NOERROR",
      "_http._tcp.db.default.svc.~ SRV 0 25 8080 db-0.db.default.svc.~",
      "_http._tcp.db.default.svc.~ SRV 0 25 8080 db-1.db.default.svc.~",
      "_http._tcp.db.default.svc.~ SRV 0 25 8080 fd00-112--0.db.default.svc.~",
      "_http._tcp.db.default.svc.~ SRV 0 25 8080 twin.db.default.svc.~",
    ],
  ]);
  holds("DNS-007", [
    ["db-0.db.default.svc.~", "A", "NOERROR", "db-0.db.default.svc.~ A 10.112.0.5"],
    ["db-0.db.default.svc.~", "AAAA", "NOERROR", "db-0.db.default.svc.~ AAAA fd00:112::5"],
    ["db-1.db.default.svc.~", "AAAA", "NOERROR SOA"],
  ]);
  holds("DNS-008", [
    [
      "fd00-112--0.db.default.svc.~",
      "AAAA",
      "NOERROR",
      "fd00-112--0.db.default.svc.~ AAAA fd00:112::",
    ],
  ]);
  holds("DNS-009", [
    [
      "twin.db.default.svc.~",
      "A",
      "NOERROR",
      "twin.db.default.svc.~ A 10.112.0.7",
      "twin.db.default.svc.~ A 10.112.0.8",
    ],
  ]);
  holds("DNS-010", [
    [
      "5.0.112.10.in-addr.arpa.",
      "PTR",
      "NOERROR",
      "5.0.112.10.in-addr.arpa. PTR db-0.db.default.svc.~",
      "5.0.112.10.in-addr.arpa. PTR member.portless.default.svc.~",
    ],
    ["9.0.112.10.in-addr.arpa.", "PTR", "forward"],
  ]);
  holds("DNS-032", [
    ["leaving.db.default.svc.~", "A", "NXDOMAIN SOA"],
    ["late.db.default.svc.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-037", [
    ["portless.default.svc.~", "A", "NOERROR", "portless.default.svc.~ A 10.112.0.5"],
    ["member.portless.default.svc.~", "A", "NOERROR", "member.portless.default.svc.~ A 10.112.0.5"],
    ["portless.default.svc.~", "SRV", "NOERROR SOA"],
  ]);
  it("DNS-014: an unready Pod that is published has ready=true in its slice, and so is listed", () => {
    const published = slice("db", [
      { addresses: ["10.112.0.9"], conditions: { ready: true, serving: false, terminating: true } },
    ]);
    const index = indexOf(services, [published]);
    assert.deepEqual(outcome(ask("db.default.svc.cluster.local", "A", index)), [
      "NOERROR",
      "db.default.svc.~ A 10.112.0.9",
    ]);
  });
  it("DNS-006: SRV targets come with their addresses, each once", () => {
    const decision = ask("_http._tcp.db.default.svc.cluster.local", "SRV");
    assert.ok(decision.kind === "answer");
    assert.deepEqual(decision.additional.map(short).toSorted(), [
      "db-0.db.default.svc.~ A 10.112.0.5",
      "db-0.db.default.svc.~ AAAA fd00:112::5",
      "db-1.db.default.svc.~ A 10.112.0.6",
      "fd00-112--0.db.default.svc.~ AAAA fd00:112::",
      "twin.db.default.svc.~ A 10.112.0.7",
      "twin.db.default.svc.~ A 10.112.0.8",
    ]);
  });
});

describe("answer() for ExternalName Services", () => {
  const cname = "outside.default.svc.~ CNAME api.example.com.";
  holds("DNS-011", [
    ["outside.default.svc.~", "CNAME", "NOERROR", cname],
    ["outside.default.svc.~", "A", "chase", cname, "api.example.com."],
    ["outside.default.svc.~", "AAAA", "chase", cname, "api.example.com."],
    ["outside.default.svc.~", "ANY", "NOERROR", cname],
    [
      "self.default.svc.~",
      "A",
      "NOERROR",
      "localhost. A 127.0.0.1",
      "self.default.svc.~ CNAME localhost.",
    ],
    ["literal.default.svc.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-013", [
    ["x.outside.default.svc.~", "A", "NXDOMAIN SOA"],
    ["outside.default.svc.~", "SRV", "NOERROR SOA"],
    ["_http._tcp.outside.default.svc.~", "SRV", "NXDOMAIN SOA"],
  ]);
  holds("DNS-038", [
    [
      "inside.default.svc.~",
      "A",
      "NOERROR",
      "inside.default.svc.~ CNAME web.default.svc.~",
      "web.default.svc.~ A 10.96.0.10",
    ],
    // RFC 6604: the code is that of the last name; the CNAME stays.
    [
      "nowhere.default.svc.~",
      "A",
      "NXDOMAIN SOA",
      "nowhere.default.svc.~ CNAME gone.default.svc.~",
    ],
    ["loop.default.svc.~", "A", "servfail"],
  ]);
  it("DNS-012: a changed ExternalName gives the new CNAME, and a Service of another type an address", () => {
    const index = indexOf(services, slices);
    const renamed = service("outside", { type: "ExternalName", externalName: "b.example.com" });
    index.setService(keyOf(renamed), serviceView(renamed));
    assert.deepEqual(outcome(ask("outside.default.svc.cluster.local", "CNAME", index)), [
      "NOERROR",
      "outside.default.svc.~ CNAME b.example.com.",
    ]);
    const turned = service("outside", { type: "ClusterIP", clusterIPs: ["10.96.0.99"] });
    index.setService(keyOf(turned), serviceView(turned));
    assert.deepEqual(outcome(ask("outside.default.svc.cluster.local", "A", index)), [
      "NOERROR",
      "outside.default.svc.~ A 10.96.0.99",
    ]);
  });
});

describe("answer() for the rest of the zone", () => {
  holds("DNS-015", [
    ["dns-version.~", "TXT", "NOERROR", 'dns-version.~ TXT "1.1.0"'],
    ["dns-version.~", "A", "NOERROR SOA"],
    ["x.dns-version.~", "TXT", "NXDOMAIN SOA"],
  ]);
  holds("DNS-016", [
    [
      "WeB.Default.SVC.Cluster.LOCAL.",
      "A",
      "NOERROR",
      "WeB.Default.SVC.Cluster.LOCAL. A 10.96.0.10",
    ],
  ]);
  holds("DNS-019", [
    ["web.default.svc.~", "TXT", "NOERROR SOA"],
    ["gone.default.svc.~", "A", "NXDOMAIN SOA"],
    ["web.gone.svc.~", "AAAA", "NXDOMAIN SOA"],
    ["gone.default.svc.~", "SOA", "NXDOMAIN SOA"],
    ["*.default.svc.~", "A", "NXDOMAIN SOA"],
    ["_tcp.web.default.svc.~", "A", "NOERROR SOA"],
    ["_tcp.db.default.svc.~", "SRV", "NOERROR SOA"],
    ["_udp.db.default.svc.~", "SRV", "NXDOMAIN SOA"],
  ]);
  holds("DNS-020", [
    ["svc.~", "A", "NOERROR SOA"],
    ["pod.~", "A", "NOERROR SOA"],
    ["quiet.svc.~", "A", "NOERROR SOA"],
    ["gone.svc.~", "A", "NXDOMAIN SOA"],
    ["gone.pod.~", "A", "NXDOMAIN SOA"],
    ["other.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-021", [
    ["~", "NS", "NOERROR", "~ NS ns.dns.~"],
    ["~", "A", "NOERROR SOA"],
    ["~", "AXFR", "REFUSED"],
    ["ns.dns.~", "A", "NOERROR", "ns.dns.~ A 127.0.0.1"],
    ["ns.dns.~", "AAAA", "NOERROR SOA"],
    ["dns.~", "A", "NOERROR SOA"],
    ["x.dns.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-024", [
    ["a._http._tcp.web.default.svc.~", "A", "NXDOMAIN SOA"],
    ["a.10-0-0-1.default.pod.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-027", [
    ["10-1-2-3.default.pod.~", "A", "NOERROR", "10-1-2-3.default.pod.~ A 10.1.2.3"],
    ["10-1-2-3.default.pod.~", "AAAA", "NOERROR SOA"],
    ["fd00--1.default.pod.~", "AAAA", "NOERROR", "fd00--1.default.pod.~ AAAA fd00::1"],
    ["10-1-2.default.pod.~", "A", "NXDOMAIN SOA"],
    ["10-1-2-3.gone.pod.~", "A", "NXDOMAIN SOA"],
  ]);
  holds("DNS-029", [
    ["example.com.", "A", "forward"],
    ["xcluster.local.", "A", "forward"],
    ["local.", "A", "forward"],
  ]);
  holds("DNS-030", [
    ["99.0.96.10.in-addr.arpa.", "PTR", "forward"],
    ["96.10.in-addr.arpa.", "PTR", "forward"],
    ["in-addr.arpa.", "PTR", "NOERROR SOA"],
    ["010.0.96.10.in-addr.arpa.", "PTR", "forward"],
  ]);
  holds("RFC 6761", [
    ["localhost.", "AAAA", "NOERROR", "localhost. AAAA ::1"],
    ["app.localhost.", "A", "NOERROR", "app.localhost. A 127.0.0.1"],
    ["localhost.", "TXT", "NOERROR SOA"],
  ]);
  holds("RFC 8482", [
    ["web.default.svc.~", "ANY", "NOERROR", "web.default.svc.~ HINFO 075246433834383200"],
  ]);

  it("DNS-021: the apex's SOA names ns.dns and hostmaster, and its serial grows with each change", () => {
    const index = indexOf([], []);
    assert.deepEqual(outcome(ask("cluster.local", "SOA", index)), [
      "NOERROR",
      "~ SOA ns.dns.~ hostmaster.~ 1002 7200 1800 86400 5",
    ]);
    index.setNamespace("new", true);
    assert.deepEqual(outcome(ask("cluster.local", "SOA", index)), [
      "NOERROR",
      "~ SOA ns.dns.~ hostmaster.~ 1003 7200 1800 86400 5",
    ]);
  });

  it("DNS-022, DNS-023: answers are authoritative and have the time to live that was set", () => {
    const decision = ask("web.default.svc.cluster.local", "A", cluster, 0, { ttlSeconds: 30 });
    assert.ok(decision.kind === "answer");
    assert.equal(decision.authoritative, true);
    assert.deepEqual(decision.answers.map(formatRecord), [
      "web.default.svc.cluster.local. 30 IN A 10.96.0.10",
    ]);
  });

  it("DNS-016: the zone of SRV targets and of the SOA has the letters of the question", () => {
    const srv = ask("_http._tcp.web.default.svc.CLUSTER.local", "SRV");
    assert.ok(srv.kind === "answer");
    assert.deepEqual(srv.answers.map(formatRecord), [
      "_http._tcp.web.default.svc.CLUSTER.local. 5 IN SRV 0 100 80 web.default.svc.CLUSTER.local.",
    ]);
    const missing = ask("nope.CLUSTER.local", "A");
    assert.ok(missing.kind === "answer");
    assert.deepEqual(
      missing.authority.map(({ name }) => formatDomainName(name)),
      ["CLUSTER.local."],
    );
  });

  it("DNS-028: before the first sync the cluster's names get SERVFAIL, all others are forwarded", () => {
    const unsynced = (name: string): Decision =>
      answer(
        { name: parseDomainName(name) ?? [], type: TYPE.A, class: CLASS_IN },
        undefined,
        options,
        0,
        TCP_BYTES,
      );
    assert.deepEqual(outcome(unsynced("web.default.svc.cluster.local")), ["servfail"]);
    assert.deepEqual(outcome(unsynced("10.0.96.10.in-addr.arpa")), ["servfail"]);
    assert.deepEqual(outcome(unsynced("1.1.1.1.in-addr.arpa")), ["forward"]);
    assert.deepEqual(outcome(unsynced("example.com")), ["forward"]);
  });

  it("DNS-027: disabled names of Pods do not exist", () => {
    const decision = ask("10-1-2-3.default.pod.cluster.local", "A", cluster, 0, {
      podRecords: "disabled",
    });
    assert.deepEqual(outcome(decision), ["NXDOMAIN SOA"]);
  });

  it("DNS-033: the rotation says which address comes first, and loses none", () => {
    const firsts = [0, 1, 2, 3, 4].map((rotation) => {
      const decision = ask("db.default.svc.cluster.local", "A", cluster, rotation);
      assert.ok(decision.kind === "answer");
      assert.equal(new Set(decision.answers.map(formatRecord)).size, 4);
      const data = decision.answers[0]?.data;
      return data?.kind === "A" ? data.address : undefined;
    });
    assert.deepEqual(firsts, [
      "10.112.0.5",
      "10.112.0.6",
      "10.112.0.7",
      "10.112.0.8",
      "10.112.0.5",
    ]);
  });

  it("DNS-018: no more records are made than could fit, and one more, starting at the rotation", () => {
    const [name, type] = [["db", "default", "svc", "cluster", "local"], TYPE.A];
    const firsts = [0, 1, 2, 3].map((rotation) => {
      const decision = answer({ name, type, class: CLASS_IN }, cluster, options, rotation, 32);
      assert.ok(decision.kind === "answer");
      return decision.answers.map(({ data }) => (data.kind === "A" ? data.address : ""));
    });
    assert.deepEqual(firsts, [
      ["10.112.0.5", "10.112.0.6", "10.112.0.7"],
      ["10.112.0.6", "10.112.0.7", "10.112.0.8"],
      ["10.112.0.7", "10.112.0.8", "10.112.0.5"],
      ["10.112.0.8", "10.112.0.5", "10.112.0.6"],
    ]);
  });

  it("a class other than IN is refused", () => {
    const decision = answer(
      { name: ["cluster", "local"], type: TYPE.TXT, class: 3 },
      cluster,
      options,
      0,
      TCP_BYTES,
    );
    assert.deepEqual(outcome(decision), ["REFUSED"]);
  });
});
