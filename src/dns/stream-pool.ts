import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { DeadlineError } from "../async/deadline.ts";
import { reasonOf } from "../async/sleep.ts";
import { formatHostPort } from "../net/host-port.ts";
import { MessageFraming } from "./framing.ts";
import type { Upstream } from "./upstream.ts";

/** Messages of one upstream that may wait on one connection; more open another one. */
const MAX_PIPELINED = 100;

interface Waiting {
  readonly accept: (bytes: Uint8Array) => boolean;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export interface StreamPoolOptions {
  /** How long an idle connection is kept. */
  readonly expireMs: number;
  /** How many idle ones are kept to each server; 0, the default: all. */
  readonly maxIdleConnections?: number | undefined;
  /** How old one may get to be used again; 0, the default: any age. */
  readonly maxAgeMs?: number | undefined;
}

/**
 * Connections to upstream servers over TCP and TLS, kept for reuse (RFC 7766 section 6.2.1) as the options say. Messages are sent one behind the other and answered in any order. Disposing closes all.
 */
export class StreamPool implements Disposable {
  readonly #options: StreamPoolOptions;
  readonly #open = new Map<string, Connection[]>();
  readonly #onReuse: (isReused: boolean, upstream: Upstream) => void;

  constructor(
    options: StreamPoolOptions,
    onReuse: (isReused: boolean, upstream: Upstream) => void = () => undefined,
  ) {
    this.#options = options;
    this.#onReuse = onReuse;
  }

  /**
   * Sends a message and gives the first one that `accept` takes for its answer. A kept connection that the
   * server closes at that moment is replaced once.
   * @throws the signal's reason, or an Error with the socket's code.
   */
  async exchange(
    upstream: Upstream,
    query: Uint8Array,
    accept: (bytes: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const kept = this.#kept(upstream);
    this.#onReuse(kept !== undefined, upstream);
    try {
      if (kept !== undefined) {
        try {
          return await kept.exchange(query, accept, signal);
        } catch (error) {
          if (signal.aborted || !kept.isClosed) throw error;
        }
      }
      return await this.#connect(upstream).exchange(query, accept, signal);
    } finally {
      this.#trim(upstream);
    }
  }

  [Symbol.dispose](): void {
    for (const connections of this.#open.values()) {
      for (const connection of connections) connection.close();
    }
    this.#open.clear();
  }

  #kept(upstream: Upstream): Connection | undefined {
    const connections = this.#open.get(idOf(upstream)) ?? [];
    return connections.find((each) => !each.isClosed && each.hasRoom && !this.#isOld(each));
  }

  #isOld({ openedMs }: Connection): boolean {
    const { maxAgeMs = 0 } = this.#options;
    return maxAgeMs > 0 && performance.now() - openedMs >= maxAgeMs;
  }

  /** Closes the idle connections that are too many, or too old to be used again. */
  #trim(upstream: Upstream): void {
    const { maxIdleConnections = 0 } = this.#options;
    const idle = (this.#open.get(idOf(upstream)) ?? []).filter((each) => each.isIdle);
    const kept = idle.filter((each) => !this.#isOld(each));
    const excess = maxIdleConnections === 0 ? [] : kept.slice(maxIdleConnections);
    for (const each of idle) if (!kept.includes(each) || excess.includes(each)) each.close();
  }

  #connect(upstream: Upstream): Connection {
    const id = idOf(upstream);
    const connection = new Connection(upstream, this.#options.expireMs, () => {
      const rest = (this.#open.get(id) ?? []).filter((other) => other !== connection);
      if (rest.length === 0) this.#open.delete(id);
      else this.#open.set(id, rest);
    });
    this.#open.set(id, [...(this.#open.get(id) ?? []), connection]);
    return connection;
  }
}

function idOf({ address, port, tls }: Upstream): string {
  return `${tls === undefined ? "tcp" : "tls"} ${formatHostPort(address, port)}`;
}

class Connection {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #framing = new MessageFraming();
  readonly #waiting = new Set<Waiting>();
  readonly #idleTimer: NodeJS.Timeout;
  readonly openedMs = performance.now();
  isClosed = false;
  /** How many times something came: whether the other side is still there. */
  #heard = 0;
  /** Something was waited for in vain, and nothing else came meanwhile. */
  #isDead = false;

  constructor(upstream: Upstream, expireMs: number, onClose: () => void) {
    const { address, port, tls } = upstream;
    this.#name = formatHostPort(address, port);
    this.#socket =
      tls === undefined
        ? connect({ host: address, port, noDelay: true })
        : connectTls({
            host: address,
            port,
            ALPNProtocols: ["dot"],
            ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
          });
    this.#idleTimer = setTimeout(() => {
      if (this.#waiting.size === 0) this.close();
      else this.#idleTimer.refresh();
    }, expireMs);
    // A kept connection is no reason for a program to stay.
    this.#idleTimer.unref();
    let failure: Error | undefined;
    this.#socket.on("error", (error) => {
      failure = error;
    });
    this.#socket.once("close", () => {
      this.isClosed = true;
      clearTimeout(this.#idleTimer);
      onClose();
      const error = failure ?? new Error(`${this.#name} closed the connection without an answer`);
      for (const { reject } of this.#waiting) reject(error);
      this.#waiting.clear();
    });
    this.#socket.on("data", (chunk) => {
      this.#heard += 1;
      this.#framing.push(chunk);
      for (let next = this.#framing.next(); next !== undefined; next = this.#framing.next()) {
        this.#take(next);
      }
    });
  }

  get isIdle(): boolean {
    return !this.isClosed && this.#waiting.size === 0;
  }

  get hasRoom(): boolean {
    return !this.#isDead && this.#waiting.size < MAX_PIPELINED;
  }

  exchange(
    query: Uint8Array,
    accept: (bytes: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiting);
        settle();
      };
      const heard = this.#heard;
      const onAbort = (): void => {
        end(() => {
          reject(reasonOf(signal));
        });
        // A path that forgot the connection swallows all that is sent on it, and the kernel tries on for minutes.
        const isLate = signal.reason instanceof DeadlineError;
        if (isLate && this.#heard === heard) this.#isDead = true;
        if (this.#isDead && this.#waiting.size === 0) this.close();
      };
      const waiting: Waiting = {
        accept,
        resolve: (bytes) => {
          end(() => {
            resolve(bytes);
          });
        },
        reject: (error) => {
          end(() => {
            reject(error);
          });
        },
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      if (this.isClosed) {
        reject(new Error(`${this.#name} closed the connection`));
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiting);
      this.#idleTimer.refresh();
      this.#socket.write(MessageFraming.frame(query));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What nobody waits for, such as an answer that came too late, is dropped. */
  #take(bytes: Uint8Array): void {
    this.#idleTimer.refresh();
    const message = bytes.slice();
    for (const waiting of this.#waiting) {
      if (!waiting.accept(message)) continue;
      waiting.resolve(message);
      return;
    }
  }
}
