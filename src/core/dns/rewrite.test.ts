import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { foldName, parseDomainName, sameName } from "./domain-name.ts";
import type { ResourceRecord } from "./message.ts";
import { RCODE } from "./message.ts";
import { parseCorefile } from "./corefile/corefile.ts";
import { parseRecord } from "./record-text.ts";
import { restoreReply, rewriteQuestion } from "./rewrite.ts";
import type { RewriteRule, Rewritten } from "./rewrite.ts";
import { formatRecord } from "./zone-text.ts";

const name = (text: string): readonly string[] => parseDomainName(text) ?? [];

function rule(
  match: "exact" | "suffix",
  from: string,
  to: string,
  isLast = true,
  isAuto = false,
): Extract<RewriteRule, { field: "name" }> {
  const change = { test: { match, from: name(from) }, to };
  return { field: "name", change, isLast, isAuto, answerNames: [], answerValues: [] };
}

interface Renamed extends Rewritten {
  readonly name: readonly string[];
}

function rewriteName(asked: readonly string[], rules: readonly RewriteRule[]): Renamed | undefined {
  const rewritten = rewriteQuestion({ name: asked, type: 1, class: 1 }, rules);
  return rewritten && { ...rewritten, name: rewritten.question.name };
}

function restoreNames(
  answers: readonly ResourceRecord[],
  rewritten: Rewritten,
): readonly ResourceRecord[] {
  return restoreReply({ rcode: RCODE.NOERROR, answers }, rewritten).answers ?? [];
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

  it("restoreNames() leaves the names that aliases lead to", () => {
    const rewritten = rewriteName(name("web.corp"), [rule("suffix", "corp", "svc.local")]);
    assert.ok(rewritten);
    const records: readonly ResourceRecord[] = [
      {
        name: name("web.svc.local"),
        ttlSeconds: 5,
        data: { kind: "CNAME", target: name("db.svc.local") },
      },
      { name: name("db.svc.local"), ttlSeconds: 5, data: { kind: "TXT", strings: ["x"] } },
    ];
    assert.deepEqual(
      restoreNames(records, rewritten).map((each) => each.name.join(".")),
      ["web.corp", "db.svc.local"],
    );
  });

  it("gives all names of an answer their old end back where the rule says auto", () => {
    const [block] = parseCorefile(
      `. {
rewrite continue name suffix .corp.example. .svc.local. answer auto
rewrite name regex (.*)\\.svc\\.local\\.$ {1}.svc.cluster.local. answer auto
}`,
      { env: {} },
    );
    const rewritten = rewriteQuestion(
      { name: name("DB.corp.example"), type: 33, class: 1 },
      block?.rewrites ?? [],
    );
    assert.ok(rewritten);
    assert.deepEqual(rewritten.question.name, name("db.svc.cluster.local"));
    const record = (text: string): ResourceRecord => parseRecord(text) ?? assert.fail(text);
    const restored = restoreReply(
      {
        rcode: RCODE.NOERROR,
        answers: [
          record("db.svc.cluster.local. 5 IN SRV 0 1 80 db-0.db.svc.cluster.local."),
          record("db.svc.cluster.local. 5 IN MX 1 mail.db.svc.cluster.local."),
        ],
        authority: [record("cluster.local. 5 IN NS ns.dns.cluster.local.")],
        additional: [record("db-0.DB.svc.cluster.local. 5 IN A 192.0.2.1")],
      },
      rewritten,
    );
    assert.deepEqual(
      [...restored.answers, ...restored.authority, ...restored.additional].map(formatRecord),
      [
        "DB.corp.example. 5 IN SRV 0 1 80 db-0.DB.corp.example.",
        "DB.corp.example. 5 IN MX 0001 mail.DB.corp.example.",
        "cluster.local. 5 IN NS ns.dns.cluster.local.",
        "db-0.DB.corp.example. 5 IN A 192.0.2.1",
      ],
    );
  });

  it("asks in another class, and answers in that of the question", () => {
    const [block] = parseCorefile(". {\n rewrite class CH IN\n}\n", { env: {} });
    const rules = block?.rewrites ?? [];
    const asked = { name: name("a.example"), type: 16, class: 3 };
    const rewritten = rewriteQuestion(asked, rules);
    assert.ok(rewritten);
    assert.equal(rewritten.question.class, 1);
    const answers = [parseRecord("a.example. TXT x") ?? assert.fail()];
    assert.equal(restoreReply({ rcode: 0, answers }, rewritten).answers?.[0]?.class, 3);
    assert.equal(rewriteQuestion({ ...asked, class: 1 }, rules), undefined);
  });

  const label = fc.constantFrom("a", "B", "corp", "svc");
  const anyName = fc.array(label, { minLength: 1, maxLength: 4 });
  const anyRule = fc
    .tuple(
      fc.constantFrom("exact" as const, "suffix" as const),
      anyName.map(foldName),
      anyName.map(foldName),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([match, from, to, isLast, isAuto]) =>
      rule(match, from.join("."), to.join("."), isLast, isAuto),
    );

  it("an answer through any rules leads from the name asked for to the same end", () => {
    fc.assert(
      fc.property(
        anyName,
        fc.array(anyRule, { maxLength: 4 }),
        fc.array(anyName, { maxLength: 3 }),
        (asked, rules, aliases) => {
          const rewritten = rewriteName(asked, rules);
          if (rewritten === undefined) return;
          // What a server says of the name that is looked up: aliases, and a record at their end.
          const chain = [rewritten.name, ...aliases];
          const records = chain.map((owner, i): ResourceRecord => {
            const target = chain[i + 1];
            return {
              name: owner,
              ttlSeconds: 5,
              data:
                target === undefined
                  ? { kind: "TXT", strings: ["end"] }
                  : { kind: "CNAME", target },
            };
          });
          const isCircle =
            new Set(chain.map((each) => foldName(each).join("."))).size < chain.length;
          // Where an alias leads to the name that was asked for, the client goes round in any case.
          if (isCircle || aliases.some((each) => sameName(each, asked))) return;
          const restored = restoreNames(records, rewritten);
          let at: readonly string[] = asked;
          for (const record of restored) {
            assert.ok(sameName(record.name, at), `${record.name.join(".")} is not ${at.join(".")}`);
            if (record.data.kind === "CNAME") at = record.data.target;
          }
          assert.deepEqual(restored[0]?.name, asked, "in the letters of the question");
        },
      ),
    );
  });

  it("a rule that matches exactly, or at the end, changes that and nothing else", () => {
    fc.assert(
      fc.property(anyName, anyRule, (asked, only) => {
        const { test, to } = only.change;
        assert.ok(test.match === "exact" || test.match === "suffix");
        const { from, match } = test;
        const folded = foldName(asked);
        const end = folded.slice(Math.max(0, folded.length - from.length)).join(".");
        const isMatch =
          end === from.join(".") &&
          folded.length >= from.length &&
          (match === "suffix" || folded.length === from.length);
        const expected = isMatch
          ? [...asked.slice(0, asked.length - from.length), ...name(to)]
          : undefined;
        assert.deepEqual(rewriteName(asked, [only])?.name, expected);
      }),
    );
  });
});
