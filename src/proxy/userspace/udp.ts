import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import type { Backend, Frontend } from "../../core/proxy/frontend.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { BackendMetrics, ProxyMetrics } from "../metrics.ts";
import type { FdBudget } from "./fd-budget.ts";
import type { Selection } from "./selection.ts";

/** A burst must survive until this thread reads it; the kernel grants less where its limit is lower. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** As the kernel's time-out for UDP flows (nf_conntrack_udp_timeout). */
export const UDP_IDLE_MS = 30_000;
/** Datagrams kept while a session's socket is being made ready; later ones are lost, as UDP may. */
const MAX_PENDING = 64;

export interface UdpDeps {
  readonly selection: Selection;
  readonly budget: FdBudget;
  readonly metrics: ProxyMetrics;
  readonly nowMs: () => number;
}

interface Session {
  readonly client: IpAddress;
  readonly backend: Backend;
  readonly upstream: Socket;
  readonly metrics: BackendMetrics;
  /** Undefined once the upstream socket is connected. */
  pending: Uint8Array[] | undefined;
  lastMs: number;
}

/** A UDP socket that is read from and answered through. */
export function udpSocket(address: IpAddress): Socket {
  return createSocket({
    type: ipFamilyOf(address) === "IPv4" ? "udp4" : "udp6",
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    // Every address here is literal: no thread of the resolver's pool is needed to see that.
    lookup: (host, _options, done) => {
      done(null, host, ipFamilyOf(address) === "IPv4" ? 4 : 6);
    },
  });
}

/**
 * Carries the datagrams of one bound frontend: a session a client address and port, each with an own socket
 * connected to its backend, so that answers find their way and ICMP errors tell of a dead one.
 */
export class UdpForwarder {
  readonly #deps: UdpDeps;
  readonly #front: Socket;
  readonly #sessions = new Map<string, Session>();
  #frontend: Frontend;
  #isClosed = false;

  /** `front` is bound. The forwarder closes it. */
  constructor(deps: UdpDeps, front: Socket, frontend: Frontend) {
    this.#deps = deps;
    this.#front = front;
    this.#frontend = frontend;
    front.on("message", (data, from) => {
      this.#onDatagram(data, from);
    });
    // A datagram that could not be sent is lost, as UDP may; the socket stays good.
    front.on("error", () => undefined);
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Takes the new backends. A session whose backend is no longer one ends; its next datagram starts anew (CT-001). */
  update(frontend: Frontend): void {
    this.#frontend = frontend;
    for (const [key, session] of this.#sessions) {
      if (!this.#deps.selection.isEligible(frontend, session.client, session.backend)) {
        this.#end(key, session);
      }
    }
  }

  /** Ends sessions without traffic for {@link UDP_IDLE_MS}. */
  sweep(): void {
    const oldest = this.#deps.nowMs() - UDP_IDLE_MS;
    for (const [key, session] of this.#sessions) {
      if (session.lastMs < oldest) this.#end(key, session);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [key, session] of this.#sessions) this.#end(key, session);
    this.#front.close();
  }

  #onDatagram(data: Uint8Array, from: RemoteInfo): void {
    const key = `${from.address} ${String(from.port)}`;
    const session = this.#sessions.get(key) ?? this.#begin(key, from);
    if (session === undefined) return;
    session.lastMs = this.#deps.nowMs();
    if (session.pending === undefined) session.upstream.send(data);
    else if (session.pending.length < MAX_PENDING) session.pending.push(data);
  }

  #begin(key: string, from: RemoteInfo): Session | undefined {
    const client = parseIpAddress(from.address);
    if (client === undefined || this.#isClosed) return undefined;
    const selected = this.#deps.selection.select(this.#frontend, client);
    if (selected.kind !== "forward") {
      this.#deps.metrics.refused(selected.reason);
      return undefined;
    }
    if (!this.#deps.budget.tryTake(1)) {
      this.#deps.metrics.refused("LimitReached");
      return undefined;
    }
    const { backend } = selected;
    const upstream = udpSocket(backend.address);
    const metrics = this.#deps.metrics.of(this.#frontend.target, backend);
    const session: Session = {
      client,
      backend,
      upstream,
      metrics,
      pending: [],
      lastMs: this.#deps.nowMs(),
    };
    this.#sessions.set(key, session);
    metrics.total.inc();
    metrics.open.add(1);
    upstream.on("message", (answer) => {
      session.lastMs = this.#deps.nowMs();
      if (!this.#isClosed) this.#front.send(answer, from.port, from.address);
    });
    // ECONNREFUSED: nobody listens there. The client's next datagram makes a new choice.
    upstream.on("error", () => {
      this.#end(key, session);
    });
    const join = (): void => {
      upstream.connect(backend.port, backend.address, () => {
        for (const data of session.pending ?? []) upstream.send(data);
        session.pending = undefined;
      });
    };
    // The Pod sees the client's own address (PROXY-021), as for TCP.
    if (client.startsWith("127.") && backend.address.startsWith("127.")) {
      upstream.bind({ address: client, port: 0, exclusive: true }, join);
    } else join();
    return session;
  }

  #end(key: string, session: Session): void {
    if (this.#sessions.get(key) !== session) return;
    this.#sessions.delete(key);
    session.metrics.open.add(-1);
    session.upstream.close();
    this.#deps.budget.giveBack(1);
  }
}
