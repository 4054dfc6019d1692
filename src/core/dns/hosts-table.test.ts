import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDomainName } from "./domain-name.ts";
import { HostsTable, parseHostLine } from "./hosts-table.ts";
import type { HostsOptions } from "./hosts-table.ts";
import { CLASS_IN, RCODE, TYPE } from "./message.ts";
import { formatRecord } from "./zone-text.ts";

const lines = [
  "192.0.2.9 Printer.corp.example printer # a comment",
  "2001:db8::9 printer.corp.example",
  "# nothing",
  "no-address name",
].flatMap((text) => parseHostLine(text) ?? []);

const options: HostsOptions = {
  zones: [["corp", "example"]],
  ttlSeconds: 60,
  hasReverse: true,
  fallthrough: undefined,
};

function ask(name: string, type: number, changed: Partial<HostsOptions> = {}): unknown {
  const table = new HostsTable(lines, { ...options, ...changed });
  const reply = table.answer({ name: parseDomainName(name) ?? [], type, class: CLASS_IN });
  return reply && [reply.rcode, ...(reply.answers ?? []).map(formatRecord)];
}

describe("HostsTable", () => {
  it("has the addresses of both families, and no records of other types", () => {
    const name = "PRINTER.corp.example";
    assert.deepEqual(ask(name, TYPE.A), [0, `${name}. 60 IN A 192.0.2.9`]);
    assert.deepEqual(ask(name, TYPE.AAAA), [0, `${name}. 60 IN AAAA 2001:db8::9`]);
    assert.deepEqual(ask(name, TYPE.TXT), [0]);
  });

  it("RFC 2181: has each record once, however often a file says it", () => {
    const twice = ["192.0.2.1 a a", "192.0.2.1 A"].flatMap((text) => parseHostLine(text) ?? []);
    const table = new HostsTable(twice, { ...options, zones: [[]] });
    const found = (name: string, type: number) =>
      table.answer({ name: parseDomainName(name) ?? [], type, class: CLASS_IN })?.answers?.length;
    assert.deepEqual([found("a", TYPE.A), found("1.2.0.192.in-addr.arpa", TYPE.PTR)], [1, 1]);
  });

  it("has the names of addresses, unless told not to", () => {
    const name = "9.2.0.192.in-addr.arpa";
    assert.deepEqual(ask(name, TYPE.PTR), [
      0,
      `${name}. 60 IN PTR printer.corp.example.`,
      `${name}. 60 IN PTR printer.`,
    ]);
    assert.equal(ask(name, TYPE.PTR, { hasReverse: false }), undefined);
    assert.equal(ask("8.2.0.192.in-addr.arpa", TYPE.PTR), undefined);
  });

  it("leaves other zones to others, and its own where that is said", () => {
    assert.equal(ask("example.org", TYPE.A), undefined);
    assert.deepEqual(ask("gone.corp.example", TYPE.A), [RCODE.SERVFAIL]);
    assert.equal(ask("gone.corp.example", TYPE.A, { fallthrough: [[]] }), undefined);
  });
});
