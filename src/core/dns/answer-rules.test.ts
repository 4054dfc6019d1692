import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseIpAddress } from "../../net/address.ts";
import { accessOf } from "./access.ts";
import { orderedAnswers, parseAddressWeights } from "./address-order.ts";
import { answerChaos } from "./chaos.ts";
import { parseCorefile } from "./corefile/corefile.ts";
import type { BlockConfig } from "./corefile/corefile.ts";
import { parseDomainName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import { restoreReply, rewriteQuestion } from "./rewrite.ts";
import { parseRecord } from "./record-text.ts";
import { formatRecord } from "./zone-text.ts";

function block(lines: string): BlockConfig {
  const [only] = parseCorefile(`. {\n${lines}\n}\n`, { env: {} });
  assert.ok(only);
  return only;
}

const question = (name: string, type: number = TYPE.A): Question => ({
  name: parseDomainName(name) ?? [],
  type,
  class: 1,
});
const record = (text: string): ResourceRecord => parseRecord(text) ?? assert.fail(text);

describe("accessOf()", () => {
  const rules = `acl corp.example {
  allow net 192.0.2.7
  drop net 192.0.2.0/24
  filter type AAAA HTTPS
  block type ANY net 2001:db8::/32
}
acl {
  block type TXT net *
}`;
  for (const [name, type, source, action] of [
    ["a.corp.example", "A", "192.0.2.7", "allow"],
    ["a.corp.example", "A", "192.0.2.8", "drop"],
    ["A.CORP.example", "AAAA", "198.51.100.1", "filter"],
    ["a.corp.example", "A", "2001:db8::1", "block"],
    ["a.corp.example", "A", "198.51.100.1", "allow"],
    ["www.example", "A", "192.0.2.8", "allow"],
    ["www.example", "TXT", "192.0.2.8", "block"],
    // The first that is for it decides, also when it allows.
    ["a.corp.example", "TXT", "192.0.2.7", "allow"],
    ["a.corp.example", "TXT", "198.51.100.1", "block"],
  ] as const) {
    it(`${source} asks for ${type} of ${name}: ${action}`, () => {
      const { access } = block(rules);
      assert.equal(accessOf(access, question(name, TYPE[type]), parseIpAddress(source)), action);
    });
  }
});

describe("rewrite", () => {
  /** The question after the rules, and its answer as the client gets it. */
  function through(lines: string, asked: Question, answers: readonly string[], rcode = 0) {
    const rewritten = rewriteQuestion(asked, block(lines).rewrites);
    if (rewritten === undefined) return undefined;
    const reply = restoreReply({ rcode, answers: answers.map(record) }, rewritten);
    const { name, type } = rewritten.question;
    return {
      looked: name.join("."),
      type,
      rcode: reply.rcode,
      answers: reply.answers?.map(formatRecord),
    };
  }

  for (const [lines, name, looked] of [
    ["rewrite name prefix web- app-", "Web-1.example", "app-1.example"],
    ["rewrite name prefix web- app-", "my-web-1.example", undefined],
    ["rewrite name substring .eu. .us.", "a.eu.b.eu.example", "a.us.b.us.example"],
    [
      "rewrite name regex (.*)[.]corp[.](example)[.] {1}.svc.{2}",
      "a.b.corp.example",
      "a.b.svc.example",
    ],
    ["rewrite name regex ^(.*)[.]corp[.]$ {1}..x", "a.corp", undefined],
    ["rewrite {\n name exact a.example b.example\n answer auto\n}", "a.example", "b.example"],
    [
      "rewrite continue name exact a.example b.example\nrewrite name suffix .example .test",
      "a.example",
      "b.test",
    ],
  ] as const) {
    it(`${JSON.stringify(lines)} makes ${name} ${looked ?? "stay"}`, () => {
      assert.equal(through(lines, question(name), [])?.looked, looked);
    });
  }

  it("gives the answer the name that was asked for, and changes others as it is told", () => {
    const lines = `rewrite stop {
  name regex (.*)[.]shop[.]example[.] {1}.svc.cluster.local
  answer name (.*)[.]svc[.]cluster[.]local[.] {1}.shop.example
  answer value (.*)[.]svc[.]cluster[.]local[.] {1}.shop.example.
}`;
    assert.deepEqual(
      through(lines, question("web.shop.example"), [
        "web.svc.cluster.local. 5 IN CNAME db.svc.cluster.local.",
        "db.svc.cluster.local. 5 IN A 192.0.2.1",
      ])?.answers,
      ["web.shop.example. 5 IN CNAME db.shop.example.", "db.shop.example. 5 IN A 192.0.2.1"],
    );
  });

  it("type: another one is looked for", () => {
    assert.equal(through("rewrite type ANY HINFO", question("a.example", 255), [])?.type, 13);
    assert.equal(through("rewrite type ANY HINFO", question("a.example"), []), undefined);
  });

  for (const [range, ttl] of [
    ["30", 30],
    ["30-60", 45],
    ["50-60", 50],
    ["-40", 40],
    ["50-", 50],
  ] as const) {
    it(`ttl ${range}: 45 seconds are ${String(ttl)}`, () => {
      const lines = `rewrite ttl suffix .example ${range}`;
      assert.deepEqual(
        through(lines, question("a.example"), ["a.example. 45 IN A 192.0.2.1"])?.answers,
        [`a.example. ${String(ttl)} IN A 192.0.2.1`],
      );
    });
  }

  it("rcode: one is another", () => {
    const lines = "rewrite rcode suffix .example SERVFAIL NXDOMAIN";
    assert.equal(through(lines, question("a.example"), [], RCODE.SERVFAIL)?.rcode, RCODE.NXDOMAIN);
    assert.equal(through(lines, question("a.example"), [], RCODE.REFUSED)?.rcode, RCODE.REFUSED);
    assert.equal(through(lines, question("a.test"), []), undefined);
  });

  for (const [lines, message] of [
    ["rewrite name regex ( x", /"\(" cannot be used: /],
    ["rewrite name a b answer c", /answer c is not supported; there are answer auto/],
    ["rewrite flag clear aa", /flag is not supported; there are name, type/],
    ["rewrite ttl a.example soon", /"soon" is no number of seconds/],
    ["rewrite ttl a.example 60-30", /"60-30" is no number of seconds/],
    ["rewrite type A NOPE", /"NOPE" is no type/],
  ] as const) {
    it(`${lines} is refused by its line and name`, () => {
      assert.throws(() => block(lines), { code: "COREFILE", message });
      assert.throws(() => block(lines), { message: /^line 2, column 1: rewrite: / });
    });
  }
});

describe("orderedAnswers()", () => {
  const answers = [
    "a.example. 5 IN CNAME b.example.",
    "b.example. 5 IN A 192.0.2.1",
    "b.example. 5 IN A 198.51.100.1",
    "b.example. 5 IN A 198.51.100.2",
    "b.example. 5 IN A 203.0.113.1",
  ].map(record);
  const addresses = (records: readonly ResourceRecord[]): readonly string[] =>
    records.map(({ data }) => ("address" in data ? data.address : data.kind));

  it("prefer: addresses of the first range come first, aliases before all", () => {
    const { balance } = block("loadbalance {\n prefer 203.0.113.0/24 198.51.100.0/24\n}");
    const order = { prefer: balance?.prefer ?? [], weights: undefined };
    assert.deepEqual(addresses(orderedAnswers(answers, ["a", "example"], order, 0)), [
      "CNAME",
      "203.0.113.1",
      "198.51.100.1",
      "198.51.100.2",
      "192.0.2.1",
    ]);
  });

  it("weighted: each comes first as often as it weighs, and nothing is lost", () => {
    const weights = parseAddressWeights(`# by hand
A.example
192.0.2.1 3
198.51.100.1 2   # less
203.0.113.1 255
`);
    assert.ok(!("line" in weights));
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const order = { prefer: [], weights };
        const found = addresses(orderedAnswers(answers, ["a", "example"], order, random));
        const at = random * (3 + 2 + 1 + 255);
        const first =
          at < 3 ? "192.0.2.1" : at < 5 ? "198.51.100.1" : at < 6 ? "198.51.100.2" : "203.0.113.1";
        assert.deepEqual(found.slice(0, 2), ["CNAME", first]);
        assert.deepEqual([...found].toSorted(), addresses(answers).toSorted());
        // Names that the file does not have stay as they are.
        assert.deepEqual(orderedAnswers(answers, ["c", "example"], order, random), answers);
      }),
    );
  });

  for (const [text, line] of [
    ["192.0.2.1 3\n", 1],
    ["a.example\n192.0.2.1 0\n", 2],
    ["a.example\n\n192.0.2.1 256\n", 3],
    ["a.example\n192.0.2.1 3 4\n", 2],
    ["a..example\n", 1],
    ["192.0.2.1\n", 1],
  ] as const) {
    it(`parseAddressWeights() says that line ${String(line)} of ${JSON.stringify(text)} is wrong`, () => {
      assert.deepEqual(parseAddressWeights(text), { line });
    });
  }
});

describe("answerChaos()", () => {
  const facts = { version: "x 1", authors: ["ann", "bob"], hostname: "node-1" };
  for (const [name, texts] of [
    ["version.bind", ["x 1"]],
    ["VERSION.server", ["x 1"]],
    ["authors.bind", ["ann", "bob"]],
    ["hostname.bind", ["node-1"]],
    ["id.server", ["node-1"]],
    ["other.bind", undefined],
  ] as const) {
    it(`${name}: ${texts?.join(" ") ?? "nothing"}`, () => {
      const asked = { ...question(name, TYPE.TXT), class: 3 };
      const found = answerChaos(asked, facts)?.answers?.map(({ data, class: ofClass }) => [
        ofClass,
        data.kind === "TXT" ? data.strings : [],
      ]);
      assert.deepEqual(
        found,
        texts?.map((text) => [3, [text]]),
      );
    });
  }

  it("says nothing in other classes", () => {
    assert.equal(answerChaos(question("version.bind", TYPE.TXT), facts), undefined);
  });
});

describe("a Corefile", () => {
  it("has what errors, loadbalance, bufsize, chaos, minimal and ready can say", () => {
    const read = block(`errors {
  stacktrace
  consolidate 5m ".*timeout$" warning
  consolidate 30s "^no upstream" show_first
}
loadbalance weighted /w {
  reload 10s
  prefer 192.0.2.0/24 ::1
}
bufsize 1000
chaos "x 1" ann bob
minimal
any
ready :8181 {
  monitor continuously
}`);
    assert.equal(read.errors?.hasStacks, true);
    assert.deepEqual(
      read.errors.consolidate.map(({ pattern, ...rest }) => [pattern.source, rest]),
      [
        [".*timeout$", { periodMs: 300_000, level: "warn", showsFirst: false }],
        ["^no upstream", { periodMs: 30_000, level: "error", showsFirst: true }],
      ],
    );
    assert.deepEqual(read.balance, {
      prefer: ["192.0.2.0/24", "::1/128"],
      weighted: { path: "/w", reloadMs: 10_000 },
    });
    assert.deepEqual(read.chaos, { version: "x 1", authors: ["ann", "bob"] });
    assert.deepEqual([read.maxUdpBytes, read.isMinimal], [1000, true]);
  });

  for (const [lines, message] of [
    ["errors {\n consolidate 5m\n}", /consolidate: a pattern is missing/],
    ["errors {\n consolidate 5m a loud\n}", /loud is not supported; there are warning,/],
    ["loadbalance weighted", /the file of the weights is missing/],
    ["loadbalance {\n reload 5s\n}", /only with weighted FILE/],
    ["loadbalance random", /"random" is not supported; there are round_robin, weighted/],
    ["bufsize 100", /100 is no size from 512 to 4096/],
    ["acl {\n}", /allow, block, filter or drop is missing/],
    ["acl {\n allow from 1.2.3.4\n}", /"from" is not supported; there are type, net/],
    ["acl {\n block net x\n}", /"x" is no IP address/],
    ["bind 1.2.3.4.5/6", /neither an IP address nor an interface/],
    ["file db.example", /file: is not supported; have another server serve the zone/],
    ["view x {\n}", /view: is not supported; give each sort of client/],
  ] as const) {
    it(`says what is wrong with ${JSON.stringify(lines)}`, () => {
      assert.throws(() => block(lines), { code: "COREFILE", message });
    });
  }

  it("takes in files where they are imported, and says in which one something is wrong", () => {
    const files: Readonly<Record<string, string>> = {
      "/custom/*.override": "(more) {\n log\n}\nimport more\nimport /custom/nested.conf",
      "/custom/nested.conf": "cache {$TTL}",
      "/custom/*.server": "corp.example {\n nonsense\n}",
    };
    const context = {
      env: { TTL: "17" },
      files: (pattern: string) => {
        const text = files[pattern];
        return text === undefined ? [] : [{ path: pattern.replace("*", "a"), text }];
      },
    };
    const [only] = parseCorefile(
      ". {\n errors\n import /custom/*.override\n}\nimport /nowhere/*.server\n",
      context,
    );
    assert.deepEqual(only?.plugins, ["errors", "log", "cache"]);
    assert.equal(only.cache?.success.maxTtlSeconds, 17);
    assert.throws(() => parseCorefile("import /custom/*.server", context), {
      message: /^\/custom\/a\.server line 2, column 2: nonsense: is not supported/,
    });
    assert.throws(() => parseCorefile(". {\n import /gone.conf\n}", context), {
      message: /^line 2, column 2: import \/gone\.conf: there is neither a snippet/,
    });
    const loop = { env: {}, files: () => [{ path: "/x", text: "import /x" }] };
    assert.throws(() => parseCorefile("import /x", loop), { message: /it imports itself/ });
  });
});
