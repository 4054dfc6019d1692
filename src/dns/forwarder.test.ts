import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { a, domain, silent, startUpstream } from "../../test/dns/fake-upstream.ts";
import type { FakeUpstream, Script } from "../../test/dns/fake-upstream.ts";
import { HOST_CACHE } from "../core/dns/corefile/cache-directive.ts";
import { RCODE, TYPE } from "../core/dns/message.ts";
import { formatRecord } from "../core/dns/zone-text.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "./forwarder.ts";
import type { Forwarded, Forwarder, ForwarderOptions } from "./forwarder.ts";
import { AnswerCache } from "./answer-cache.ts";
import { LoopGuard } from "./loop-guard.ts";
import type { Upstream, UpstreamQuestion } from "./upstream.ts";

const found: Script = () => ({ answers: [a("example.com", "192.0.2.1")] });
const expected = ["example.com. 60 IN A 192.0.2.1"];

function question(name = "example.com"): UpstreamQuestion {
  const flags = { dnssecOk: false, authenticData: false, checkingDisabled: false };
  return { name: domain(name), type: TYPE.A, class: 1, ...flags };
}

function forwarder(
  upstreams: readonly Upstream[],
  limits: Partial<ForwarderOptions> = {},
  nowMs: () => number = () => 0,
): Forwarder {
  return startForwarder(
    {
      upstreams: () => Promise.resolve(upstreams),
      log: silent,
      nowMs,
      cache: new AnswerCache(HOST_CACHE),
      stale: HOST_CACHE.serveStale,
    },
    { ...FORWARDER_DEFAULTS, ...limits },
  );
}

function records(forwarded: Forwarded): readonly string[] {
  return forwarded.kind === "answer"
    ? forwarded.message.answers.map(formatRecord)
    : [`failed ${String(forwarded.rcode)}: ${forwarded.reason}`];
}

/** An address on which nobody listens: a resolver that was just stopped. */
async function deadUpstream(): Promise<Upstream> {
  const upstream = await startUpstream(found);
  await upstream[Symbol.asyncDispose]();
  return { address: upstream.address, port: upstream.port };
}

describe("Forwarder", () => {
  it("DNS-029: asks the upstream server and gives its answer", async () => {
    await using upstream = await startUpstream(found);
    await using running = forwarder([upstream]);
    assert.deepEqual(records(await running.resolve(question())), expected);
    const sent = upstream.queries[0]?.query;
    assert.equal(sent?.recursionDesired, true);
    assert.deepEqual(sent.edns, { udpBytes: 1232, dnssecOk: false, version: 0 });
  });

  it("asks with ids that nobody can guess, one after the other", async () => {
    await using upstream = await startUpstream(found);
    await using running = forwarder([upstream]);
    for (let i = 0; i < 20; i++) await running.resolve(question(`n${String(i)}.example.com`));
    const ids = upstream.queries.map(({ query }) => query.id);
    const steps = new Set(ids.map((id, i) => id - (ids[i - 1] ?? 0)));
    assert.ok(new Set(ids).size > 15 && steps.size > 15, ids.join(" "));
  });

  it("takes no answer with another id or question for its own", async () => {
    const forged: Script[] = [
      (query) => ({ ...found(query, "udp"), id: query.id ^ 1 }),
      (query) => ({
        ...found(query, "udp"),
        question: { name: domain("evil.com"), type: 1, class: 1 },
      }),
      (query) => ({ ...found(query, "udp"), isResponse: false }),
    ];
    for (const script of forged) {
      await using forger = await startUpstream(script);
      await using honest = await startUpstream(found);
      await using running = forwarder([forger, honest], { tryMs: 300 });
      assert.deepEqual(records(await running.resolve(question())), expected);
      assert.equal(honest.queries.length, 1);
    }
  });

  it("takes an answer whose letters are small where the question's are capital", async () => {
    await using upstream = await startUpstream(() => ({
      answers: [a("example.com", "192.0.2.1")],
      question: { name: domain("example.com"), type: 1, class: 1 },
    }));
    await using running = forwarder([upstream]);
    assert.deepEqual(records(await running.resolve(question("EXAMPLE.com"))), expected);
  });

  it("asks over TCP what did not fit over UDP", async () => {
    await using upstream = await startUpstream((query, protocol) =>
      protocol === "udp" ? { truncated: true } : found(query, protocol),
    );
    await using running = forwarder([upstream]);
    assert.deepEqual(records(await running.resolve(question())), expected);
    assert.deepEqual(
      upstream.queries.map(({ protocol }) => protocol),
      ["udp", "tcp"],
    );
  });

  it("asks again without EDNS when a server does not know it", async () => {
    await using upstream = await startUpstream((query, protocol) =>
      query.edns === undefined ? found(query, protocol) : { rcode: RCODE.FORMERR, edns: undefined },
    );
    await using running = forwarder([upstream]);
    assert.deepEqual(records(await running.resolve(question())), expected);
  });

  it("asks the next server when one is silent, not there, or in trouble itself", async () => {
    await using silentOne = await startUpstream(() => undefined);
    await using troubled = await startUpstream(() => ({ rcode: RCODE.SERVFAIL }));
    for (const bad of [silentOne, troubled, await deadUpstream()]) {
      await using good = await startUpstream(found);
      await using running = forwarder([bad, good], { tryMs: 300 });
      assert.deepEqual(records(await running.resolve(question())), expected);
    }
  });

  it("gives the only server a second chance, for UDP loses packets", async () => {
    let asked = 0;
    await using upstream = await startUpstream((query, protocol) => {
      asked += 1;
      return asked === 1 ? undefined : found(query, protocol);
    });
    await using running = forwarder([upstream], { tryMs: 300 });
    assert.deepEqual(records(await running.resolve(question())), expected);
  });

  it("says at once SERVFAIL when there is nobody to ask", async () => {
    await using none = forwarder([]);
    assert.deepEqual(records(await none.resolve(question())), [
      "failed 2: there is no upstream server",
    ]);
    await using dead = forwarder([await deadUpstream()], { tryMs: 600_000 });
    assert.deepEqual(records(await dead.resolve(question())), [
      "failed 2: no upstream server answered",
    ]);
  });

  it("asks once for questions that wait together, and refuses more than it may hold", async () => {
    let release: (() => void) | undefined;
    await using upstream: FakeUpstream = await startUpstream(found);
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using running = startForwarder(
      { upstreams: () => gate.then(() => [upstream]), log: silent, nowMs: () => 0 },
      { ...FORWARDER_DEFAULTS, maxInFlight: 1 },
    );
    const first = running.resolve(question());
    const twin = running.resolve(question("EXAMPLE.COM"));
    assert.deepEqual(records(await running.resolve(question("other.com"))), [
      "failed 5: too many questions wait for upstream servers",
    ]);
    release?.();
    assert.deepEqual([records(await first), records(await twin)], [expected, expected]);
    assert.equal(upstream.queries.length, 1);
  });

  it("holds many questions at once without a warning of listeners that leak", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    await using upstream = await startUpstream(found);
    await using running = forwarder([upstream]);
    const names = Array.from({ length: 30 }, (_, i) => `n${String(i)}.example.com`);
    await Promise.all(names.map((name) => running.resolve(question(name))));
    // Warnings are emitted on the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", note);
    assert.deepEqual(warnings, []);
  });

  it("remembers an answer for its time to live, counts it down, then asks again", async () => {
    let nowMs = 0;
    await using upstream = await startUpstream(() => ({
      answers: [a("example.com", "192.0.2.1", 10)],
    }));
    await using running = forwarder([upstream], {}, () => nowMs);
    await running.resolve(question());
    nowMs = 4000;
    assert.deepEqual(records(await running.resolve(question())), ["example.com. 6 IN A 192.0.2.1"]);
    assert.equal(upstream.queries.length, 1);
    nowMs = 10_000;
    await running.resolve(question());
    assert.equal(upstream.queries.length, 2);
  });

  it("gives up what is under way when it is disposed", async () => {
    await using upstream = await startUpstream(() => undefined);
    const running = forwarder([upstream], { tryMs: 600_000 });
    const waiting = running.resolve(question());
    await running[Symbol.asyncDispose]();
    assert.deepEqual(records(await waiting), ["failed 2: no upstream server answered"]);
  });

  it("RFC 8767: gives the last answer when every server fails, and the new one when one is back", async () => {
    let nowMs = 0;
    let isDown = false;
    await using upstream = await startUpstream(() =>
      isDown ? { rcode: RCODE.SERVFAIL } : { answers: [a("example.com", "192.0.2.1", 10)] },
    );
    await using running = forwarder([upstream], {}, () => nowMs);
    await running.resolve(question());
    isDown = true;
    nowMs = 20_000;
    const stale = ["example.com. 30 IN A 192.0.2.1"];
    assert.deepEqual(records(await running.resolve(question())), stale);
    assert.deepEqual(records(await running.resolve(question())), stale);
    assert.equal(upstream.queries.length, 2);
    isDown = false;
    nowMs = 30_000;
    assert.deepEqual(records(await running.resolve(question())), [
      "example.com. 10 IN A 192.0.2.1",
    ]);
  });

  it("believes a server on what it was asked only", async () => {
    await using upstream = await startUpstream(() => ({
      answers: [
        {
          name: domain("example.com"),
          ttlSeconds: 60,
          data: { kind: "CNAME", target: domain("b.com") },
        },
        a("b.com", "192.0.2.1"),
        a("bank.example", "192.0.2.66"),
      ],
      authority: [
        {
          name: domain("bank.example"),
          ttlSeconds: 60,
          data: { kind: "NS", target: domain("evil.com") },
        },
      ],
      additional: [a("evil.com", "192.0.2.66")],
    }));
    await using running = forwarder([upstream]);
    const forwarded = await running.resolve(question());
    assert.deepEqual(records(forwarded), [
      "example.com. 60 IN CNAME b.com.",
      "b.com. 60 IN A 192.0.2.1",
    ]);
    assert.ok(forwarded.kind === "answer");
    assert.deepEqual([forwarded.message.authority, forwarded.message.additional], [[], []]);
  });

  it("asks in letters of random size when told to, and takes no answer in others", async () => {
    await using echo = await startUpstream(found);
    await using random = forwarder([echo], { randomCase: true });
    for (let i = 0; i < 5; i++)
      await random.resolve(question(`abcdefghij${String(i)}.example.com`));
    const names = echo.queries.map(({ query }) => query.question?.name.join(".") ?? "");
    assert.ok(
      names.every((name) => name.toLowerCase() !== name),
      names.join(" "),
    );
    await using small = await startUpstream((query) => ({
      ...found(query, "udp"),
      question: { name: domain("abcdefghijklmnop.example.com"), type: 1, class: 1 },
    }));
    await using strict = forwarder([small, echo], { randomCase: true, tryMs: 300 });
    await strict.resolve(question("abcdefghijklmnop.example.com"));
    assert.equal(echo.queries.length, 6);
  });

  it("parallel: takes the first good answer, whichever server is silent or in trouble", async () => {
    await using silentOne = await startUpstream(() => undefined);
    await using troubled = await startUpstream(() => ({ rcode: RCODE.REFUSED }));
    await using good = await startUpstream(found);
    await using running = forwarder([silentOne, troubled, good], {
      policy: "parallel",
      tryMs: 600_000,
    });
    assert.deepEqual(records(await running.resolve(question())), expected);
    await using none = forwarder([troubled, troubled], { policy: "parallel" });
    const refused = await none.resolve(question());
    assert.ok(refused.kind === "answer");
    assert.equal(refused.message.rcode, RCODE.REFUSED);
  });

  it("round_robin: each server is asked in its turn", async () => {
    await using first = await startUpstream(found);
    await using second = await startUpstream(found);
    await using running = forwarder([first, second], { policy: "round_robin" });
    for (let i = 0; i < 4; i++) await running.resolve(question(`n${String(i)}.example.com`));
    assert.deepEqual([first.queries.length, second.queries.length], [2, 2]);
  });

  it("leaves out a server that fails its health checks, until it answers one", async () => {
    let isSilent = true;
    await using bad = await startUpstream((query, protocol) =>
      isSilent ? undefined : query.question?.type === TYPE.NS ? {} : found(query, protocol),
    );
    await using good = await startUpstream(found);
    await using running = forwarder([bad, good], { tryMs: 50, maxFails: 1, healthCheckMs: 5 });
    await running.resolve(question("first.example.com"));
    const asked = (): number =>
      bad.queries.filter(({ query }) => query.question?.type === TYPE.A).length;
    // The check fails after a second: from then on the server is not asked.
    for (let i = 0; ; i++) {
      const before = asked();
      await running.resolve(question(`n${String(i)}.example.com`));
      if (asked() === before) break;
    }
    isSilent = false;
    for (let i = 0; ; i++) {
      const before = asked();
      await running.resolve(question(`m${String(i)}.example.com`));
      if (asked() > before) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it("asks over one kept connection when told to use TCP, and over a new one when that was closed", async () => {
    const upstream = await startUpstream(found);
    await using running = forwarder([upstream], { forceTcp: true });
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(records(await running.resolve(question(`n${String(i)}.example.com`))), []);
    }
    assert.deepEqual(
      upstream.queries.map(({ protocol }) => protocol),
      ["tcp", "tcp", "tcp"],
    );
    await upstream[Symbol.asyncDispose]();
    await using _again = await startUpstream(found, upstream.port);
    assert.deepEqual(records(await running.resolve(question())), expected);
  });

  it("leaves out a server that asks back what it is asked", async () => {
    const guard = new LoopGuard(silent, () => 0);
    await using looping = await startUpstream((query, protocol) => {
      // As a server does whose own upstream is the one that asks.
      const isBack = query.question !== undefined && guard.takes(query.question);
      return isBack ? undefined : found(query, protocol);
    });
    await using good = await startUpstream(found);
    await using running = startForwarder({
      upstreams: () => Promise.resolve([looping, good]),
      log: silent,
      nowMs: () => 0,
      loopGuard: guard,
    });
    for (let i = 0; !guard.isLooping(looping); i++) {
      await running.resolve(question(`n${String(i)}.example.com`));
    }
    const before = looping.queries.length;
    assert.deepEqual(records(await running.resolve(question())), expected);
    assert.equal(looping.queries.length, before);
  });
});
