import { SourceBody, TAKEN } from "./exchange.ts";
import type { ApiResponse, ChunkSource } from "./exchange.ts";
import { tooManyRequests } from "./failures.ts";
import { FairQueue } from "./fair-queue.ts";
import type { FairQueueBounds } from "./fair-queue.ts";

export interface RequestLimits extends FairQueueBounds {
  /** Watches and followed logs of one user that are open at once. */
  readonly streamsPerUser: number;
}

/** What one machine can take; a client with its thousand streams of HTTP/2 meets its own bound first. */
export const DEFAULT_LIMITS: RequestLimits = {
  running: 400,
  runningPerUser: 200,
  waitingPerUser: 800,
  waiting: 8000,
  streamsPerUser: 5000,
};

/** Bounds what users have under way, each for itself. */
export class Limits {
  readonly #bounds: RequestLimits;
  readonly #queue: FairQueue<Ticket>;
  readonly #streams = new Map<string, number>();

  constructor(bounds: RequestLimits) {
    this.#bounds = bounds;
    this.#queue = new FairQueue(bounds);
  }

  /**
   * Waits for a turn, which ends with {@link leave}. The request is asked for its signal only if it has to wait:
   * making one costs as much as routing.
   * @returns undefined when the turn begins at once.
   * @throws StatusError 429 when too much waits already; the signal's reason when it aborts meanwhile.
   */
  enter(user: string, request: { readonly signal: AbortSignal }): Promise<void> | undefined {
    const entered = this.#queue.enter(user, ticketOf);
    switch (entered.kind) {
      case "now":
        return undefined;
      case "refused":
        throw tooManyRequests("too many requests at once, please try again later");
      case "waiting":
        break;
    }
    const { ticket } = entered;
    const { signal } = request;
    const giveUp = () => {
      if (this.#queue.withdraw(user, ticket)) ticket.reject(signal.reason);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    return ticket.promise.finally(() => signal.removeEventListener("abort", giveUp));
  }

  leave(user: string): void {
    this.#queue.leave(user)?.resolve();
  }

  /**
   * Counts a stream of the user until what is returned is called, once or more often.
   * @throws StatusError 429 when the user has as many as it may.
   */
  openStream(user: string): () => void {
    const { streamsPerUser } = this.#bounds;
    const open = this.#streams.get(user) ?? 0;
    if (open >= streamsPerUser) {
      throw tooManyRequests(
        `user ${JSON.stringify(user)} has ${String(open)} watches open, which is as many as there may be`,
      );
    }
    this.#streams.set(user, open + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = (this.#streams.get(user) ?? 1) - 1;
      if (left === 0) this.#streams.delete(user);
      else this.#streams.set(user, left);
    };
  }
}

/**
 * The answer, with `over` called when it ends, when its reader stops, or when the signal aborts; at once for
 * one whose length is known, which is no stream.
 */
export function untilOver(
  response: ApiResponse,
  over: () => void,
  signal: AbortSignal,
): ApiResponse {
  const isWhole = response.headers["content-length"] !== undefined || response.value !== undefined;
  if (isWhole || signal.aborted) {
    over();
    return response;
  }
  signal.addEventListener("abort", over, { once: true });
  // The connection itself is the stream, and its end aborts the signal.
  if (response === TAKEN) return response;
  const ended = () => {
    signal.removeEventListener("abort", over);
    over();
  };
  const { body, events } = response;
  if (events !== undefined) return { ...response, events: counted(events, ended) };
  return {
    ...response,
    body:
      body instanceof SourceBody
        ? new SourceBody(closing(body.source, ended))
        : counted(body, ended),
  };
}

/** The same chunks; readers close a source in any case. */
function closing(source: ChunkSource, over: () => void): ChunkSource {
  return {
    next: () => source.next(),
    onReady: (ready) => source.onReady(ready),
    close: () => {
      source.close();
      over();
    },
  };
}

/** The same chunks; a generator would cost each event of each watch a step more. */
function counted<T>(body: AsyncIterable<T>, over: () => void): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = body[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const result = await iterator.next();
            if (result.done === true) over();
            return result;
          } catch (error) {
            over();
            throw error;
          }
        },
        async return() {
          over();
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

interface Ticket {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

function ticketOf(): Ticket {
  let resolve = (): void => {};
  let reject: Ticket["reject"] = () => {};
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}
