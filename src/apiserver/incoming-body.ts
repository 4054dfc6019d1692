import type { Readable } from "node:stream";
import { badRequest, bodyTooLarge } from "./failures.ts";

/** As upstream: what fits a stored object of 1.5 MiB with room for a patch that lists it twice. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** A body must be here within so long, or its sender is holding us up. */
export const BODY_TIMEOUT_MS = 30_000;

/**
 * Reads a request's body to its end; undefined for none. With listeners, since an async iterator and a signal
 * for each request cost more than the reading.
 * @throws StatusError 413 for a body beyond the limit, 400 for one that does not come; the stream's error when
 * the caller is gone.
 */
export function readBody(
  incoming: Readable & { readonly headers: { readonly "content-length"?: string | undefined } },
  timeoutMs = BODY_TIMEOUT_MS,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const declared = Number(incoming.headers["content-length"] ?? "0");
    if (declared > MAX_BODY_BYTES) {
      reject(bodyTooLarge(MAX_BODY_BYTES));
      return;
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      incoming.off("data", take);
      incoming.off("end", end);
      incoming.off("error", fail);
      incoming.off("close", close);
      outcome();
    };
    const fail = (error: unknown) => {
      settle(() => reject(badRequest(`the request's body did not arrive: ${String(error)}`)));
    };
    // The stream is binary: no encoding was set.
    const take = (chunk: Uint8Array) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= MAX_BODY_BYTES) return;
      incoming.pause();
      settle(() => reject(bodyTooLarge(MAX_BODY_BYTES)));
    };
    const end = () => {
      settle(() => resolve(chunks.length > 1 ? Buffer.concat(chunks) : chunks[0]));
    };
    const close = () => fail(new Error("the connection was closed"));
    const timer = setTimeout(() => {
      fail(new Error(`not there within ${String(timeoutMs / 1000)} s`));
    }, timeoutMs);
    incoming.on("data", take);
    incoming.once("end", end);
    incoming.once("error", fail);
    incoming.once("close", close);
  });
}
