import { randomInt } from "node:crypto";
import { createAnswerMemory } from "../core/dns/answer-memory.ts";
import type { AnswerMemory } from "../core/dns/answer-memory.ts";
import { AnswerTable } from "../core/dns/answer-table.ts";
import { zoneOf } from "../core/dns/answer.ts";
import { compileAnswer } from "../core/dns/compiled-answer.ts";
import { parseQuery } from "../core/dns/decode.ts";
import type { Dirty, DnsIndex } from "../core/dns/dns-index.ts";
import { foldName, isWithin } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { CLASS_IN, EDNS_UDP_BYTES, RCODE, TYPE } from "../core/dns/message.ts";
import type { Question } from "../core/dns/message.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import type { Counter, Metrics } from "../telemetry/metrics.ts";
import type { CountedSeries, DnsMetrics } from "./metrics.ts";
import { MAX_SERIES, QuestionTally, TallyReader } from "./question-tally.ts";
import type { RateLimiter } from "./rate-limit.ts";
import type { ClusterNames, ServerBlock } from "./server-block.ts";

export interface FastPathOptions {
  /** How many threads answer, each with a socket of its own. */
  readonly threads: number;
  /**
   * Room for compiled answers, of which only what is used takes memory; default 32 MiB. What was not asked for
   * lately is forgotten when it is full.
   */
  readonly arenaBytes?: number | undefined;
  /** Bounds what the threads, and the main one, send to one source; default everything. */
  readonly rateLimiter?: RateLimiter | undefined;
  /** The threads' program, `udp-worker.ts`; default as it is bundled. */
  readonly worker?: URL | undefined;
  /** Called when a thread has started: V8 sets some of the process's flags anew for each. */
  readonly onThreadStarted?: (() => void) | undefined;
}

const ARENA_BYTES = 32 * 1024 * 1024;
/** How many answers can be found: about as many short ones as an arena has room for. */
const SLOTS = 262_144;
/** Names by their hashes, one a place, that were asked for lately. */
const ASKED_BEFORE = 65_536;

/**
 * Answers from the cluster's index in a form that other threads send by themselves. They are made when they are
 * asked for, and void as soon as the index hears of a change of what they were made from: the next question
 * comes back here.
 */
export class CompiledAnswers implements Disposable {
  readonly memory: AnswerMemory;
  readonly worker: URL | undefined;
  readonly rateLimiter: RateLimiter | undefined;
  readonly onThreadStarted: () => void;
  /** For the reader of this number to count in. */
  readonly tallies: readonly SharedArrayBuffer[];
  readonly #table: AnswerTable;
  readonly #tallyReaders: readonly TallyReader[];
  readonly #scrapes: Disposable | undefined;
  readonly #answers: Counter | undefined;
  readonly #askedBefore = new Int32Array(ASKED_BEFORE);
  readonly #series: CountedSeries[] = [];
  readonly #seriesByKey = new Map<string, number>();
  #source: Source | undefined;
  #observed: { readonly index: DnsIndex; readonly end: () => void } | undefined;
  #hostsChanges: Disposable | undefined;
  /** What the answer that is being compiled was made from. */
  #reads: Dirty[] | undefined;
  #turn = 0;

  constructor(options: FastPathOptions, metrics?: Metrics) {
    const { threads, arenaBytes = ARENA_BYTES } = options;
    this.worker = options.worker;
    this.rateLimiter = options.rateLimiter;
    this.onThreadStarted = options.onThreadStarted ?? (() => undefined);
    const seed = randomInt(0x7fff_ffff);
    this.memory = createAnswerMemory({ arenaBytes, slots: SLOTS, readers: threads, seed });
    this.tallies = Array.from({ length: threads }, () => QuestionTally.memory());
    this.#tallyReaders = this.tallies.map((tally) => new TallyReader(tally));
    this.#table = new AnswerTable(this.memory);
    this.#answers = metrics
      ?.counter(
        "portolan_dns_compiled_answers_total",
        "DNS questions answered by threads of their own, from compiled answers.",
      )
      .with();
    this.#scrapes = metrics?.beforeRender(() => {
      this.#mergeTallies();
    });
  }

  /**
   * Answers are made from these server blocks from now on, and those that were made before are void: from the
   * names of one cluster, where nothing has a say in them but hosts. Other blocks' answers are not compiled.
   */
  use(blocks: readonly ServerBlock[], metrics: DnsMetrics): void {
    this.#mergeTallies();
    this.#observed?.end();
    this.#observed = undefined;
    this.#series.length = 0;
    this.#seriesByKey.clear();
    this.#table.clear();
    const zones = blocks.flatMap((block) => block.zones);
    const chosen = blocks.find(isPlain);
    this.#source = chosen?.cluster && { zones, chosen, cluster: chosen.cluster, metrics };
    this.#hostsChanges?.[Symbol.dispose]();
    // A name may be theirs from now on, or not any more.
    this.#hostsChanges = chosen?.hosts?.onChange(() => {
      this.#table.clear();
    });
  }

  /**
   * Compiles the answer to a message that others just gave `answer` to. Of names that do not exist, and of all when
   * there is no more room, only what was asked for before is: made-up names, which nobody asks for twice, cost no
   * more than their first answer and push out nothing.
   */
  offer(message: Uint8Array, answer: Uint8Array): void {
    const parsed = parseQuery(message);
    const index = this.#source?.cluster.index();
    if (this.#source === undefined || index === undefined || parsed.kind !== "query") return;
    const { question } = parsed;
    const { zones, chosen, cluster } = this.#source;
    const zone = zoneOf(foldName(question.name), zones);
    if (zone === undefined || !chosen.zones.includes(zone) || !isForAll(question)) return;
    if (chosen.hosts?.table.answer(question) !== undefined) return;
    const hash = this.#table.find(question.name, question.type);
    const isDenied = ((answer[3] ?? 0) & 0xf) === RCODE.NXDOMAIN;
    if (hash === undefined || !this.#isAdmitted(hash, isDenied)) return;
    this.#observe(index);
    const reads: Dirty[] = [];
    this.#reads = reads;
    this.#turn = (this.#turn + 1) & 0x7fff_ffff;
    const turn = chosen.rotates === false ? undefined : this.#turn;
    const compiled = compileAnswer(question, index, cluster.zone, turn);
    this.#reads = undefined;
    if (compiled === undefined) return;
    const series = this.#seriesOf(zone, question.type, compiled.rcode);
    if (series !== undefined) this.#table.put(compiled, { reads, series });
  }

  [Symbol.dispose](): void {
    this.#mergeTallies();
    this.#scrapes?.[Symbol.dispose]();
    this.#observed?.end();
    this.#hostsChanges?.[Symbol.dispose]();
    this.#source = undefined;
  }

  #isAdmitted(hash: number, isDenied: boolean): boolean {
    const place = hash & (ASKED_BEFORE - 1);
    const isFree = !isDenied && !this.#table.isFull;
    const isAdmitted = isFree || this.#askedBefore[place] === hash;
    this.#askedBefore[place] = hash;
    return isAdmitted;
  }

  /** Nothing is made from an index that is not observed, so that none of its changes is missed. */
  #observe(index: DnsIndex): void {
    if (this.#observed?.index === index) return;
    this.#observed?.end();
    const setSerial = (): void => {
      this.#table.serial = (this.#source?.cluster.zone.firstSerial ?? 0) + index.changes;
    };
    const end = index.observe({
      onDirty: (dirty) => {
        setSerial();
        this.#table.invalidate(dirty);
      },
      onRead: (read) => this.#reads?.push(read),
    });
    this.#observed = { index, end };
    this.#table.clear();
    setSerial();
  }

  #seriesOf(zone: DomainName, type: number, rcode: number): number | undefined {
    const key = `${String(this.#source?.zones.indexOf(zone))} ${String(type)} ${String(rcode)}`;
    const known = this.#seriesByKey.get(key);
    if (known !== undefined || this.#series.length === MAX_SERIES) return known;
    this.#seriesByKey.set(key, this.#series.length);
    this.#series.push({ protocol: "udp", zone, type, rcode, by: "kubernetes" });
    return this.#series.length - 1;
  }

  #mergeTallies(): void {
    // Of several sockets with one limit, whoever comes first counts for all.
    const dropped = this.rateLimiter?.takeDroppedByThreads() ?? 0;
    if (dropped > 0) this.#source?.metrics.dropped("udp", dropped);
    for (const [number, series] of this.#series.entries()) {
      for (const reader of this.#tallyReaders) {
        const tally = reader.take(number);
        if (tally === undefined) continue;
        this.#source?.metrics.counted(series, tally);
        this.#answers?.inc(tally.answers);
      }
    }
  }
}

interface Source {
  /** Of all server blocks of the socket. */
  readonly zones: readonly DomainName[];
  readonly chosen: ServerBlock;
  readonly cluster: ClusterNames;
  readonly metrics: DnsMetrics;
}

/** Whether answers for the cluster's names come from its index alone, and nobody has to hear of each. */
function isPlain(block: ServerBlock): boolean {
  const { cluster, log, maxUdpBytes = EDNS_UDP_BYTES, rewrites, access, order } = block;
  return (
    cluster !== undefined &&
    (log === undefined || block.logsFailuresOnly === true) &&
    order === undefined &&
    block.isMinimal !== true &&
    maxUdpBytes >= EDNS_UDP_BYTES &&
    (access ?? []).length === 0 &&
    (rewrites ?? []).length === 0 &&
    (block.templates ?? []).every(({ zones }) => isApart(zones, cluster.zone))
  );
}

/** Whether no name is both in one of these zones and the cluster's. */
function isApart(others: readonly DomainName[], { zones, reverseZones }: ZoneOptions): boolean {
  return others.every((other) =>
    [...zones, ...reverseZones].every((zone) => !isWithin(zone, other) && !isWithin(other, zone)),
  );
}

/** Whether the answer is the same whoever asks: a zone is transferred to some only. */
function isForAll({ class: ofClass, type }: Question): boolean {
  return ofClass === CLASS_IN && type !== TYPE.AXFR && type !== TYPE.IXFR;
}
