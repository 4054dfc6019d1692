import { randomBytes } from "node:crypto";
import { foldName, formatDomainName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { TYPE } from "../core/dns/message.ts";
import type { Question } from "../core/dns/message.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Upstream } from "./upstream.ts";

/** A server that led back here is asked again after this time: somebody may have mended it. */
const RETRY_MS = 30_000;

interface Watched {
  readonly upstream: Upstream;
  readonly probe: string;
  /** When the question came back; undefined: it did not. */
  loopedMs: number | undefined;
}

/**
 * Finds upstream servers that ask us what we ask them, such as a resolver of the host that was pointed to this
 * server: each is asked once for a name that only we know, and when that question arrives here, it is left
 * alone. Names of the cluster go on being answered, where CoreDNS ends the process.
 */
export class LoopGuard {
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #byUpstream = new Map<string, Watched>();
  readonly #byProbe = new Map<string, Watched>();

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /**
   * The name to ask the server for, as a HINFO question; undefined when it was asked already.
   * @param zone what is asked of the server: the name is in it.
   */
  probeFor(upstream: Upstream, zone: DomainName): DomainName | undefined {
    const id = formatHostPort(upstream.address, upstream.port);
    const known = this.#byUpstream.get(id);
    const isDue =
      known === undefined ||
      (known.loopedMs !== undefined && this.#nowMs() - known.loopedMs >= RETRY_MS);
    if (!isDue) return undefined;
    if (known !== undefined) this.#byProbe.delete(known.probe);
    const name = [randomLabel(), randomLabel(), ...zone];
    const watched = { upstream, probe: formatDomainName(name), loopedMs: undefined };
    this.#byUpstream.set(id, watched);
    this.#byProbe.set(watched.probe, watched);
    return name;
  }

  isLooping({ address, port }: Upstream): boolean {
    return this.#byUpstream.get(formatHostPort(address, port))?.loopedMs !== undefined;
  }

  /** Whether the question is one of ours that came back. */
  takes({ name, type }: Question): boolean {
    if (type !== TYPE.HINFO || this.#byProbe.size === 0) return false;
    const watched = this.#byProbe.get(formatDomainName(foldName(name)));
    if (watched === undefined) return false;
    if (watched.loopedMs === undefined) {
      const upstream = formatHostPort(watched.upstream.address, watched.upstream.port);
      this.#log.error("dns upstream asks this server itself, and is left out", { upstream });
    }
    watched.loopedMs = this.#nowMs();
    return true;
  }
}

function randomLabel(): string {
  return randomBytes(8).toString("hex");
}
