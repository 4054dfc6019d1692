import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerReader } from "../core/dns/answer-reader.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { HostsTable, parseHostLine } from "../core/dns/hosts-table.ts";
import { TYPE } from "../core/dns/message.ts";
import { serviceView, sliceView } from "../core/dns/views.ts";
import { questionMessage } from "../../test/dns/question.ts";
import { service, slice } from "../../test/dns/zone.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import { CompiledAnswers } from "./compiled-answers.ts";
import { NO_METRICS } from "./metrics.ts";
import { createResponder } from "./responder.ts";
import type { ServerBlock } from "./server-block.ts";

const peer = { address: "127.0.0.1", port: 1 };

/** A cluster with one Service, what compiles its answers as a server block wants them, and a reader of these. */
class Stage implements Disposable {
  readonly index = new DnsIndex();
  readonly compiled = new CompiledAnswers({ threads: 1, arenaBytes: 1 << 17 });
  readonly #packets = new ArrayBuffer(4096);
  readonly #reader = new AnswerReader(this.compiled.memory, this.#packets);
  readonly #respond;

  constructor(block: Partial<ServerBlock> = {}) {
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
      { zones: [[]], cluster: { index: () => this.index, zone }, forwards: [], ...block },
    ];
    this.compiled.use(blocks, NO_METRICS);
    this.#respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, blocks);
  }

  put(name: string): void {
    const view = serviceView(service(name, { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }));
    this.index.setService(view.key, view);
  }

  putHeadless(name: string, addresses: readonly string[]): void {
    const view = serviceView(service(name, { clusterIP: "None", clusterIPs: ["None"] }));
    this.index.setService(view.key, view);
    const endpoints = slice(
      name,
      addresses.map((address) => ({ addresses: [address] })),
    );
    this.index.setSlice(keyOf(endpoints), sliceView(endpoints));
  }

  /** As a thread does: answers what is compiled, and passes on the rest. @returns who answered. */
  ask(name: string): "thread" | "main" {
    return this.addresses(name).by;
  }

  /** The same, with the addresses of the answer; `rotation` is what a thread says. */
  addresses(name: string, rotation = 0): { by: "thread" | "main"; found: readonly string[] } {
    const message = query(`${name}.default.svc.cluster.local`);
    const packets = new Uint8Array(this.#packets);
    packets.set(message);
    const bytes = this.#reader.answer(0, message.length, rotation);
    if (bytes > 0) return { by: "thread", found: addressesOf(packets.slice(0, bytes)) };
    const answer = this.#respond(message, "udp", peer);
    assert.ok(answer instanceof Uint8Array);
    this.compiled.offer(message, answer);
    return { by: "main", found: addressesOf(answer) };
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

function addressesOf(message: Uint8Array): readonly string[] {
  return (decodeMessage(message)?.answers ?? []).flatMap(({ data }) =>
    data.kind === "A" ? [data.address] : [],
  );
}

/** Hosts that change when the test says so. */
class Hosts {
  table = tableOf([]);
  readonly #listeners = new Set<() => void>();

  set(...lines: readonly string[]): void {
    this.table = tableOf(lines);
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
      },
    };
  }
}

function tableOf(lines: readonly string[]): HostsTable {
  const options = { zones: [[]], ttlSeconds: 60, hasReverse: true, fallthrough: [[]] };
  return new HostsTable(
    lines.flatMap((line) => parseHostLine(line) ?? []),
    options,
  );
}

describe("CompiledAnswers", () => {
  it("leaves names to the hosts of the block, as soon as they are there and as long as they are", () => {
    const hosts = new Hosts();
    using stage = new Stage({ hosts });
    const asked = (): unknown => stage.addresses("web");
    asked();
    assert.deepEqual(asked(), { by: "thread", found: ["10.96.0.1"] });
    hosts.set("192.0.2.1 web.default.svc.cluster.local");
    for (let i = 0; i < 3; i++) assert.deepEqual(asked(), { by: "main", found: ["192.0.2.1"] });
    hosts.set("192.0.2.1 other.default.svc.cluster.local");
    assert.deepEqual(asked(), { by: "main", found: ["10.96.0.1"] });
    assert.deepEqual(asked(), { by: "thread", found: ["10.96.0.1"] });
  });

  it("keeps one order of addresses where the block does not rotate them", () => {
    using stage = new Stage({ rotates: false });
    const expected = Array.from({ length: 100 }, (_, i) => `10.112.0.${String(i)}`);
    stage.putHeadless("set", expected);
    const first = stage.addresses("set");
    assert.deepEqual(first, { by: "main", found: expected.slice(0, first.found.length) });
    assert.ok(first.found.length < expected.length);
    for (let rotation = 0; rotation < 100; rotation++) {
      assert.deepEqual(stage.addresses("set", rotation), { by: "thread", found: first.found });
    }
  });

  it("compiles where only failures are logged, and where the message may be as long as anyway", () => {
    const log = (): void => undefined;
    const answers = (block: Partial<ServerBlock>): readonly string[] => {
      using stage = new Stage(block);
      return [stage.ask("web"), stage.ask("web")];
    };
    assert.deepEqual(answers({ log, logsFailuresOnly: true }), ["main", "thread"]);
    assert.deepEqual(answers({ log, logsFailuresOnly: false }), ["main", "main"]);
    assert.deepEqual(answers({ maxUdpBytes: 1232 }), ["main", "thread"]);
    assert.deepEqual(answers({ maxUdpBytes: 1231 }), ["main", "main"]);
  });

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
