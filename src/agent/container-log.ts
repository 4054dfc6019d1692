import { copyFile, open, stat, truncate } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { sleep } from "../async/sleep.ts";
import { LogTimes } from "./log-times.ts";
import { codeOf } from "./proc.ts";

/** A log is cut when it is longer; what was in it is kept once, as `<attempt>.log.1`. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const FOLLOW_POLL_MS = 100;

export interface LogQuery {
  /** Goes on with what is written later, until the container has ended. */
  readonly follow?: boolean | undefined;
  /** Only this many lines before the end; 0 gives none. */
  readonly tailLines?: number | undefined;
  /** Only lines first seen at or after this time, epoch milliseconds, to the second. */
  readonly sinceMs?: number | undefined;
  /** Prefixes each line with the time at which the agent first saw it, to the second. */
  readonly timestamps?: boolean | undefined;
  readonly limitBytes?: number | undefined;
  /** Only what was written after this; tailLines and sinceMs then mean nothing. */
  readonly after?: LogPosition | undefined;
}

/** A place in a log. */
export interface LogPosition {
  readonly generation: number;
  /** Bytes. */
  readonly offset: number;
}

/**
 * What one run of a container wrote: a plain file that the process itself appends to, so that it loses
 * nothing when the agent dies. The price: nobody notes when a line was written. {@link check} notes once a
 * second how long the file is, and lines get the time of the first such look that found them.
 *
 * Cut by copying and emptying, which works as the process appends (O_APPEND); what it writes between the two
 * steps is lost. A renamed file would go on growing in the process's hands.
 */
export class ContainerLog {
  readonly file: string;
  readonly #maxBytes: number;
  #times = new LogTimes();
  #timesBefore = new LogTimes();
  /** Counts the cuts, so that a follower knows that its offset means nothing any more. */
  #generation = 0;

  constructor(file: string, maxBytes = MAX_LOG_BYTES) {
    this.file = file;
    this.#maxBytes = maxBytes;
  }

  /** Notes the length, and cuts the file when it is too long. To be called about once a second. */
  async check(nowMs: number): Promise<void> {
    const size = await sizeOf(this.file);
    this.#times.note(size, nowMs);
    if (size <= this.#maxBytes) return;
    await copyFile(this.file, `${this.file}.1`);
    await truncate(this.file, 0);
    this.#timesBefore = this.#times;
    this.#times = new LogTimes();
    this.#generation += 1;
  }

  /** Where the log ends now. */
  async end(): Promise<LogPosition> {
    return { generation: this.#generation, offset: await sizeOf(this.file) };
  }

  /** The lines asked for, in chunks as they come. `hasEnded` says that nothing more will be written. */
  async *read(
    query: LogQuery,
    now: () => number,
    hasEnded: () => boolean,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let left = query.limitBytes ?? Number.POSITIVE_INFINITY;
    for await (const chunk of this.#lines(query, now, hasEnded, signal)) {
      if (left <= 0) return;
      yield chunk.length <= left ? chunk : chunk.subarray(0, left);
      left -= chunk.length;
    }
  }

  async *#lines(
    query: LogQuery,
    now: () => number,
    hasEnded: () => boolean,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    await this.check(now());
    const before = `${this.file}.1`;
    const sizes = { before: await sizeOf(before), current: await sizeOf(this.file) };
    const start = await this.#start(query, sizes);
    const stamper = new Stamper();
    const stamp = (times: LogTimes): LineStamp | undefined =>
      query.timestamps === true
        ? (block, offset) => stamper.stamp(block, (end) => times.timeAt(offset + end, now()))
        : undefined;
    if (query.after === undefined)
      yield* readRange(before, start.before, sizes.before, stamp(this.#timesBefore));
    let { generation, offset } = query.after ?? {
      generation: this.#generation,
      offset: start.current,
    };
    for (;;) {
      // Asked before reading: what was written before the end is then surely read.
      const isLast = query.follow !== true || hasEnded();
      const size = await sizeOf(this.file);
      if (generation !== this.#generation || size < offset) {
        generation = this.#generation;
        offset = 0;
      }
      if (size > offset) {
        this.#times.note(size, now());
        yield* readRange(this.file, offset, size, stamp(this.#times));
        offset = size;
      }
      if (isLast) return;
      await sleep(FOLLOW_POLL_MS, signal);
    }
  }

  /** Where to begin in the cut-off part and in the current file. */
  async #start(
    query: LogQuery,
    sizes: { readonly before: number; readonly current: number },
  ): Promise<{ readonly before: number; readonly current: number }> {
    let before = 0;
    let current = 0;
    if (query.sinceMs !== undefined) {
      before = this.#timesBefore.offsetAt(query.sinceMs) ?? sizes.before;
      current = this.#times.offsetAt(query.sinceMs) ?? sizes.current;
    }
    if (query.tailLines === undefined) return { before, current };
    const tail = await tailOffset(this.file, sizes.current, query.tailLines);
    if (tail.missing === 0)
      return { before: sizes.before, current: Math.max(current, tail.offset) };
    const rest = await tailOffset(`${this.file}.1`, sizes.before, tail.missing);
    return { before: Math.max(before, rest.offset), current };
  }
}

/**
 * Where the last `lines` lines of a file of `size` bytes begin, and how many lines it lacks. A last line
 * without an end counts.
 */
export async function tailOffset(
  file: string,
  size: number,
  lines: number,
): Promise<{ readonly offset: number; readonly missing: number }> {
  if (lines === 0) return { offset: size, missing: 0 };
  if (size === 0) return { offset: 0, missing: lines };
  const handle = await open(file, "r");
  try {
    let found = 0;
    for (let end = size; end > 0; ) {
      const begin = Math.max(0, end - BLOCK_BYTES);
      const block = await readBlock(handle, begin, end);
      for (let i = block.length - 1; i >= 0; i--) {
        // The end of the last line begins no line.
        if (block[i] !== 0x0a || begin + i === size - 1) continue;
        found += 1;
        if (found === lines) return { offset: begin + i + 1, missing: 0 };
      }
      end = begin;
    }
    return { offset: 0, missing: lines - found - 1 };
  } finally {
    await handle.close();
  }
}

/** Adds the times to a block that was read at an offset of the file. */
type LineStamp = (block: Buffer, offset: number) => Buffer;

async function* readRange(
  file: string,
  begin: number,
  end: number,
  stamp: LineStamp | undefined,
): AsyncGenerator<Uint8Array> {
  if (begin >= end) return;
  const handle = await open(file, "r");
  try {
    for (let offset = begin; offset < end; ) {
      const block = await readBlock(handle, offset, Math.min(end, offset + BLOCK_BYTES));
      // Shorter than asked: the file was cut meanwhile.
      if (block.length === 0) return;
      yield stamp === undefined ? block : stamp(block, offset);
      offset += block.length;
    }
  } finally {
    await handle.close();
  }
}

/** Puts a time before each line; remembers between blocks whether a line has begun. */
class Stamper {
  #isLineStart = true;

  /** `timeAt` gives epoch milliseconds of the line that ends at an offset of the block. */
  stamp(block: Buffer, timeAt: (end: number) => number): Buffer {
    const parts: Buffer[] = [];
    for (let begin = 0; begin < block.length; ) {
      const newline = block.indexOf(0x0a, begin);
      const end = newline === -1 ? block.length : newline + 1;
      if (this.#isLineStart) parts.push(Buffer.from(`${new Date(timeAt(end)).toISOString()} `));
      parts.push(block.subarray(begin, end));
      this.#isLineStart = newline !== -1;
      begin = end;
    }
    return Buffer.concat(parts);
  }
}

async function readBlock(handle: FileHandle, begin: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(end - begin);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, begin);
  return buffer.subarray(0, bytesRead);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw error;
  }
}
