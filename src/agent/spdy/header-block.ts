import { constants, createDeflate, createInflate } from "node:zlib";
import type { Deflate, Inflate } from "node:zlib";
import { headerDictionary } from "./dictionary.ts";
import { SpdyError } from "./frames.ts";

/** Names in lower case. A name that is sent with several values has them separated by NUL. */
export type SpdyHeaders = ReadonlyMap<string, string>;

/** A small block may inflate to a large one; larger than this is refused. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** SPDY draft 3.1, section 2.6.10: a count, then names and values, each after its length. */
export function encodeHeaders(headers: SpdyHeaders): Buffer {
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const parts = [word(headers.size)];
  for (const text of [...headers].flat()) {
    const bytes = Buffer.from(text, "latin1");
    parts.push(word(bytes.length), bytes);
  }
  return Buffer.concat(parts);
}

/** @throws SpdyError for a block that is no list of headers. */
export function decodeHeaders(block: Buffer): SpdyHeaders {
  let at = 0;
  const word = (): number => {
    if (at + 4 > block.length) throw new SpdyError("a header block that ends too early");
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = word();
    if (at + length > block.length) throw new SpdyError("a header that ends after its block");
    at += length;
    return block.toString("latin1", at - length, at);
  };
  const headers = new Map<string, string>();
  for (let left = word(); left > 0; left--) {
    const name = text();
    if (name === "" || headers.has(name)) throw new SpdyError("a header without a name, or twice");
    headers.set(name, text());
  }
  if (at !== block.length) throw new SpdyError("a header block with something after it");
  return headers;
}

/**
 * Decompresses the header blocks of one direction of a connection, in their order: each builds on those before
 * it, so none may be left out. One call at a time.
 */
export class HeaderInflater implements Disposable {
  readonly #inflate: Inflate = createInflate({ dictionary: headerDictionary() });

  /** @throws SpdyError for what is no zlib stream, or too large. */
  async read(block: Uint8Array): Promise<SpdyHeaders> {
    return decodeHeaders(await throughZlib(this.#inflate, block));
  }

  [Symbol.dispose](): void {
    this.#inflate.destroy();
  }
}

/** The other direction. One call at a time, and blocks must be sent in the order of the calls. */
export class HeaderDeflater implements Disposable {
  // Small tables: a connection has few and small headers.
  readonly #deflate: Deflate = createDeflate({
    dictionary: headerDictionary(),
    windowBits: 11,
    memLevel: 1,
  });

  write(headers: SpdyHeaders): Promise<Buffer> {
    return throughZlib(this.#deflate, encodeHeaders(headers));
  }

  [Symbol.dispose](): void {
    this.#deflate.destroy();
  }
}

/** What comes out of a codec for a piece that goes in and is flushed. */
function throughZlib(codec: Inflate | Deflate, input: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (error: Error | undefined): void => {
      codec.off("data", keep);
      codec.off("error", fail);
      codec.off("close", closed);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(new SpdyError(`a header block: ${error.message}`, { cause: error }));
    };
    const keep = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= MAX_BLOCK_BYTES) chunks.push(chunk);
      else {
        settle(new Error(`larger than ${String(MAX_BLOCK_BYTES)} bytes`));
        // Ends the work on the rest; the codec is of no use any more.
        codec.destroy();
      }
    };
    const fail = (error: Error): void => settle(error);
    const closed = (): void => settle(new Error("the connection is closed"));
    codec.on("data", keep);
    codec.once("error", fail);
    codec.once("close", closed);
    codec.write(input);
    codec.flush(constants.Z_SYNC_FLUSH, () => settle(undefined));
  });
}
