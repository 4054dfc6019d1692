import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex, PassThrough } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SpdyConnection } from "./connection.ts";
import type { SpdyStream } from "./connection.ts";
import { FrameDecoder, encodeFrame } from "./frames.ts";
import type { Frame } from "./frames.ts";
import { HeaderDeflater } from "./header-block.ts";

/** A client that sends frames one by one and looks at those that come back. */
class Client implements Disposable {
  readonly opened: SpdyStream[] = [];
  readonly connection: SpdyConnection;
  readonly #toServer = new PassThrough();
  readonly #fromServer = new PassThrough();
  readonly #transport: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #deflater = new HeaderDeflater();
  readonly #frames: Frame[] = [];

  constructor(onStream: (stream: SpdyStream) => void = () => undefined) {
    this.#transport = Duplex.from({ readable: this.#toServer, writable: this.#fromServer });
    this.connection = new SpdyConnection(this.#transport, (stream) => {
      this.opened.push(stream);
      onStream(stream);
    });
  }

  send(...frames: readonly Frame[]): void {
    for (const frame of frames) this.#toServer.write(encodeFrame(frame));
  }

  break(): void {
    this.#transport.destroy();
  }

  raw(bytes: Uint8Array): void {
    this.#toServer.write(bytes);
  }

  async open(streamId: number, headers: Record<string, string> = {}, isLast = false) {
    const block = await this.#deflater.write(new Map(Object.entries(headers)));
    this.send({ kind: "syn-stream", streamId, isLast, isUnidirectional: false, block });
  }

  /** The next frame that is not left out. */
  async next(...leftOut: readonly Frame["kind"][]): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined && !leftOut.includes(frame.kind)) return frame;
      if (frame !== undefined) continue;
      const chunk: unknown = this.#fromServer.read();
      if (chunk instanceof Uint8Array) this.#frames.push(...this.#decoder.push(chunk));
      else if (this.#fromServer.readableEnded) throw new Error("the server has closed");
      else await Promise.race([once(this.#fromServer, "readable"), once(this.#fromServer, "end")]);
    }
  }

  [Symbol.dispose](): void {
    this.#toServer.end();
    this.#deflater[Symbol.dispose]();
  }
}

const data = (streamId: number, text: string, isLast = false): Frame => ({
  kind: "data",
  streamId,
  isLast,
  bytes: Buffer.from(text),
});
const textOf = (frame: Frame): string =>
  frame.kind === "data" ? Buffer.from(frame.bytes).toString() : `(${frame.kind})`;

describe("SpdyConnection", () => {
  it("replies to a stream before anything else, and carries bytes both ways to the end", async () => {
    using client = new Client(({ duplex }) => duplex.pipe(duplex));
    await client.open(1, { streamtype: "data" });
    assert.equal((await client.next()).kind, "syn-reply");
    assert.equal(client.opened[0]?.headers.get("streamtype"), "data");
    client.send(data(1, "hello"));
    assert.equal(textOf(await client.next()), "hello");
    client.send(data(1, " world", true));
    assert.equal(textOf(await client.next()), " world");
    assert.deepEqual(await client.next(), {
      kind: "data",
      streamId: 1,
      isLast: true,
      bytes: new Uint8Array(),
    });
  });

  it("answers the client's pings, not its own", async () => {
    using client = new Client();
    client.send({ kind: "ping", id: 2 }, { kind: "ping", id: 7 });
    assert.deepEqual(await client.next(), { kind: "ping", id: 7 });
  });

  it("resets a stream that its user destroys, and forgets one that the client resets", async () => {
    using client = new Client();
    await client.open(1);
    await client.next();
    client.opened[0]?.duplex.destroy();
    assert.deepEqual(await client.next(), { kind: "reset", streamId: 1, status: 5 });
    client.send(data(1, "late"));
    await client.open(3);
    assert.equal((await client.next()).kind, "syn-reply");
    const duplex = client.opened[1]?.duplex;
    assert.ok(duplex);
    client.send({ kind: "reset", streamId: 3, status: 5 });
    await assert.rejects(once(duplex, "data"), /reset the stream/);
  });

  it("sends without credit as Kubernetes clients never give any", async () => {
    using client = new Client();
    await client.open(1);
    await client.next();
    const text = "x".repeat(300_000);
    client.opened[0]?.duplex.end(text);
    let got = "";
    for (let frame = await client.next(); ; frame = await client.next()) {
      got += textOf(frame);
      if (frame.kind === "data" && frame.isLast) break;
    }
    assert.equal(got, text);
  });

  it("keeps within the window of a client that counts", async () => {
    using client = new Client();
    client.send({ kind: "settings", values: [{ id: 7, value: 10 }] });
    await client.open(1);
    await client.next();
    client.opened[0]?.duplex.end("0123456789abcdefghij");
    assert.equal(textOf(await client.next()), "0123456789");
    client.send({ kind: "ping", id: 1 });
    assert.equal((await client.next()).kind, "ping");
    client.send({ kind: "window-update", streamId: 1, delta: 4 });
    assert.equal(textOf(await client.next()), "abcd");
    client.send({ kind: "settings", values: [{ id: 7, value: 13 }] });
    assert.equal(textOf(await client.next()), "efg");
    client.send({ kind: "window-update", streamId: 1, delta: 100 });
    assert.equal(textOf(await client.next()), "hij");
  });

  it("gives credit as a stream is read", async () => {
    using client = new Client(({ duplex }) => duplex.resume());
    await client.open(1);
    await client.next();
    for (let i = 0; i < 2; i++) client.send(data(1, "x".repeat(20_000)));
    assert.deepEqual(await client.next(), { kind: "window-update", streamId: 1, delta: 40_000 });
  });

  it("stops reading when a stream's reader is far behind, and goes on when it has read", async () => {
    using client = new Client();
    await client.open(1);
    await client.next();
    // Past the 256 KiB that are kept of a stream.
    for (let i = 0; i < 10; i++) client.send(data(1, "x".repeat(32 * 1024)));
    client.send({ kind: "ping", id: 1 });
    const answered = client.next("window-update").then((frame) => frame.kind);
    const waited = await Promise.race([answered, new Promise((r) => setTimeout(r, 50, "waits"))]);
    assert.equal(waited, "waits");
    client.opened[0]?.duplex.resume();
    assert.equal(await answered, "ping");
  });

  it("ends when the connection breaks while a reader is far behind", async () => {
    using client = new Client();
    await client.open(1);
    await client.next();
    for (let i = 0; i < 10; i++) client.send(data(1, "x".repeat(32 * 1024)));
    client.break();
    await client.connection.closed;
    assert.equal(client.opened[0]?.duplex.destroyed, true);
  });

  it("refuses streams of numbers that go back, and ends the connection", async () => {
    using client = new Client();
    await client.open(3);
    await client.next();
    await client.open(1);
    assert.deepEqual(await client.next(), { kind: "goaway", lastStreamId: 3, status: 1 });
    await client.connection.closed;
    assert.equal(client.opened[0]?.duplex.destroyed, true);
  });

  it("resets data for a stream that never was, and a stream that goes on after its end", async () => {
    using client = new Client();
    client.send(data(5, "?"));
    assert.deepEqual(await client.next(), { kind: "reset", streamId: 5, status: 2 });
    await client.open(7, {}, true);
    await client.next();
    client.send(data(7, "more"));
    assert.deepEqual(await client.next(), { kind: "reset", streamId: 7, status: 5 });
  });

  it("ends for any bytes, closing all streams", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 }),
        async (all) => {
          const client = new Client(({ duplex }) => duplex.pipe(duplex));
          await client.open(1);
          for (const bytes of all) client.raw(bytes);
          client[Symbol.dispose]();
          await client.connection.closed;
          for (const { duplex } of client.opened)
            assert.ok(duplex.destroyed || duplex.readableEnded);
        },
      ),
      { numRuns: 200 },
    );
  });
});
