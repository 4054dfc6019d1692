import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dns1035LabelProblems, dnsLabelProblems, dnsSubdomainProblems } from "./names.ts";

const FINE = {
  label: dnsLabelProblems,
  subdomain: dnsSubdomainProblems,
  label1035: dns1035LabelProblems,
};

describe("name checks", () => {
  const cases: readonly (readonly [string, readonly (keyof typeof FINE)[]])[] = [
    ["web", ["label", "subdomain", "label1035"]],
    ["1web", ["label", "subdomain"]],
    ["web-1", ["label", "subdomain", "label1035"]],
    ["web.one", ["subdomain"]],
    ["Web", []],
    ["-web", []],
    ["web-", []],
    ["we_b", []],
    ["", []],
    ["a".repeat(63), ["label", "subdomain", "label1035"]],
    ["a".repeat(64), ["subdomain"]],
    ["a.".repeat(126) + "b", ["subdomain"]],
    ["a.".repeat(126) + "bc", []],
  ];
  for (const [name, fine] of cases) {
    it(`${name.slice(0, 20)} (${String(name.length)}) is fine as ${fine.join(", ") || "nothing"}`, () => {
      for (const [kind, problems] of Object.entries(FINE)) {
        assert.equal(
          problems(name).length === 0,
          fine.some((f) => f === kind),
          kind,
        );
      }
    });
  }

  it("says what is wrong in upstream's words", () => {
    assert.deepEqual(dns1035LabelProblems("1abc"), [
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ]);
  });
});
