import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { indexOf, service, short, slice, zoneOptions } from "../../../test/dns/zone.ts";
import { objectKey } from "../../api/machinery/object-key.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { answer } from "./answer.ts";
import { decodeMessage } from "./decode.ts";
import type { Query } from "./decode.ts";
import type { DnsIndex } from "./dns-index.ts";
import { formatDomainName, parseDomainName } from "./domain-name.ts";
import { CLASS_IN, TYPE } from "./message.ts";
import { zoneTransfer } from "./transfer.ts";

const http = { name: "http", protocol: "TCP", port: 80 } as const;
const index = indexOf(
  [
    service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [http] }),
    service("db", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
    service("outside", { type: "ExternalName", externalName: "api.example.com" }),
    service("inside", { type: "ExternalName", externalName: "web.default.svc.cluster.local" }),
  ],
  [slice("db", [{ addresses: ["10.112.0.5"], hostname: "db-0" }])],
);

function transfer(name: string, type: number, knownSerial?: number): readonly string[] | undefined {
  const query: Query = {
    id: 7,
    question: { name: parseDomainName(name) ?? [], type, class: CLASS_IN },
    recursionDesired: false,
    authenticData: false,
    checkingDisabled: false,
    edns: undefined,
  };
  return zoneTransfer(query, index, zoneOptions, knownSerial)?.flatMap(
    (bytes) => decodeMessage(bytes)?.answers.map(short) ?? [],
  );
}

describe("zoneTransfer()", () => {
  it("RFC 5936: answers with EDNS whoever asks with it", () => {
    const query: Query = {
      id: 7,
      question: { name: ["cluster", "local"], type: TYPE.AXFR, class: CLASS_IN },
      recursionDesired: false,
      authenticData: false,
      checkingDisabled: false,
      edns: { udpBytes: 4096, dnssecOk: true, version: 0 },
    };
    const messages = zoneTransfer(query, index, zoneOptions, undefined) ?? [];
    const options = messages.map((bytes) => decodeMessage(bytes)?.edns);
    assert.deepEqual(options, [{ udpBytes: 1232, dnssecOk: true, version: 0 }]);
  });

  it("RFC 5936: loses nothing where all names are as long as they may be", () => {
    const target = Array.from({ length: 4 }, () => "t".repeat(61)).join(".");
    const many = Array.from({ length: 400 }, (_, i) =>
      service(
        `${String(i).padStart(3, "0")}${"s".repeat(60)}`,
        { type: "ExternalName", externalName: target },
        "n".repeat(63),
      ),
    );
    const query: Query = {
      id: 7,
      question: { name: ["cluster", "local"], type: TYPE.AXFR, class: CLASS_IN },
      recursionDesired: false,
      authenticData: false,
      checkingDisabled: false,
      edns: undefined,
    };
    const messages = zoneTransfer(query, indexOf(many, []), zoneOptions, undefined) ?? [];
    const decoded = messages.map((bytes) => decodeMessage(bytes));
    assert.ok(decoded.every((message) => message?.truncated === false));
    const aliases = decoded.flatMap((message) =>
      (message?.answers ?? []).filter(({ data }) => data.kind === "CNAME"),
    );
    assert.equal(aliases.length, many.length);
  });

  const soa = `~ SOA ns.dns.~ hostmaster.~ ${String(1000 + index.changes)} 7200 1800 86400 5`;

  it("RFC 5936: has the whole zone between two SOA records", () => {
    assert.deepEqual(transfer("cluster.local", TYPE.AXFR), [
      soa,
      "~ NS ns.dns.~",
      "ns.dns.~ A 127.0.0.1",
      'dns-version.~ TXT "1.1.0"',
      "db.default.svc.~ A 10.112.0.5",
      "db.default.svc.~ SRV 0 100 8080 db-0.db.default.svc.~",
      "_http._tcp.db.default.svc.~ SRV 0 100 8080 db-0.db.default.svc.~",
      "db-0.db.default.svc.~ A 10.112.0.5",
      "inside.default.svc.~ CNAME web.default.svc.~",
      "outside.default.svc.~ CNAME api.example.com.",
      "web.default.svc.~ A 10.96.0.10",
      "web.default.svc.~ SRV 0 100 80 web.default.svc.~",
      "_http._tcp.web.default.svc.~ SRV 0 100 80 web.default.svc.~",
      soa,
    ]);
  });

  it("RFC 1995: gives the SOA alone to who has this version, and the zone to who has another", () => {
    assert.deepEqual(transfer("cluster.local", TYPE.IXFR, 1000 + index.changes), [soa]);
    assert.equal(transfer("cluster.local", TYPE.IXFR, 999)?.length, 14);
  });

  it("has nothing for a name that is not the top of a zone", () => {
    assert.equal(transfer("svc.cluster.local", TYPE.AXFR), undefined);
    assert.equal(transfer("example.org", TYPE.AXFR), undefined);
  });

  const portLists = fc.constantFrom(
    [],
    [http],
    [http, { name: "dns", protocol: "UDP", port: 53 } as const],
  );
  const serviceName = fc.constantFrom("a", "b", "c");
  const anyService = fc
    .tuple(serviceName, fc.nat(3), portLists)
    .map(([name, kind, ports]) =>
      [
        service(name, { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "fd00::1"], ports }),
        service(name, { clusterIP: "None", clusterIPs: ["None"], ports }),
        service(name, { type: "ExternalName", externalName: "a.default.svc.cluster.local" }),
        service(name, { type: "ExternalName", externalName: "api.example.com" }),
      ].flatMap((each, i) => (i === kind ? [each] : [])),
    );
  const endpoint = fc
    .tuple(fc.nat(5), fc.constantFrom(undefined, "h0", "h1"))
    .map(([n, hostname]) => ({
      addresses: [`10.112.0.${String(n)}`],
      ...(hostname === undefined ? {} : { hostname }),
    }));
  const anySlice = fc
    .tuple(serviceName, fc.array(endpoint, { maxLength: 4 }), portLists)
    .map(([name, endpoints, ports]) => slice(name, endpoints, [...ports]));

  it("lists all that is answered, and nothing else, whatever the cluster has", () => {
    fc.assert(
      fc.property(
        fc.array(anyService, { maxLength: 3 }),
        fc.array(anySlice, { maxLength: 3 }),
        (services, slices) => {
          const filled = indexOf(services.flat(), slices);
          const listed = new Set(recordsOf(filled));
          const ask = (name: string, type: number): readonly string[] => {
            const question = { name: parseDomainName(name) ?? [], type, class: CLASS_IN };
            const decision = answer(question, filled, zoneOptions, 0, Number.MAX_SAFE_INTEGER);
            if (decision.kind !== "answer" && decision.kind !== "chase") return [];
            // The aliases' targets are listed by themselves, or are of another zone.
            return decision.answers
              .filter((record) => formatDomainName(record.name) === name)
              .map(short);
          };
          // Everything listed is answered.
          const names = new Set([...listed].map((text) => text.split(" ")[0] ?? ""));
          const full = (name: string): string => name.replace("~", "cluster.local.");
          const types = [TYPE.A, TYPE.AAAA, TYPE.SRV, TYPE.CNAME, TYPE.TXT, TYPE.SOA, TYPE.NS];
          const answered = new Set(
            [...names].flatMap((name) => types.flatMap((type) => ask(full(name), type))),
          );
          for (const record of answered) if (isExtension(record)) answered.delete(record);
          assert.deepEqual([...listed].toSorted(), [...answered].toSorted());
          // What exists is listed: of all names that the cluster may have.
          const ends = ["a", "b", "c"].map((name) => `${name}.default.svc.cluster.local.`);
          const below = ["", "_http._tcp.", "_dns._udp.", "h0.", "h1."];
          const dashed = [0, 1, 2, 3, 4, 5].map((n) => `10-112-0-${String(n)}.`);
          for (const end of ends) {
            const isHeadless = filled.service(objectKeyOf(end))?.kind === "headless";
            // Endpoints of a Service with a cluster IP have names (DNS-039), which are not listed.
            const prefixes = isHeadless ? [...below, ...dashed] : below.slice(0, 3);
            for (const prefix of prefixes) {
              for (const type of types) {
                for (const record of ask(`${prefix}${end}`, type)) {
                  const isListed = listed.has(record) || isExtension(record);
                  assert.ok(isListed, `${record} is not in ${[...listed].join("\n")}`);
                }
              }
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** Answered beyond the specification, and not listed: addresses of a port's name, SRV of an endpoint's. */
function isExtension(record: string): boolean {
  const [name = "", type] = record.split(" ");
  return name.startsWith("_") ? type !== "SRV" : /^(h\d|10-)/.test(name) && type === "SRV";
}

function objectKeyOf(end: string): ObjectKey {
  return objectKey({ namespace: "default", name: end.split(".")[0] ?? "" });
}

function recordsOf(filled: DnsIndex): readonly string[] {
  const question = { name: ["cluster", "local"], type: TYPE.AXFR, class: CLASS_IN };
  const query: Query = {
    id: 7,
    question,
    recursionDesired: false,
    authenticData: false,
    checkingDisabled: false,
    edns: undefined,
  };
  const messages = zoneTransfer(query, filled, zoneOptions, undefined) ?? [];
  return messages.flatMap((bytes) => decodeMessage(bytes)?.answers.map(short) ?? []);
}
