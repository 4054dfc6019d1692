import { frontendKey } from "../core/proxy/frontend.ts";
import type { Backend, BackendSet, Frontend, FrontendKey } from "../core/proxy/frontend.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Counter, Family, Metrics } from "../telemetry/metrics.ts";

interface PortLabels {
  readonly service: string;
  readonly port: string;
  readonly protocol: string;
}

interface Names {
  readonly key: FrontendKey;
  readonly portText: string;
}

/** What goes through one frontend. */
export interface FrontendTraffic {
  readonly frontend: Frontend;
  /**
   * New connections since its element was last written: begins anew when its list doubles or halves. undefined where
   * the kernel cannot be asked, or did not tell this time.
   */
  readonly newConnections: number | undefined;
  /** Connections that are open, by endpoint; flows of UDP until the kernel forgets them. Empty if not asked for. */
  readonly open: readonly {
    readonly endpoint: Pick<Backend, "address" | "port">;
    readonly count: number;
  }[];
}

/** Reads all counts at once. Costs as much as there are frontends and, with `open`, connections. */
export type ReadTraffic = (open: boolean) => Promise<readonly FrontendTraffic[]>;

/**
 * Counts new connections by Service port for as long as the process runs, from readings of counters that may begin
 * anew in between. Read only when somebody asks; readings at the same time are one.
 */
export class TrafficCounters {
  readonly #read: ReadTraffic;
  readonly #log: Logger;
  readonly #counter: Family<keyof PortLabels, Counter>;
  /** What was read last of each frontend, and of which Service port it was. */
  readonly #last = new Map<FrontendKey, { readonly count: number; readonly portText: string }>();
  readonly #names = new WeakMap<Frontend, Names>();
  readonly #ports = new Map<string, { readonly labels: PortLabels; readonly counter: Counter }>();
  #running: Promise<void> | undefined;

  constructor(deps: {
    readonly read: ReadTraffic;
    readonly metrics: Metrics;
    readonly log: Logger;
  }) {
    this.#read = deps.read;
    this.#log = deps.log;
    this.#counter = deps.metrics.counter(
      "portolan_proxy_service_connections_total",
      "New connections and flows to a Service port, as the kernel counted them.",
      ["service", "port", "protocol"],
    );
  }

  /** Resolves when the metrics are up to date; also when the kernel could not be asked, which is logged. */
  refresh(): Promise<void> {
    this.#running ??= this.#refresh().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #refresh(): Promise<void> {
    let traffic;
    try {
      traffic = await this.#read(false);
    } catch (error) {
      this.#log.warn("connections cannot be counted", { error });
      return;
    }
    const frontends = new Set<FrontendKey>();
    const ports = new Set<string>();
    for (const { frontend, newConnections } of traffic) {
      const { key, portText } = this.#namesOf(frontend);
      frontends.add(key);
      ports.add(portText);
      if (newConnections === undefined) continue;
      const last = this.#last.get(key);
      const isSame = last?.portText === portText && last.count <= newConnections;
      this.#last.set(key, { count: newConnections, portText });
      this.#counterOf(portText, frontend.target).inc(newConnections - (isSame ? last.count : 0));
    }
    for (const key of this.#last.keys()) if (!frontends.has(key)) this.#last.delete(key);
    for (const [portText, { labels }] of this.#ports) {
      if (ports.has(portText)) continue;
      this.#ports.delete(portText);
      this.#counter.remove(labels);
    }
  }

  #namesOf(frontend: Frontend): Names {
    const known = this.#names.get(frontend);
    if (known !== undefined) return known;
    const { service, portName, protocol } = frontend.target;
    const names = { key: frontendKey(frontend), portText: `${service} ${portName} ${protocol}` };
    this.#names.set(frontend, names);
    return names;
  }

  #counterOf(portText: string, target: BackendSet): Counter {
    const known = this.#ports.get(portText);
    if (known !== undefined) return known.counter;
    const { service, portName, protocol } = target;
    const labels = { service, port: portName, protocol };
    const counter = this.#counter.with(labels);
    this.#ports.set(portText, { labels, counter });
    return counter;
  }
}

/** The JSON of `GET /traffic`: every frontend with what goes through it. */
export function trafficBody(traffic: readonly FrontendTraffic[]): string {
  return JSON.stringify({
    frontends: traffic.map(({ frontend, newConnections, open }) => ({
      service: frontend.target.service,
      port: frontend.target.portName,
      protocol: frontend.protocol,
      address: formatHostPort(frontend.address, frontend.port),
      kind: frontend.kind,
      newConnections: newConnections ?? null,
      open: open.map(({ endpoint, count }) => ({
        endpoint: formatHostPort(endpoint.address, endpoint.port),
        connections: count,
      })),
    })),
  });
}
