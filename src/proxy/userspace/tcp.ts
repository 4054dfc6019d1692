import { connect, createServer } from "node:net";
import type { NetConnectOpts, Server, Socket } from "node:net";
import type { Backend, Frontend } from "../../core/proxy/frontend.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { ProxyMetrics } from "../metrics.ts";
import type { FdBudget } from "./fd-budget.ts";
import type { Selection } from "./selection.ts";
import { reset, splice } from "./splice.ts";

/** Node reads at most 64 KiB at a time; its default of 16 KiB a buffer costs more turns (measured). */
const BUFFER_BYTES = 65_536;
/** Backends tried for one connection, the first included. Ours: kernel proxies try one. */
const MAX_TRIES = 3;
/** Per backend. On one machine a connect is answered at once; this bounds a black hole elsewhere. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A connection that policy drops is kept silent this long, as SYN retries would last. */
const HOLD_MS = 120_000;
/** Held connections at a time; beyond, the oldest is closed. */
const MAX_HELD = 256;

/** Another backend may do better after these. */
const UNREACHABLE = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]);
/** The client's own address has no free port left towards this backend. */
const NO_SOURCE_PORT = new Set(["EADDRINUSE", "EADDRNOTAVAIL"]);

export interface TcpDeps {
  readonly selection: Selection;
  readonly budget: FdBudget;
  readonly metrics: ProxyMetrics;
}

/** Takes accepted connections of all TCP frontends and carries them to backends. */
export class TcpForwarder {
  readonly #deps: TcpDeps;
  readonly #clients = new Set<Socket>();
  readonly #held = new Set<Socket>();

  constructor(deps: TcpDeps) {
    this.#deps = deps;
  }

  /** A server, not yet listening, for the frontend that `current` gives; undefined once it is removed. */
  server(current: () => Frontend | undefined): Server {
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, highWaterMark: BUFFER_BYTES },
      (client) => {
        this.#accept(current(), client, current);
      },
    );
    // While it listens: accepting failed, as with EMFILE when the rest of the process has used up the files.
    // The server goes on, and the client has been cut off.
    return server.on("error", () => {
      if (server.listening) this.#deps.metrics.refused("LimitReached");
    });
  }

  get connections(): number {
    return this.#clients.size;
  }

  /** Resolves when no connection is open, or after `graceMs`. */
  async drained(graceMs: number): Promise<void> {
    if (this.#clients.size === 0 || graceMs === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      for (const client of this.#clients) {
        client.once("close", () => {
          if (this.#clients.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
  }

  /** Closes every connection. */
  destroyAll(): void {
    for (const client of this.#clients) client.destroy();
    for (const client of this.#held) client.destroy();
  }

  #accept(
    frontend: Frontend | undefined,
    client: Socket,
    current: () => Frontend | undefined,
  ): void {
    // Until it is spliced, an error needs no more than the close that follows it.
    client.on("error", ignore);
    const source = parseIpAddress(client.remoteAddress ?? "");
    if (frontend === undefined || source === undefined) {
      reset(client);
      return;
    }
    const selected = this.#deps.selection.select(frontend, source);
    if (selected.kind !== "forward") {
      this.#deps.metrics.refused(selected.reason);
      // A socket has accepted before it can decide. Sources that are not let in get a reset, so that they
      // cannot make us hold connections; for the others silence is kept as a kernel proxy would.
      if (selected.reason === "NoLocalEndpoints") this.#hold(client);
      else reset(client);
      return;
    }
    if (!this.#deps.budget.tryTake(2)) {
      this.#deps.metrics.refused("LimitReached");
      reset(client);
      return;
    }
    this.#clients.add(client);
    client.on("close", () => {
      this.#clients.delete(client);
      this.#deps.budget.giveBack(1);
    });
    this.#connect({ client, source, current, tried: [selected.backend], keepsSource: true });
  }

  /** Has one descriptor of the budget, and gives it back when the upstream socket is closed. */
  #connect(attempt: Attempt): void {
    const { client, source, current, tried } = attempt;
    const backend = tried[tried.length - 1];
    if (backend === undefined) throw new Error("an attempt without backend");
    // The type lacks highWaterMark, which is passed on to the stream as for servers.
    const options: NetConnectOpts & { readonly highWaterMark: number } = {
      host: backend.address,
      port: backend.port,
      family: ipFamilyOf(backend.address) === "IPv4" ? 4 : 6,
      allowHalfOpen: true,
      autoSelectFamily: false,
      noDelay: true,
      highWaterMark: BUFFER_BYTES,
      ...(attempt.keepsSource && isKeepable(source, backend) ? { localAddress: source } : {}),
    };
    const upstream = connect(options);
    const onClientGone = (): void => {
      upstream.off("error", onError);
      upstream.on("error", ignore);
      upstream.destroy();
      this.#deps.budget.giveBack(1);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      client.off("close", onClientGone);
      const next = this.#next(attempt, error.code ?? "");
      if (next !== undefined) {
        this.#connect(next);
        return;
      }
      this.#deps.budget.giveBack(1);
      this.#deps.metrics.refused("NoBackendAnswered");
      reset(client);
    };
    client.once("close", onClientGone);
    upstream.once("error", onError);
    upstream.setTimeout(CONNECT_TIMEOUT_MS, () => {
      upstream.destroy(Object.assign(new Error("connect timed out"), { code: "ETIMEDOUT" }));
    });
    upstream.once("connect", () => {
      client.off("close", onClientGone);
      upstream.off("error", onError);
      upstream.setTimeout(0);
      upstream.removeAllListeners("timeout");
      upstream.once("close", () => {
        this.#deps.budget.giveBack(1);
      });
      this.#count(current(), backend, upstream);
      splice(client, upstream);
    });
  }

  #next(attempt: Attempt, code: string): Attempt | undefined {
    if (attempt.keepsSource && NO_SOURCE_PORT.has(code)) return { ...attempt, keepsSource: false };
    const frontend = attempt.current();
    if (!UNREACHABLE.has(code) || attempt.tried.length >= MAX_TRIES || frontend === undefined) {
      return undefined;
    }
    const other = this.#deps.selection.selectOther(frontend, attempt.source, attempt.tried);
    return other === undefined ? undefined : { ...attempt, tried: [...attempt.tried, other] };
  }

  #count(frontend: Frontend | undefined, backend: Backend, upstream: Socket): void {
    if (frontend === undefined) return;
    const metrics = this.#deps.metrics.of(frontend.target, backend);
    metrics.total.inc();
    metrics.open.add(1);
    upstream.once("close", () => {
      metrics.open.add(-1);
    });
  }

  // Read and thrown away, so that its end is noticed.
  #hold(client: Socket): void {
    if (!this.#deps.budget.tryTake(1)) {
      reset(client);
      return;
    }
    this.#held.add(client);
    client.setTimeout(HOLD_MS, () => client.destroy());
    client.on("end", () => client.destroy());
    client.on("close", () => {
      this.#held.delete(client);
      this.#deps.budget.giveBack(1);
    });
    client.resume();
    const [oldest] = this.#held;
    if (this.#held.size > MAX_HELD) oldest?.destroy();
  }
}

interface Attempt {
  readonly client: Socket;
  readonly source: IpAddress;
  readonly current: () => Frontend | undefined;
  /** The last one is being tried. */
  readonly tried: readonly Backend[];
  readonly keepsSource: boolean;
}

/**
 * Every address in 127/8 can be bound, so the Pod may see the client's own (PROXY-021). Not for 127.0.0.1: the
 * kernel takes that one by itself, and finds a free port better when it is not bound first. (A bound port is
 * not shared with connections in TIME_WAIT: such a client gets about 14,000 connections a minute.)
 */
function isKeepable(source: IpAddress, backend: Backend): boolean {
  return source.startsWith("127.") && source !== "127.0.0.1" && backend.address.startsWith("127.");
}

function ignore(): void {
  // See where it is used.
}
