import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { indexOf, outcome, service, slice, zoneOptions } from "../../../test/dns/zone.ts";
import { keyOf, objectKey } from "../../api/machinery/object-key.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { answer } from "./answer.ts";
import type { DnsIndex, Dirty } from "./dns-index.ts";
import { parseDomainName } from "./domain-name.ts";
import { CLASS_IN, TCP_BYTES, TYPE } from "./message.ts";
import type { ZoneOptions } from "./records.ts";
import { podView, serviceView, sliceView } from "./views.ts";

const port = { name: "http", protocol: "TCP", port: 80 } as const;
const web = service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [port] });
const idle = service("idle", { clusterIP: "10.96.0.11", clusterIPs: ["10.96.0.11"] });
const db = service("db", { clusterIP: "None", clusterIPs: ["None"], ports: [port] });
const prod = service("api", { clusterIP: "10.96.0.12", clusterIPs: ["10.96.0.12"] }, "prod");
const slices = [
  slice("web", [{ addresses: ["10.112.0.1"] }]),
  slice("db", [
    { addresses: ["10.112.0.2"], targetRef: { kind: "Pod", name: "db-abc" } },
    { addresses: ["10.112.0.3"], hostname: "named", targetRef: { kind: "Pod", name: "db-def" } },
    { addresses: ["10.112.0.4"], targetRef: { kind: "Pod", name: "x".repeat(64) } },
  ]),
];
const services = [web, idle, db, prod];
const NAMESPACES = ["default", "prod"];

function ask(
  name: string,
  type: keyof typeof TYPE,
  changed: Partial<ZoneOptions>,
  index: DnsIndex = indexOf(services, slices, NAMESPACES),
): readonly string[] {
  const question = { name: parseDomainName(name) ?? [], type: TYPE[type], class: CLASS_IN };
  return outcome(answer(question, index, { ...zoneOptions, ...changed }, 0, TCP_BYTES));
}

describe("answer() with several zones", () => {
  const zones = [
    ["cluster", "local"],
    ["east", "cluster", "local"],
  ];
  it("serves the same names in each, and PTR records name the first", () => {
    assert.deepEqual(ask("web.default.svc.east.cluster.local", "A", { zones }), [
      "NOERROR",
      "web.default.svc.east.~ A 10.96.0.10",
    ]);
    assert.deepEqual(ask("10.0.96.10.in-addr.arpa", "PTR", { zones }), [
      "NOERROR",
      "10.0.96.10.in-addr.arpa. PTR web.default.svc.~",
    ]);
    assert.deepEqual(ask("east.cluster.local", "NS", { zones }), [
      "NOERROR",
      "east.~ NS ns.dns.east.~",
    ]);
  });

  it("DNS-030: a reverse zone without fallthrough denies what is not there, but no part of an address", () => {
    const closed = { reverseZones: [["10", "in-addr", "arpa"]], fallthrough: [] };
    assert.deepEqual(ask("99.0.96.10.in-addr.arpa", "PTR", closed), ["NXDOMAIN SOA"]);
    assert.deepEqual(ask("96.10.in-addr.arpa", "PTR", closed), ["NOERROR SOA"]);
    assert.deepEqual(ask("x.10.in-addr.arpa", "PTR", closed), ["NXDOMAIN SOA"]);
    assert.deepEqual(ask("10.in-addr.arpa", "NS", closed), [
      "NOERROR",
      "10.in-addr.arpa. NS ns.dns.10.in-addr.arpa.",
    ]);
    assert.deepEqual(ask("1.0.0.192.in-addr.arpa", "PTR", closed), ["forward"]);
  });

  it("hands on what does not exist in a zone that falls through, and nothing else", () => {
    const open = { fallthrough: [["cluster", "local"]] };
    assert.deepEqual(ask("gone.default.svc.cluster.local", "A", open), ["forward"]);
    assert.deepEqual(ask("web.default.svc.cluster.local", "AAAA", open), ["NOERROR SOA"]);
  });
});

describe("answer() with CoreDNS's options", () => {
  it("DNS-027: verified names of Pods are those of Pods that are there, of both families", () => {
    const index = indexOf(services, slices, NAMESPACES);
    const pod = (phase: "Running" | "Succeeded"): Pick<Pod, "metadata" | "status"> => ({
      metadata: { name: "p", namespace: "default" },
      status: { phase, podIP: "10.1.2.3", podIPs: [{ ip: "10.1.2.3" }, { ip: "fd00::3" }] },
    });
    const verified = { podRecords: "verified" } as const;
    const name = "10-1-2-3.default.pod.cluster.local";
    assert.deepEqual(ask(name, "A", verified, index), ["NXDOMAIN SOA"]);
    index.setPod(objectKey({ namespace: "default", name: "p" }), podView(pod("Running")));
    assert.deepEqual(ask(name, "A", verified, index), [
      "NOERROR",
      "10-1-2-3.default.pod.~ A 10.1.2.3",
    ]);
    assert.deepEqual(ask("fd00--3.default.pod.cluster.local", "AAAA", verified, index), [
      "NOERROR",
      "fd00--3.default.pod.~ AAAA fd00::3",
    ]);
    assert.deepEqual(ask("10-1-2-3.prod.pod.cluster.local", "A", verified, index), [
      "NXDOMAIN SOA",
    ]);
    index.setPod(objectKey({ namespace: "default", name: "p" }), podView(pod("Succeeded")));
    assert.deepEqual(ask(name, "A", verified, index), ["NXDOMAIN SOA"]);
  });

  it("ignore empty_service: a cluster IP without ready endpoint does not exist", () => {
    const ignoring = { ignoresEmptyServices: true };
    assert.deepEqual(ask("idle.default.svc.cluster.local", "A", ignoring), ["NXDOMAIN SOA"]);
    assert.deepEqual(ask("web.default.svc.cluster.local", "A", ignoring), [
      "NOERROR",
      "web.default.svc.~ A 10.96.0.10",
    ]);
  });

  it("endpoint_pod_names: an endpoint without hostname is named for its Pod, if that is a label", () => {
    const index = indexOf(services, [], NAMESPACES);
    const [, dbSlice] = slices;
    assert.ok(dbSlice);
    index.setSlice(keyOf(dbSlice), sliceView(dbSlice, true));
    const labels = index
      .endpoints(objectKey({ namespace: "default", name: "db" }))
      .labels.map(({ name }) => name);
    assert.deepEqual(labels.toSorted(), ["10-112-0-4", "db-abc", "named"]);
  });

  it("namespace_labels: nothing of a namespace that is not exposed is answered, forwards or backwards", () => {
    const index = indexOf(services, slices, ["prod"], { onlyKnownNamespaces: true });
    assert.deepEqual(ask("web.default.svc.cluster.local", "A", {}, index), ["NXDOMAIN SOA"]);
    assert.deepEqual(ask("10.0.96.10.in-addr.arpa", "PTR", {}, index), ["forward"]);
    assert.deepEqual(ask("1.0.112.10.in-addr.arpa", "PTR", {}, index), ["forward"]);
    assert.deepEqual(ask("api.prod.svc.cluster.local", "A", {}, index), [
      "NOERROR",
      "api.prod.svc.~ A 10.96.0.12",
    ]);
    index.setNamespace("default", true);
    assert.deepEqual(ask("web.default.svc.cluster.local", "A", {}, index), [
      "NOERROR",
      "web.default.svc.~ A 10.96.0.10",
    ]);
  });
});

describe("answer() with autopath", () => {
  const autopath = { search: [["corp", "example"]] };
  const on = (name: string, type: "A" | "AAAA" | "SRV" = "A"): readonly string[] =>
    ask(`${name}.cluster.local`, type, { autopath });

  it("finds what the search list would find in the cluster, for A and AAAA alike", () => {
    const cname = "api.prod.default.svc.~ CNAME api.prod.svc.~";
    assert.deepEqual(on("api.prod.default.svc"), ["NOERROR", cname, "api.prod.svc.~ A 10.96.0.12"]);
    assert.deepEqual(on("api.prod.default.svc", "AAAA"), ["NOERROR SOA", cname]);
    const svc = "api.prod.svc.default.svc.~ CNAME api.prod.svc.~";
    assert.deepEqual(on("api.prod.svc.default.svc"), [
      "NOERROR",
      svc,
      "api.prod.svc.~ A 10.96.0.12",
    ]);
    const full = "web.default.svc.~default.svc.~ CNAME web.default.svc.~";
    assert.deepEqual(on("web.default.svc.cluster.local.default.svc"), [
      "NOERROR",
      "web.default.svc.~ A 10.96.0.10",
      full,
    ]);
  });

  it("leaves names outside to others, in the list's order and the question's letters", () => {
    const expected = ["search", "Www.example.com.corp.example.", "Www.example.com."];
    assert.deepEqual(on("Www.example.com.default.svc"), expected);
    assert.deepEqual(on("Www.example.com.default.svc", "AAAA"), expected);
    assert.deepEqual(on("printer.default.svc"), ["search", "printer.corp.example."]);
  });

  it("takes no name below a Service of the namespace, of no namespace, or of another type for a step", () => {
    for (const name of ["db-9.db.default.svc", "www.example.com.gone.svc", "x.example.com.svc"]) {
      assert.deepEqual(on(name), ["NXDOMAIN SOA"], name);
    }
    assert.deepEqual(on("_http._tcp.example.com.default.svc", "SRV"), ["NXDOMAIN SOA"]);
    assert.deepEqual(ask("nope.default.svc.cluster.local", "A", { autopath: { search: [] } }), [
      "NXDOMAIN SOA",
    ]);
  });
});

describe("DnsIndex", () => {
  it("says which answers a change may have changed, and counts only such changes", () => {
    const heard: string[] = [];
    const onDirty = (dirty: Dirty): void => {
      heard.push(
        `${dirty.kind} ${
          dirty.kind === "service"
            ? dirty.key
            : dirty.kind === "address"
              ? dirty.address
              : dirty.name
        }`,
      );
    };
    const index = indexOf([web], [slice("web", [{ addresses: ["10.112.0.1"] }])], ["default"]);
    index.observe({ onDirty, onRead: () => undefined });
    const before = index.changes;
    index.setService(keyOf(web), serviceView(web));
    index.setNamespace("default", true);
    const same = slice("web", [{ addresses: ["10.112.0.1"] }]);
    index.setSlice(keyOf(same), sliceView(same));
    assert.deepEqual([heard, index.changes], [[], before]);
    const moved = slice("web", [{ addresses: ["10.112.0.1"] }, { addresses: ["10.112.0.9"] }]);
    index.setSlice(keyOf(moved), sliceView(moved));
    assert.deepEqual(heard, ["service default/web", "address 10.112.0.9"]);
    assert.equal(index.changes, before + 1);
  });
});
