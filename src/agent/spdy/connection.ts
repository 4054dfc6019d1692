import { Duplex } from "node:stream";
import { FrameDecoder, INITIAL_WINDOW_SETTING, RESET, SpdyError, encodeFrame } from "./frames.ts";
import type { Frame } from "./frames.ts";
import { HeaderDeflater, HeaderInflater } from "./header-block.ts";
import type { SpdyHeaders } from "./header-block.ts";

/** What is kept of a stream that nobody reads; beyond it the whole connection waits. */
const STREAM_BUFFER_BYTES = 256 * 1024;
const MAX_DATA_BYTES = 32 * 1024;
const INITIAL_WINDOW = 64 * 1024;
/** Credit is given back in pieces of at least this size. */
const CREDIT_BYTES = INITIAL_WINDOW / 2;
/** Streams of one connection at the same time; a forwarded connection takes two. */
const MAX_STREAMS = 1024;
/** Writing shows that a peer is gone even while nothing is read from it. */
const PING_EVERY_MS = 5_000;

/** A stream that the client has opened. Ending the writable side sends FIN; destroying it, a reset. */
export interface SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly duplex: Duplex;
}

interface Live {
  readonly id: number;
  readonly duplex: Duplex;
  /** What we may still send, once the peer has shown that it counts. */
  window: number;
  /** Taken by the reader, but not yet told to the peer. */
  credit: number;
  isRemoteDone: boolean;
  isLocalDone: boolean;
  /** Goes on with what waits for the reader. */
  resumeRead: (() => void) | undefined;
  resumeWrite: (() => void) | undefined;
}

/**
 * The server side of a SPDY/3.1 connection, as Kubernetes clients speak it (moby/spdystream): they open the
 * streams, we answer.
 *
 * Flow control: those clients neither heed nor send WINDOW_UPDATE. So windows bind what we send only from the
 * first WINDOW_UPDATE or SETTINGS that a peer sends (a peer that counts does so long before it has got 64 KiB),
 * and until then TCP alone slows us. We do give credit as streams are read, and stop reading the whole connection
 * when a stream's reader is 256 KiB behind, which bounds what a client can make us keep.
 */
export class SpdyConnection {
  /** Resolves when the connection has ended, for whatever reason; all streams are closed then. */
  readonly closed: Promise<void>;
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #decoder = new FrameDecoder();
  readonly #inflater = new HeaderInflater();
  readonly #deflater = new HeaderDeflater();
  readonly #streams = new Map<number, Live>();
  #lastStreamId = 0;
  #countsWindows = false;
  #initialWindow = INITIAL_WINDOW;
  #isGoingAway = false;
  #drained: Promise<void> | undefined;

  /** `onStream` is called for each stream, after its reply; `transport` carries the frames and is closed at the end. */
  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    this.closed = this.#serve();
  }

  /** Announces the end and closes the connection. */
  close(): void {
    this.#write({ kind: "goaway", lastStreamId: this.#lastStreamId, status: 0 });
    closeSoon(this.#transport);
  }

  async #serve(): Promise<void> {
    const transport = this.#transport;
    const pings = setInterval(() => this.#write({ kind: "ping", id: 2 }), PING_EVERY_MS);
    // The reading loop gets the error too; without a listener it would end the process.
    transport.on("error", () => undefined);
    // Not only at the loop's end: the loop may be waiting for a stream's reader.
    transport.once("close", () => this.#abandonStreams());
    try {
      const chunks = transport.iterator({ destroyOnReturn: false });
      // The transport is binary: no encoding was set.
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        for (const frame of this.#decoder.push(chunk)) await this.#handle(frame);
      }
    } catch (error) {
      // Any other error is the transport's: the client is gone, and nobody is left to be told.
      if (error instanceof SpdyError)
        this.#write({ kind: "goaway", lastStreamId: this.#lastStreamId, status: 1 });
    } finally {
      clearInterval(pings);
      this.#abandonStreams();
      this.#inflater[Symbol.dispose]();
      this.#deflater[Symbol.dispose]();
      closeSoon(transport);
    }
  }

  #abandonStreams(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { duplex } of streams) duplex.destroy(new Error("the client closed the connection"));
  }

  async #handle(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case "syn-stream":
        return this.#open(frame);
      case "data":
        return this.#deliver(frame);
      case "reset":
        this.#streams.get(frame.streamId)?.duplex.destroy(new Error("the client reset the stream"));
        return;
      case "headers":
      case "syn-reply": {
        // Nothing that we need; but the blocks that follow build on this one.
        await this.#inflater.read(frame.block);
        const live = this.#streams.get(frame.streamId);
        if (live !== undefined && frame.isLast) this.#remoteDone(live);
        return;
      }
      case "window-update":
        this.#countsWindows = true;
        this.#widen(this.#streams.get(frame.streamId), frame.delta);
        return;
      case "settings":
        for (const { id, value } of frame.values) {
          if (id !== INITIAL_WINDOW_SETTING || value > 0x7fff_ffff) continue;
          this.#countsWindows = true;
          const change = value - this.#initialWindow;
          this.#initialWindow = value;
          for (const live of this.#streams.values()) this.#widen(live, change);
        }
        return;
      case "ping":
        // Ours have even numbers, and their answers only show that the peer lives.
        if (frame.id % 2 === 1) this.#write(frame);
        return;
      case "goaway":
        this.#isGoingAway = true;
        return;
    }
  }

  async #open(frame: Frame & { readonly kind: "syn-stream" }): Promise<void> {
    const { streamId, isLast, isUnidirectional } = frame;
    const headers = await this.#inflater.read(frame.block);
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId)
      throw new SpdyError(`stream ${String(streamId)} after ${String(this.#lastStreamId)}`);
    this.#lastStreamId = streamId;
    if (this.#isGoingAway || this.#streams.size >= MAX_STREAMS) {
      this.#write({ kind: "reset", streamId, status: RESET.refused });
      return;
    }
    const block = await this.#deflater.write(new Map());
    this.#write({ kind: "syn-reply", streamId, isLast: isUnidirectional, block });
    const live = this.#newStream(streamId, isUnidirectional);
    this.#streams.set(streamId, live);
    if (isLast) this.#remoteDone(live);
    this.#onStream({ id: streamId, headers, duplex: live.duplex });
  }

  #newStream(id: number, isLocalDone: boolean): Live {
    const duplex = new Duplex({
      readableHighWaterMark: STREAM_BUFFER_BYTES,
      // A reader that ends its side goes on reading.
      allowHalfOpen: true,
      read: () => {
        live.resumeRead?.();
      },
      write: (chunk: Buffer, _encoding, done) => {
        this.#send(live, chunk).then(() => done(), done);
      },
      final: (done) => {
        live.isLocalDone = true;
        this.#write({ kind: "data", streamId: id, isLast: true, bytes: new Uint8Array() });
        this.#forgetWhenDone(live);
        done();
      },
      destroy: (error, done) => {
        live.resumeRead?.();
        live.resumeWrite?.();
        const isOpen = this.#streams.delete(id);
        if (isOpen) this.#write({ kind: "reset", streamId: id, status: RESET.cancel });
        done(error);
      },
    });
    // Whoever reads or writes gets the error as well; a stream of which nobody does must not end the process.
    duplex.on("error", () => undefined);
    if (isLocalDone) duplex.end();
    const live: Live = {
      id,
      duplex,
      window: this.#initialWindow,
      credit: 0,
      isRemoteDone: false,
      isLocalDone,
      resumeRead: undefined,
      resumeWrite: undefined,
    };
    return live;
  }

  async #deliver({ streamId, bytes, isLast }: Frame & { readonly kind: "data" }): Promise<void> {
    const live = this.#streams.get(streamId);
    if (live === undefined) {
      if (streamId > this.#lastStreamId)
        this.#write({ kind: "reset", streamId, status: RESET.invalidStream });
      // Else it was reset or refused while this was under way.
      return;
    }
    if (live.isRemoteDone) {
      live.duplex.destroy(new SpdyError("data after the end of the stream"));
      return;
    }
    // The bytes are copied: a chunk of the transport may be kept here for long.
    const hasRoom = bytes.length === 0 || live.duplex.push(Buffer.from(bytes));
    if (!hasRoom) {
      await new Promise<void>((resolve) => {
        live.resumeRead = resolve;
      });
      live.resumeRead = undefined;
    }
    live.credit += bytes.length;
    if (live.credit >= CREDIT_BYTES && !live.duplex.destroyed && !isLast) {
      this.#write({ kind: "window-update", streamId, delta: live.credit });
      live.credit = 0;
    }
    if (isLast) this.#remoteDone(live);
  }

  async #send(live: Live, chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length && !live.duplex.destroyed; ) {
      while (this.#countsWindows && live.window <= 0 && !live.duplex.destroyed) {
        await new Promise<void>((resolve) => {
          live.resumeWrite = resolve;
        });
      }
      live.resumeWrite = undefined;
      const limit = this.#countsWindows ? Math.min(MAX_DATA_BYTES, live.window) : MAX_DATA_BYTES;
      const bytes = chunk.subarray(at, at + limit);
      at += bytes.length;
      live.window -= bytes.length;
      if (!this.#write({ kind: "data", streamId: live.id, isLast: false, bytes }))
        await this.#untilDrained();
    }
  }

  #widen(live: Live | undefined, by: number): void {
    if (live === undefined) return;
    live.window += by;
    if (live.window > 0) live.resumeWrite?.();
  }

  #remoteDone(live: Live): void {
    if (live.isRemoteDone) return;
    live.isRemoteDone = true;
    live.duplex.push(null);
    this.#forgetWhenDone(live);
  }

  #forgetWhenDone(live: Live): void {
    if (live.isRemoteDone && live.isLocalDone) this.#streams.delete(live.id);
  }

  /** @returns false when the transport has more than enough to send. */
  #write(frame: Frame): boolean {
    return this.#transport.writable && this.#transport.write(encodeFrame(frame));
  }

  /** One promise for all streams that wait. Resolves also when the transport is closed. */
  #untilDrained(): Promise<void> {
    const transport = this.#transport;
    if (!transport.writable) return Promise.resolve();
    this.#drained ??= new Promise<void>((resolve) => {
      const done = (): void => {
        this.#drained = undefined;
        transport.off("drain", done);
        transport.off("close", done);
        resolve();
      };
      transport.on("drain", done);
      transport.on("close", done);
    });
    return this.#drained;
  }
}

/** What was written goes out first, for a moment at most. */
const CLOSE_MS = 1_000;

/** Ends a connection: what was written goes out, and what does not go out in a second is dropped. */
export function closeSoon(transport: Duplex): void {
  if (transport.destroyed) return;
  const timer = setTimeout(() => transport.destroy(), CLOSE_MS);
  transport.once("close", () => clearTimeout(timer));
  transport.end(() => transport.destroy());
}
