// A thread that answers questions over UDP from compiled answers, and passes on all others.
import { parentPort, workerData } from "node:worker_threads";
import { CONTROL } from "../core/dns/answer-memory.ts";
import { AnswerReader } from "../core/dns/answer-reader.ts";
import { loadLibc } from "../kernel/libc.ts";
import { PEER_STRIDE, SLOT_STRIDE, UdpBatch } from "../kernel/udp-batch.ts";
import { QuestionTally } from "./question-tally.ts";
import { RateLimiter } from "./rate-limit.ts";
import type { PassedOn, UdpWorkerData } from "./udp-worker-data.ts";

/** Questions that others have not answered yet: beyond, they are dropped. Clients ask again. */
const MAX_PASSED_ON = 4096;

// Whoever starts this gives it exactly this.
const { fd, others, reader: number, memory, tallies, rateLimit } = workerData as UdpWorkerData;
const loaded = await loadLibc();
if (loaded.kind === "missing") throw new Error(loaded.reason);
const batch = new UdpBatch(loaded.libc, fd, others);
const reader = new AnswerReader(memory, batch.packets);
const packets = new Uint8Array(batch.packets);
const control = new Int32Array(memory.control);
const tally = new QuestionTally(tallies);
/** When the batch came: asking for the time costs as much as counting. */
let batchMs = 0;
const limiter = rateLimit && new RateLimiter(rateLimit, () => batchMs);
const counter = CONTROL.readers + number;
let turn = 1 + number;

while (Atomics.load(control, CONTROL.stop) === 0) {
  const count = batch.receive();
  if (count > 0) {
    // Also what the reader needs to see every change that was before these questions.
    Atomics.add(control, counter, 1);
    answerBatch(count);
    Atomics.add(control, counter, 1);
  }
}

function answerBatch(count: number): void {
  const startMs = performance.now();
  if (limiter !== undefined) batchMs = Date.now();
  const passedOn: PassedOn[] = [];
  for (let slot = 0; slot < count; slot++) {
    const length = batch.length(slot);
    const start = slot * SLOT_STRIDE;
    const bytes = reader.answer(start, length, nextTurn());
    if (bytes > 0) {
      const sent = limiter === undefined ? bytes : limited(limiter, slot, bytes);
      if (sent === 0) continue;
      batch.queue(slot, sent);
      tally.add(reader.series, length, sent, reader.dnssecOk);
    } else if (length > 0) {
      if (Atomics.load(control, CONTROL.passedOn) >= MAX_PASSED_ON) continue;
      Atomics.add(control, CONTROL.passedOn, 1);
      passedOn.push({ message: packets.slice(start, start + length), peer: batch.peer(slot) });
    }
  }
  batch.send();
  tally.addTime(performance.now() - startMs);
  if (passedOn.length > 0) parentPort?.postMessage(passedOn);
}

/** What is left of the answer in a slot for who asked: all, "ask over TCP", or nothing. */
function limited(by: RateLimiter, slot: number, bytes: number): number {
  const verdict = by.judgeSocketAddress(batch.peers, slot * PEER_STRIDE);
  if (verdict === "send") return bytes;
  return verdict === "truncate" ? reader.truncate(slot * SLOT_STRIDE) : 0;
}

/** Marsaglia's xorshift: which of several addresses comes first is to be even, not secret. */
function nextTurn(): number {
  turn ^= turn << 13;
  turn ^= turn >>> 17;
  turn ^= turn << 5;
  return turn >>> 1;
}
