import { DURATION_BUCKETS, SIZE_BUCKETS } from "./buckets.ts";

/** Kinds of questions that are counted apart: by zone, type and code. */
export const MAX_SERIES = 512;

const SIZES = SIZE_BUCKETS.length + 1;
const DURATIONS = DURATION_BUCKETS.length + 1;
/** Where a series has its sums: answers, such with DO, bytes of questions, of answers, and seconds. */
const DNSSEC = 1;
const REQUEST_BYTES = 2;
const RESPONSE_BYTES = 3;
const SECONDS = 4;
const REQUEST_SIZES = 5;
const RESPONSE_SIZES = REQUEST_SIZES + SIZES;
const DURATION_COUNTS = RESPONSE_SIZES + SIZES;
const STRIDE = DURATION_COUNTS + DURATIONS;
/** UDP has no longer answers, and questions beyond the last bucket of these are the same for metrics. */
const SIZE_TABLE = 4097;

/** What happened to questions of one series since it was taken last. */
export interface Tally {
  readonly answers: number;
  readonly dnssecOk: number;
  readonly requestSizes: HistogramDelta;
  readonly responseSizes: HistogramDelta;
  readonly seconds: HistogramDelta;
}

export interface HistogramDelta {
  /** Of each bucket by itself; the last one is for what is above all bounds. */
  readonly counts: Float64Array;
  readonly sum: number;
}

/** Counts in memory that one thread writes and another reads. */
export class QuestionTally {
  readonly #values: Float64Array;
  readonly #sizeSlots = Uint8Array.from({ length: SIZE_TABLE }, (_, bytes) =>
    slotOf(SIZE_BUCKETS, bytes),
  );
  /** How many answers of each series the batch has, and which series. */
  readonly #inBatch = new Uint16Array(MAX_SERIES);
  readonly #batch: number[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(8 * MAX_SERIES * STRIDE);
  }

  add(series: number, requestBytes: number, responseBytes: number, dnssecOk: boolean): void {
    const at = series * STRIDE;
    this.#add(at, 1);
    if (dnssecOk) this.#add(at + DNSSEC, 1);
    this.#add(at + REQUEST_BYTES, requestBytes);
    this.#add(at + RESPONSE_BYTES, responseBytes);
    this.#add(at + REQUEST_SIZES + (this.#sizeSlots[requestBytes] ?? 0), 1);
    this.#add(at + RESPONSE_SIZES + (this.#sizeSlots[responseBytes] ?? 0), 1);
    const inBatch = this.#inBatch[series] ?? 0;
    if (inBatch === 0) this.#batch.push(series);
    this.#inBatch[series] = inBatch + 1;
  }

  /** Ends a batch, whose answers all took this long. */
  addTime(ms: number): void {
    const seconds = ms / 1000;
    const slot = slotOf(DURATION_BUCKETS, seconds);
    for (const series of this.#batch) {
      const count = this.#inBatch[series] ?? 0;
      this.#inBatch[series] = 0;
      this.#add(series * STRIDE + SECONDS, count * seconds);
      this.#add(series * STRIDE + DURATION_COUNTS + slot, count);
    }
    this.#batch.length = 0;
  }

  #add(at: number, by: number): void {
    this.#values[at] = (this.#values[at] ?? 0) + by;
  }
}

/** Reads what a {@link QuestionTally} counts. */
export class TallyReader {
  readonly #values: Float64Array;
  readonly #taken: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory);
    this.#taken = new Float64Array(this.#values.length);
  }

  /** What is new of a series; undefined when nothing is. */
  take(series: number): Tally | undefined {
    const at = series * STRIDE;
    const now = this.#values.slice(at, at + STRIDE);
    const before = this.#taken.slice(at, at + STRIDE);
    if (now[0] === before[0]) return undefined;
    this.#taken.set(now, at);
    const delta = now.map((value, i) => value - (before[i] ?? 0));
    const histogram = (sum: number, start: number, slots: number): HistogramDelta => ({
      counts: delta.slice(start, start + slots),
      sum: delta[sum] ?? 0,
    });
    return {
      answers: delta[0] ?? 0,
      dnssecOk: delta[DNSSEC] ?? 0,
      requestSizes: histogram(REQUEST_BYTES, REQUEST_SIZES, SIZES),
      responseSizes: histogram(RESPONSE_BYTES, RESPONSE_SIZES, SIZES),
      seconds: histogram(SECONDS, DURATION_COUNTS, DURATIONS),
    };
  }
}

function slotOf(bounds: readonly number[], value: number): number {
  const found = bounds.findIndex((bound) => value <= bound);
  return found === -1 ? bounds.length : found;
}
