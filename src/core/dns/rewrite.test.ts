import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDomainName } from "./domain-name.ts";
import type { ResourceRecord } from "./message.ts";
import { restoreNames, rewriteName } from "./rewrite.ts";
import type { RewriteRule } from "./rewrite.ts";

const name = (text: string): readonly string[] => parseDomainName(text) ?? [];

function rule(match: RewriteRule["match"], from: string, to: string, isLast = true): RewriteRule {
  return { match, from: name(from), to: name(to), isLast };
}

describe("rewriteName()", () => {
  it("changes the whole name or its end, whatever its letters, and leaves others alone", () => {
    const rules = [
      rule("exact", "old.example", "new.example"),
      rule("suffix", "corp.example", "svc.cluster.local"),
    ];
    const cases = [
      ["OLD.example", "new.example"],
      ["a.old.example", undefined],
      ["web.default.Corp.example", "web.default.svc.cluster.local"],
      ["other.example", undefined],
    ] as const;
    for (const [from, to] of cases) {
      assert.equal(rewriteName(name(from), rules)?.name.join("."), to, from);
    }
  });

  it("goes on to the next rule only where that is said", () => {
    const next = rule("exact", "b.example", "c.example");
    const text = (first: RewriteRule): string | undefined =>
      rewriteName(name("a.example"), [first, next])?.name.join(".");
    assert.equal(text(rule("exact", "a.example", "b.example")), "b.example");
    assert.equal(text(rule("exact", "a.example", "b.example", false)), "c.example");
  });

  it("makes no name that is too long", () => {
    const long = Array.from({ length: 60 }, () => "aaa").join(".");
    const rules = [rule("suffix", "x", "a-much-longer-suffix.than-before.example")];
    assert.equal(rewriteName(name(`${long}.x`), rules), undefined);
  });

  it("restoreNames() gives records the name that was asked for, in its letters", () => {
    const rewritten = rewriteName(name("Web.Corp.example"), [
      rule("suffix", "corp.example", "svc.local"),
    ]);
    assert.ok(rewritten);
    const record = (owner: string): ResourceRecord => ({
      name: name(owner),
      ttlSeconds: 5,
      data: { kind: "TXT", strings: ["x"] },
    });
    const restored = restoreNames([record("Web.svc.local"), record("other.example")], rewritten);
    assert.deepEqual(
      restored.map((each) => each.name.join(".")),
      ["Web.Corp.example", "other.example"],
    );
  });
});
