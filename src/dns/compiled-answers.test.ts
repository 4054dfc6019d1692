import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerReader } from "../core/dns/answer-reader.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { TYPE } from "../core/dns/message.ts";
import { serviceView } from "../core/dns/views.ts";
import { questionMessage } from "../../test/dns/question.ts";
import { service } from "../../test/dns/zone.ts";
import { CompiledAnswers } from "./compiled-answers.ts";
import { NO_METRICS } from "./metrics.ts";
import { createResponder } from "./responder.ts";
import type { ServerBlock } from "./server-block.ts";

const peer = { address: "127.0.0.1", port: 1 };

/** A cluster with one Service, what compiles its answers, and a reader of these. */
class Stage implements Disposable {
  readonly index = new DnsIndex();
  readonly compiled = new CompiledAnswers({ threads: 1, arenaBytes: 1 << 17 });
  readonly #packets = new ArrayBuffer(4096);
  readonly #reader = new AnswerReader(this.compiled.memory, this.#packets);
  readonly #respond;

  constructor() {
    this.index.setNamespace("default", true);
    this.put("web");
    const zone = {
      zones: [["cluster", "local"]],
      reverseZones: [],
      fallthrough: [],
      reverseCidrs: undefined,
      autopath: undefined,
      ttlSeconds: 5,
      firstSerial: 1,
      podRecords: "disabled",
      ignoresEmptyServices: false,
      serverAddresses: [],
    } as const;
    const blocks: ServerBlock[] = [
      { zones: [[]], cluster: { index: () => this.index, zone }, forwards: [] },
    ];
    this.compiled.use(blocks, NO_METRICS);
    this.#respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, blocks);
  }

  put(name: string): void {
    const view = serviceView(service(name, { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    this.index.setService(view.key, view);
  }

  /** As a thread does: answers what is compiled, and passes on the rest. @returns who answered. */
  ask(name: string): "thread" | "main" {
    const message = query(`${name}.default.svc.cluster.local`);
    const packets = new Uint8Array(this.#packets);
    packets.set(message);
    if (this.#reader.answer(0, message.length, 0) > 0) return "thread";
    const answer = this.#respond(message, "udp", peer);
    assert.ok(answer instanceof Uint8Array);
    this.compiled.offer(message, answer);
    return "main";
  }

  [Symbol.dispose](): void {
    this.compiled[Symbol.dispose]();
  }
}

function query(name: string): Uint8Array {
  const asked = { name: name.split("."), type: TYPE.A, class: 1 };
  const edns = { udpBytes: 1232, dnssecOk: false, version: 0 };
  return encodeMessage(questionMessage(asked, { edns }), 512);
}

describe("CompiledAnswers", () => {
  it("compiles an answer when it is first asked for, but of a name that does not exist when it is asked for again", () => {
    using stage = new Stage();
    const twice = (name: string): string[] => [stage.ask(name), stage.ask(name), stage.ask(name)];
    assert.deepEqual(twice("web"), ["main", "thread", "thread"]);
    assert.deepEqual(twice("none"), ["main", "main", "thread"]);
  });

  it("DNS-031: forgets that a name does not exist when it is made", () => {
    using stage = new Stage();
    for (let i = 0; i < 3; i++) stage.ask("none");
    stage.put("none");
    assert.equal(stage.ask("none"), "main");
    assert.equal(stage.ask("none"), "thread");
  });

  it("keeps what is asked for through a flood of made-up names, many times as many as there is room for", () => {
    using stage = new Stage();
    stage.ask("web");
    for (let i = 0; i < 3; i++) stage.ask("svc.of.a.search.list");
    for (let i = 0; i < 5000; i++) assert.equal(stage.ask(`flood-${String(i)}`), "main");
    assert.equal(stage.ask("web"), "thread");
    assert.equal(stage.ask("svc.of.a.search.list"), "thread");
  });
});
