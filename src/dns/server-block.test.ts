import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { a, ip, port, silent, startUpstream } from "../../test/dns/fake-upstream.ts";
import { indexOf, service, zoneOptions } from "../../test/dns/zone.ts";
import { HOST_CACHE } from "../core/dns/corefile/cache-directive.ts";
import { parseCorefile } from "../core/dns/corefile/corefile.ts";
import type { Query } from "../core/dns/decode.ts";
import { parseDomainName } from "../core/dns/domain-name.ts";
import { CLASS_IN, RCODE, TCP_BYTES, TYPE } from "../core/dns/message.ts";
import type { Message } from "../core/dns/message.ts";
import { formatRecord } from "../core/dns/zone-text.ts";
import { AnswerCache } from "./answer-cache.ts";
import { startForwarder } from "./forwarder.ts";
import { answerInBlock } from "./server-block.ts";
import type { Step } from "./server-block.ts";

const web = service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] });
const index = indexOf([web], []);
const nobody = { address: undefined, port: 0, protocol: "udp" } as const;

function query(name: string, type: keyof typeof TYPE): Query {
  return {
    id: 1,
    question: { name: parseDomainName(name) ?? [], type: TYPE[type], class: CLASS_IN },
    recursionDesired: true,
    authenticData: false,
    checkingDisabled: false,
    edns: undefined,
  };
}

/** What a block with autopath answers to A and AAAA, when its upstream answers as the script says. */
async function asked(
  name: string,
  script: (name: string, type: number) => Partial<Message>,
): Promise<{ readonly steps: readonly Step[]; readonly questions: readonly string[] }> {
  await using upstream = await startUpstream(({ question }) =>
    script(question?.name.join(".") ?? "", question?.type ?? 0),
  );
  await using forwarder = startForwarder({
    upstreams: () => Promise.resolve([upstream]),
    log: silent,
    nowMs: () => 0,
  });
  const block = {
    zones: [[]],
    cluster: {
      index: () => index,
      zone: { ...zoneOptions, autopath: { search: [["corp", "example"]] } },
    },
    forwards: [{ from: [], except: [], forwarder }],
  };
  const steps: Step[] = [];
  for (const type of ["A", "AAAA"] as const) {
    steps.push(
      await answerInBlock(block, query(name, type), {
        rotation: 0,
        maxBytes: TCP_BYTES,
        asker: nobody,
      }),
    );
  }
  const questions = upstream.queries.map(
    ({ query: sent }) => `${sent.question?.name.join(".") ?? ""} ${String(sent.question?.type)}`,
  );
  return { steps, questions };
}

const texts = (step: Step): readonly string[] => [
  String(step.rcode),
  ...(step.answers ?? []).map(formatRecord),
];

describe("answerInBlock() with templates", () => {
  const askAt = async (name: string, type: "A" | "CNAME", lines: string): Promise<Step> => {
    await using upstream = await startUpstream(() => ({
      answers: [a("www.example.com", "192.0.2.1")],
    }));
    await using forwarder = startForwarder({
      upstreams: () => Promise.resolve([upstream]),
      log: silent,
      nowMs: () => 0,
    });
    const [config] = parseCorefile(`. {\n${lines}\n}\n`, { env: {} });
    const block = {
      zones: [[]],
      templates: config?.templates,
      cluster: { index: () => index, zone: zoneOptions },
      forwards: [{ from: ["com"], except: [], forwarder }],
    };
    const shape = { rotation: 0, maxBytes: TCP_BYTES, asker: nobody };
    return await answerInBlock(block, query(name, type), shape);
  };
  const aliasTo = (target: string): string =>
    `template IN ANY example {\n answer "{{ .Name }} 60 IN CNAME ${target}"\n}`;

  it("follow a CNAME to the cluster's names and to others'", async () => {
    assert.deepEqual(
      texts(await askAt("x.example", "A", aliasTo("web.default.svc.cluster.local"))),
      [
        "0",
        "x.example. 60 IN CNAME web.default.svc.cluster.local.",
        "web.default.svc.cluster.local. 5 IN A 10.96.0.10",
      ],
    );
    assert.deepEqual(texts(await askAt("x.example", "A", aliasTo("www.example.com"))), [
      "0",
      "x.example. 60 IN CNAME www.example.com.",
      "www.example.com. 60 IN A 192.0.2.1",
    ]);
    const missing = aliasTo("nope.default.svc.cluster.local");
    assert.deepEqual(texts(await askAt("x.example", "A", missing)), [
      "3",
      "x.example. 60 IN CNAME nope.default.svc.cluster.local.",
    ]);
  });

  it("leave a CNAME as it is where nobody knows its target, or it was asked for", async () => {
    assert.deepEqual(texts(await askAt("x.example", "A", aliasTo("www.example.org"))), [
      "0",
      "x.example. 60 IN CNAME www.example.org.",
    ]);
    assert.deepEqual(texts(await askAt("x.example", "CNAME", aliasTo("www.example.com"))), [
      "0",
      "x.example. 60 IN CNAME www.example.com.",
    ]);
  });

  it("fail where CNAMEs of theirs lead in a ring", async () => {
    const step = await askAt("x.example", "A", aliasTo("y.example"));
    assert.deepEqual(texts(step), ["2"]);
    assert.equal(step.reason, "too many CNAMEs of templates");
  });
});

describe("answerInBlock() with rewrite edns0", () => {
  it("tells upstream servers what the rule says, and keeps answers to one from others", async () => {
    const seen: string[] = [];
    const socket = createSocket("udp4");
    socket.on("message", (message, peer) => {
      seen.push(message.subarray(-8).toString("hex"));
      const answer = Buffer.from(message);
      answer[2] = 0x81;
      socket.send(answer, peer.port, peer.address);
    });
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const upstream = { address: ip("127.0.0.1"), port: port(socket.address().port) };
    await using forwarder = startForwarder({
      upstreams: () => Promise.resolve([upstream]),
      log: silent,
      nowMs: () => 0,
      cache: new AnswerCache({ ...HOST_CACHE, servfailSeconds: 60 }),
    });
    const [config] = parseCorefile(". {\n rewrite edns0 local set 0xffee {client_ip}\n}\n", {
      env: {},
    });
    const block = {
      zones: [[]],
      rewrites: config?.rewrites,
      cluster: undefined,
      forwards: [{ from: [], except: [], forwarder }],
    };
    for (const address of ["127.0.0.1", "127.0.0.2"].map(ip)) {
      const asker = { ...nobody, address };
      const shape = { rotation: 0, maxBytes: TCP_BYTES, asker };
      const step = await answerInBlock(block, query("www.example.com", "A"), shape);
      assert.equal(step.rcode, RCODE.NOERROR);
    }
    socket.close();
    assert.deepEqual(seen, ["ffee00047f000001", "ffee00047f000002"]);
  });
});

describe("answerInBlock() with rewrite cname", () => {
  const outside = service("outside", { type: "ExternalName", externalName: "www.example.com" });
  const askFor = async (type: "A" | "CNAME", rule: string): Promise<Step> => {
    await using forwarder = startForwarder({
      upstreams: () => Promise.resolve([]),
      log: silent,
      nowMs: () => 0,
    });
    const [config] = parseCorefile(`. {\n rewrite cname ${rule}\n}\n`, { env: {} });
    const block = {
      zones: [[]],
      rewrites: config?.rewrites,
      cluster: { index: () => indexOf([web, outside], []), zone: zoneOptions },
      forwards: [{ from: ["com"], except: [], forwarder }],
    };
    const shape = { rotation: 0, maxBytes: TCP_BYTES, asker: nobody };
    const name = "outside.default.svc.cluster.local";
    return await answerInBlock(block, query(name, type), shape);
  };
  const owner = "outside.default.svc.cluster.local.";

  it("looks up another target in place of what is behind the alias", async () => {
    assert.deepEqual(
      texts(await askFor("A", "exact www.example.com. web.default.svc.cluster.local.")),
      [
        "0",
        `${owner} 5 IN CNAME web.default.svc.cluster.local.`,
        "web.default.svc.cluster.local. 5 IN A 10.96.0.10",
      ],
    );
    assert.deepEqual(texts(await askFor("CNAME", "suffix .example.com. .example.org.")), [
      "0",
      `${owner} 5 IN CNAME www.example.org.`,
    ]);
  });

  it("leaves an alias with another target alone", async () => {
    assert.deepEqual(texts(await askFor("A", "exact other.example.com. x.")), [
      "2",
      `${owner} 5 IN CNAME www.example.com.`,
    ]);
  });
});

describe("answerInBlock() with autopath", () => {
  const name = "www.example.com.default.svc.cluster.local";
  const cname = `${name}. 5 IN CNAME www.example.com.`;
  const missing = { rcode: RCODE.NXDOMAIN };

  it("goes through the rest of the search list itself, and answers behind a CNAME", async () => {
    const { steps, questions } = await asked(name, (sent, type) =>
      sent !== "www.example.com"
        ? missing
        : { answers: type === TYPE.A ? [a("www.example.com", "192.0.2.1")] : [] },
    );
    assert.deepEqual(steps.map(texts), [
      ["0", cname, "www.example.com. 60 IN A 192.0.2.1"],
      ["0", cname],
    ]);
    assert.deepEqual(questions.slice(0, 3), [
      "www.example.com.corp.example 1",
      "www.example.com.corp.example 28",
      "www.example.com 1",
    ]);
  });

  it("A and AAAA agree on the target although a server denies a name without AAAA", async () => {
    const { steps } = await asked(name, (sent, type) =>
      sent === "www.example.com" && type === TYPE.A
        ? { answers: [a("www.example.com", "192.0.2.1")] }
        : missing,
    );
    assert.deepEqual(steps.map(texts), [
      ["0", cname, "www.example.com. 60 IN A 192.0.2.1"],
      ["0", cname],
    ]);
  });

  it("is NXDOMAIN with the cluster's SOA when nothing in the list exists, SERVFAIL when that is not known", async () => {
    const none = await asked(name, () => missing);
    assert.deepEqual(none.steps.map(texts), [["3"], ["3"]]);
    assert.deepEqual(
      none.steps.map((step) => step.authority?.map(({ data }) => data.kind)),
      [["SOA"], ["SOA"]],
    );
    const unknown = await asked(name, () => ({ rcode: RCODE.SERVFAIL }));
    assert.deepEqual(unknown.steps.map(texts), [["2"], ["2"]]);
  });
});
