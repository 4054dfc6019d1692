import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCorefile } from "./corefile/corefile.ts";
import { parseDomainName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import { answerFromTemplates } from "./template.ts";
import type { Templated } from "./template.ts";
import { formatRecord } from "./zone-text.ts";

function ask(lines: string, name: string, type: number = TYPE.A): Templated | undefined {
  const [block] = parseCorefile(`example {\n${lines}\n}\n`, { env: {} });
  const question = { name: parseDomainName(name) ?? [], type, class: 1 };
  const asker = { id: 4711, remote: "192.0.2.99" };
  return answerFromTemplates(question, asker, block?.templates ?? []);
}

const answersOf = (templated: Templated | undefined): readonly string[] | undefined =>
  templated?.answers?.map(formatRecord);

const IPS = `template IN A {
  match ^ip-(?P<a>\\d+)-(?P<b>\\d+)-(?P<c>\\d+)-(?P<d>\\d+)[.]example[.]$
  answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{.Group.c}}.{{- .Group.d -}}"
  fallthrough
}`;

describe("answerFromTemplates()", () => {
  it("makes records of the parts of the question, in its letters", () => {
    assert.deepEqual(answersOf(ask(IPS, "IP-192-0-2-7.example")), [
      "IP-192-0-2-7.example. 60 IN A 192.0.2.7",
    ]);
    const facts = `template ANY ANY {
  match "^(.*)[.](example)[.]$"
  answer "{{ .Question.Name }} 5 {{ .Class }} TXT {{ .Type }} {{ .Zone }} {{ .Message.Id }} {{ index .Match 1 }} {{ index .Match 0 }}"
  authority "{{ .Zone }} 5 IN NS ns.{{ .Zone }}"
  additional "ns.{{ .Zone }} 5 IN A 192.0.2.53"
}`;
    const found = ask(facts, "a.b.example", TYPE.AAAA);
    assert.deepEqual(answersOf(found), [
      'a.b.example. 5 IN TXT "AAAA" "example." "4711" "a.b" "a.b.example."',
    ]);
    assert.equal(found?.authoritative, true);
    assert.deepEqual(found.authority?.map(formatRecord), ["example. 5 IN NS ns.example."]);
    assert.deepEqual(found.additional?.map(formatRecord), ["ns.example. 5 IN A 192.0.2.53"]);
  });

  it("leaves to others what is of another type, in another zone, or falls through", () => {
    assert.equal(ask(IPS, "ip-192-0-2-7.example", TYPE.AAAA), undefined);
    assert.equal(ask(IPS, "web.example"), undefined);
    assert.equal(ask("template IN A other.example\n", "web.example"), undefined);
    assert.equal(
      ask("template IN A example {\n fallthrough other.example\n}", "x.other.example")?.rcode,
      0,
    );
  });

  it("fails for names of its zone that match nothing, and says the code that it is told", () => {
    const strict = "template IN A {\n match ^a[.]\n}";
    const unmatched = ask(strict, "b.example");
    assert.equal(unmatched?.rcode, RCODE.SERVFAIL);
    assert.match(unmatched.reason ?? "", /none of its patterns matches/);
    const fill = "template ANY ANY corp.example {\n rcode NXDOMAIN\n}";
    assert.equal(ask(fill, "printer.corp.example", TYPE.SRV)?.rcode, RCODE.NXDOMAIN);
  });

  it("tries the next template where the first does not match and lets through", () => {
    const two = `template IN A {\n match ^a[.]\n fallthrough\n}
template IN A {\n answer "{{ .Name }} 1 IN A 192.0.2.1"\n}`;
    assert.deepEqual(answersOf(ask(two, "b.example")), ["b.example. 1 IN A 192.0.2.1"]);
  });

  it("is SERVFAIL with the reason where the text makes no record", () => {
    const wrong = `template IN A {\n match ^(.*)[.]example\n answer "{{ .Name }} 60 IN A {{ index .Match 1 }}"\n}`;
    assert.deepEqual(answersOf(ask(wrong, "192\\.0\\.2\\.1.example")), undefined);
    const failed = ask(wrong, "web.example");
    assert.equal(failed?.rcode, RCODE.SERVFAIL);
    assert.match(failed.reason ?? "", /"web\.example\. 60 IN A web" is no record/);
  });

  it("reads numbers of a base, and the address that asks", () => {
    const hex = `template IN A {
  match ^ip(?P<b>[0-9a-z]+)[.]example[.]$
  answer "{{ .Name }} 60 IN A 10.0.0.{{ parseInt .Group.b 16 8 }}"
  answer "{{ .Name }} 60 IN A 10.0.0.{{ parseInt (index .Match 1) 16 8 }}"
}`;
    const record = "ipFE.example. 60 IN A 10.0.0.254";
    assert.deepEqual(answersOf(ask(hex, "ipFE.example")), [record, record]);
    for (const name of ["ip100.example", "ipg.example"]) {
      assert.equal(ask(hex, name)?.rcode, RCODE.SERVFAIL, name);
    }
    const mine = 'template IN A {\n answer "{{ .Name }} 0 IN A {{ .Remote }}"\n}';
    assert.deepEqual(answersOf(ask(mine, "my.example")), ["my.example. 0 IN A 192.0.2.99"]);
  });

  it("answers in the class that it is for, and to whoever asks for any", () => {
    const ask3 = (lines: string, ofClass: number) => {
      const [block] = parseCorefile(`example {\n${lines}\n}\n`, { env: {} });
      const question = { name: ["a", "example"], type: TYPE.TXT, class: ofClass };
      return answerFromTemplates(question, { id: 1, remote: "::1" }, block?.templates ?? []);
    };
    const any = 'template ANY ANY {\n answer "{{ .Name }} 60 {{ .Class }} TXT x"\n}';
    assert.equal(ask3(any, 3)?.answers?.[0]?.class, 3);
    assert.equal(ask3(any, 1)?.answers?.[0]?.class, undefined);
    assert.equal(ask3("template CH TXT {\n}", 1), undefined);
    assert.equal(ask3("template CH TXT {\n}", 3)?.rcode, RCODE.NOERROR);
    assert.equal(ask("template IN A {\n}", "a.example", TYPE.ANY)?.rcode, RCODE.NOERROR);
  });

  it("reads an SOA in parentheses, as CoreDNS's documentation writes it", () => {
    const nowhere = `template ANY ANY invalid.example {
  rcode NXDOMAIN
  authority "invalid.example. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 1m 60 60 60)"
}`;
    const found = ask(nowhere, "x.invalid.example");
    assert.equal(found?.rcode, RCODE.NXDOMAIN);
    assert.deepEqual(found.authority?.map(formatRecord), [
      "invalid.example. 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60",
    ]);
  });

  for (const [what, lines, message] of [
    [
      "a pattern",
      "template IN A {\n match (\n}",
      /line 3, column 2: template: match: "\(" cannot be used/,
    ],
    [
      "a part",
      'template IN A {\n answer "{{ .Meta }} A x"\n}',
      /answer: \{\{ \.Meta \}\} is not supported/,
    ],
    [
      "a function",
      'template IN A {\n answer "{{ parseInt 1 }} A x"\n}',
      /parseInt 1 \}\} is not supported/,
    ],
    [
      "a group",
      'template IN A {\n match a\n answer "{{ .Group.x }} A 1"\n}',
      /no pattern has a group of the name x/,
    ],
    [
      "a number",
      'template IN A {\n match a\n answer "{{ index .Match 3 }} A 1"\n}',
      /no pattern has 3 groups/,
    ],
    [
      "a type",
      'template IN A {\n answer "{{ .Name }} IN LOC 1"\n}',
      /there are records of the types A,/,
    ],
    ["a class", "template XX TXT", /"XX" is no class; there are IN, CH, HS, ANY/],
    ["a code", "template IN A {\n rcode NOPE\n}", /"NOPE" is none of NOERROR,/],
  ] as const) {
    it(`a Corefile with ${what} that cannot be used is refused by its line`, () => {
      assert.throws(() => ask(lines, "a.example"), { code: "COREFILE", message });
    });
  }
});
