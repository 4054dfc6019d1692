import { isNoChange } from "../../core/proxy/diff.ts";
import type { TableChange } from "../../core/proxy/diff.ts";
import { frontendKey } from "../../core/proxy/frontend.ts";
import type { BackendSet, Frontend, FrontendKey } from "../../core/proxy/frontend.ts";
import type { ProxyNode } from "../../core/proxy/service-part.ts";
import { isLoopback } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Port } from "../../net/host-port.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { DataPlane, FrontendProblem } from "../data-plane.ts";
import { proxyMetrics } from "../metrics.ts";
import type { ProxyMetrics } from "../metrics.ts";
import { defaultFdLimit, FdBudget } from "./fd-budget.ts";
import { bindUdp, listenTcp } from "./listen.ts";
import { bindProblem, hopeless } from "./problems.ts";
import { Selection } from "./selection.ts";
import { firstUnprivilegedPort, standInPorts } from "./stand-in.ts";
import { TcpForwarder } from "./tcp.ts";
import { UdpForwarder, udpSocket } from "./udp.ts";
import type { UdpDeps } from "./udp.ts";
import { placeText } from "../../core/proxy/place.ts";

const SWEEP_MS = 5_000;

export interface UserspaceDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly node: Pick<ProxyNode, "internalRanges">;
  /** In [0, 1); default Math.random. */
  readonly random?: () => number;
  /** Milliseconds that only grow; default performance.now. */
  readonly nowMs?: () => number;
  /** The lowest port that every user may bind; default what the kernel says now. */
  readonly firstUnprivilegedPort?: () => number;
}

export interface UserspaceOptions {
  /** Sockets held at most; default three quarters of the process's limit of open files. */
  readonly fdLimit?: number;
  /** How long open connections may go on after disposal has begun; default 0. */
  readonly graceMs?: number;
  /** Where sockets may listen; default on loopback alone, so that no Service opens a port to the network. */
  readonly mayServe?: (address: IpAddress) => boolean;
}

interface Listener {
  readonly port: Port;
  /** Only UDP: sessions depend on the backends. */
  readonly udp: UdpForwarder | undefined;
  close(): void;
}

interface Entry {
  frontend: Frontend;
  listener: Listener | undefined;
  problem: FrontendProblem | undefined;
  /** `ip_unprivileged_port_start` when binding was last forbidden. */
  forbiddenBelow: number | undefined;
}

/**
 * Serves frontends with sockets of this process: needs no privilege and works on addresses in 127.0.0.0/8, or on
 * all that this machine has. A frontend without endpoints has no socket, so that the kernel itself refuses its
 * clients at once.
 *
 * What a socket cannot do as `route()` says: SCTP is reported as not served. Clients outside of the source ranges are
 * reset (refused where there are no endpoints), and those that policy drops are connected to silence, as a socket
 * accepts before it sees from whom. Endpoints see the client's address in 127.0.0.0/8 only. An address or port that
 * no Service has is left to the kernel.
 */
export class UserspaceDataPlane implements DataPlane {
  readonly #entries = new Map<FrontendKey, Entry>();
  /** High ports that stand in for a privileged one, by the frontend key that they occupy. */
  readonly #standIns = new Map<FrontendKey, Entry>();
  readonly #budget: FdBudget;
  readonly #metrics: ProxyMetrics;
  /** What both protocols share. */
  readonly #forwarding: UdpDeps;
  readonly #tcp: TcpForwarder;
  readonly #graceMs: number;
  readonly #mayServe: (address: IpAddress) => boolean;
  readonly #firstUnprivilegedPort: () => number;
  readonly #sweeper: NodeJS.Timeout;
  /** Openings run one batch after another. */
  #queue: Promise<unknown> = Promise.resolve();
  #isDisposed = false;

  constructor(deps: UserspaceDeps, options: UserspaceOptions = {}) {
    const limit = options.fdLimit ?? defaultFdLimit();
    this.#budget = new FdBudget(limit, () => {
      deps.log.error("proxy is out of file descriptors, new connections are reset", { limit });
    });
    this.#graceMs = options.graceMs ?? 0;
    this.#mayServe = options.mayServe ?? isLoopback;
    this.#firstUnprivilegedPort = deps.firstUnprivilegedPort ?? firstUnprivilegedPort;
    this.#metrics = proxyMetrics(deps.metrics);
    const nowMs = deps.nowMs ?? (() => performance.now());
    const random = deps.random ?? Math.random;
    const selection = new Selection({ node: deps.node, random, nowMs });
    this.#forwarding = {
      selection,
      budget: this.#budget,
      metrics: this.#metrics,
      nowMs,
    };
    this.#tcp = new TcpForwarder(this.#forwarding);
    this.#sweeper = setInterval(() => {
      this.sweep();
    }, SWEEP_MS).unref();
  }

  async apply(change: TableChange): Promise<readonly FrontendProblem[]> {
    if (this.#isDisposed) throw new Error("apply() on a data plane that was disposed");
    if (isNoChange(change)) return [];
    const touched: Entry[] = [];
    for (const frontend of change.removed) this.#remove(frontend);
    for (const frontend of change.added) touched.push(this.#put(frontend));
    for (const { after } of change.changed) touched.push(this.#put(after));
    const opened = this.#queue.then(() => this.#open(touched));
    // The caller hears of a failure; the queue goes on.
    this.#queue = opened.catch(() => undefined);
    await opened;
    return touched.flatMap((entry) => entry.problem ?? []);
  }

  /** TCP connections that are open. */
  get connections(): number {
    return this.#tcp.connections;
  }

  /** Ends idle UDP sessions; happens by itself every few seconds. */
  sweep(): void {
    for (const entry of this.#entries.values()) entry.listener?.udp?.sweep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#sweeper);
    await this.#queue;
    for (const entry of this.#entries.values()) this.#close(entry);
    this.#entries.clear();
    await this.#tcp.drained(this.#graceMs);
    this.#tcp.destroyAll();
  }

  /** Removed frontends take nothing new; their TCP connections live on (PROXY-032). */
  #remove(frontend: Frontend): void {
    const key = frontendKey(frontend);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#close(entry);
    this.#forgetMetrics(entry.frontend.target, undefined);
  }

  #put(frontend: Frontend): Entry {
    const key = frontendKey(frontend);
    const known = this.#entries.get(key);
    if (known === undefined) {
      const entry = {
        frontend,
        listener: undefined,
        problem: hopeless(frontend, this.#mayServe),
        forbiddenBelow: undefined,
      };
      this.#entries.set(key, entry);
      return entry;
    }
    const before = known.frontend.target;
    known.frontend = frontend;
    if (!frontend.target.hasEndpoints) this.#close(known);
    else known.listener?.udp?.update(frontend);
    this.#forgetMetrics(before, frontend.target);
    return known;
  }

  async #open(entries: readonly Entry[]): Promise<void> {
    const wanted = entries.filter((entry) => this.#wantsOpening(entry));
    const displaced = wanted.flatMap((entry) => this.#displace(entry));
    const floor = wanted.length === 0 ? 0 : this.#firstUnprivilegedPort();
    await Promise.all([...wanted, ...displaced].map((entry) => this.#openOne(entry, floor)));
  }

  #wantsOpening(entry: Entry): boolean {
    return (
      !this.#isDisposed &&
      this.#entries.get(frontendKey(entry.frontend)) === entry &&
      entry.frontend.target.hasEndpoints &&
      entry.listener?.port !== entry.frontend.port
    );
  }

  /** A frontend of its own right gets the place that another's stand-in has taken. */
  #displace(entry: Entry): readonly Entry[] {
    const standIn = this.#standIns.get(frontendKey(entry.frontend));
    if (standIn === undefined) return [];
    this.#close(standIn);
    return [standIn];
  }

  async #openOne(entry: Entry, floor: number): Promise<void> {
    const { frontend } = entry;
    entry.problem = hopeless(frontend, this.#mayServe);
    if (entry.problem !== undefined) return;
    // Nothing has changed since the last refusal: a thousand Services must not try a thousand binds each time.
    const isStillForbidden = entry.forbiddenBelow === floor && entry.listener !== undefined;
    const code = isStillForbidden ? "EACCES" : await this.#listen(entry, frontend.port);
    const isForbidden = code === "EACCES" || code === "EPERM";
    entry.forbiddenBelow = isForbidden ? floor : undefined;
    if (isForbidden && frontend.port < 1024) await this.#standIn(entry);
    if (code !== undefined) entry.problem = bindProblem(frontend, code, entry.listener?.port);
  }

  async #standIn(entry: Entry): Promise<void> {
    if (entry.listener !== undefined) return;
    for (const port of standInPorts(entry.frontend.port)) {
      const key = frontendKey({ ...entry.frontend, port });
      if (this.#entries.has(key) || this.#standIns.has(key)) continue;
      this.#standIns.set(key, entry);
      const code = await this.#listen(entry, port);
      if (entry.listener === undefined) this.#standIns.delete(key);
      if (code === undefined) return;
    }
  }

  /** On success the new listener takes the place of the one before. */
  async #listen(entry: Entry, port: Port): Promise<string | undefined> {
    if (!this.#budget.tryTake(1)) return "EMFILE";
    const { frontend } = entry;
    const bound =
      frontend.protocol === "TCP" ? this.#listenTcp(entry, port) : this.#bindUdp(entry, port);
    const result = await bound;
    if (typeof result === "string") {
      this.#budget.giveBack(1);
      return result;
    }
    // It may have lost its endpoints, or gone, while the socket was being bound.
    const isWanted =
      this.#entries.get(frontendKey(frontend)) === entry && entry.frontend.target.hasEndpoints;
    this.#closeListener(entry);
    if (isWanted) entry.listener = result;
    else {
      result.close();
      this.#budget.giveBack(1);
    }
    return undefined;
  }

  async #listenTcp(entry: Entry, port: Port): Promise<Listener | string> {
    const server = this.#tcp.server(() =>
      this.#entries.get(frontendKey(entry.frontend)) === entry ? entry.frontend : undefined,
    );
    const failure = await listenTcp(server, entry.frontend.address, port);
    if (failure !== undefined) return failure;
    return { port, udp: undefined, close: () => server.close() };
  }

  async #bindUdp(entry: Entry, port: Port): Promise<Listener | string> {
    const { address } = entry.frontend;
    const socket = udpSocket(address);
    const failure = await bindUdp(socket, address, port);
    if (failure !== undefined) return failure;
    const udp = new UdpForwarder(this.#forwarding, socket, entry.frontend);
    return {
      port,
      udp,
      close: () => {
        udp.close();
      },
    };
  }

  #close(entry: Entry): void {
    this.#closeListener(entry);
    entry.forbiddenBelow = undefined;
  }

  #closeListener(entry: Entry): void {
    const { listener } = entry;
    if (listener === undefined) return;
    entry.listener = undefined;
    listener.close();
    this.#budget.giveBack(1);
    const key = frontendKey({ ...entry.frontend, port: listener.port });
    if (this.#standIns.get(key) === entry) this.#standIns.delete(key);
  }

  #forgetMetrics(before: BackendSet, after: BackendSet | undefined): void {
    if (before === after) return;
    const kept = new Set([...(after?.cluster ?? []), ...(after?.local ?? [])].map(placeText));
    for (const backend of [...before.cluster, ...before.local]) {
      if (!kept.has(placeText(backend))) this.#metrics.forget(before, backend);
    }
  }
}
