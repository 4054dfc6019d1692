import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { indexOf, service, short, slice, zoneOptions } from "../../../test/dns/zone.ts";
import { decodeMessage } from "./decode.ts";
import type { Query } from "./decode.ts";
import { parseDomainName } from "./domain-name.ts";
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
});
