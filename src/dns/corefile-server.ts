import { createHash } from "node:crypto";
import { sleep } from "../async/sleep.ts";
import { DeadlineError, withDeadline } from "../async/deadline.ts";
import type { BlockConfig } from "../core/dns/corefile/corefile.ts";
import { formatDomainName } from "../core/dns/domain-name.ts";
import { formatHostPort } from "../net/host-port.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { buildEngine } from "./corefile-engine.ts";
import type { Engine, EngineDeps, SocketPlan } from "./corefile-engine.ts";
import { listenHttp } from "./http-endpoints.ts";
import type { HttpAnswer } from "./http-endpoints.ts";
import { listenBoth, listenTls } from "./listen-both.ts";
import type { ListenAddress, Listener, Respond } from "./listener.ts";
import { CompiledAnswers } from "./compiled-answers.ts";
import type { FastPathOptions } from "./compiled-answers.ts";
import { threadsFor } from "./udp-threads.ts";
import { createDnsMetrics } from "./metrics.ts";
import { createResponder, guarded } from "./responder.ts";
import { startSelfCheck } from "./self-check.ts";
import type { CertificateSource } from "./serving-certificate.ts";
import type { TcpLimits } from "./tcp.ts";

export interface CorefileServerDeps extends EngineDeps {
  /** Reads the configuration as it is now. @throws CorefileError, or an Error of the file system. */
  readonly load: () => Promise<LoadedCorefile>;
  readonly rateLimiter?: RateLimiter | undefined;
  /** Whether threads answer over UDP. */
  readonly fastPath?: FastPathOptions | undefined;
  /** What differs from the usual bounds of connections. */
  readonly tcpLimits?: Partial<TcpLimits> | undefined;
}

export interface LoadedCorefile {
  readonly text: string;
  readonly blocks: readonly BlockConfig[];
}

export interface CorefileServer extends AsyncDisposable {
  /** Where DNS listens: `dns://IP:PORT`, as it was bound. */
  readonly addresses: readonly string[];
  /** Resolves when everything is known that is answered for. */
  synced(signal: AbortSignal): Promise<void>;
  /** Looks at the configuration now, as it does by itself from time to time. */
  reload(): Promise<void>;
}

/** How long a new configuration may take to know its cluster before the old one is kept. */
const SYNC_MS = 10_000;
/** Questions that wait for others when the configuration changes are answered within this time. */
const RETIRE_MS = 6000;

interface OpenSocket {
  readonly listener: Listener;
  readonly compiled: CompiledAnswers | undefined;
  respond: Respond;
  /** Of a socket for TLS. */
  certificate: CertificateSource | undefined;
}

type Paths = Map<string, () => HttpAnswer>;

interface OpenHttp {
  readonly server: AsyncDisposable;
  paths: Paths;
}

/**
 * Serves what a Corefile describes: sockets for DNS, health, readiness and metrics. A changed configuration is
 * taken over whole or not at all: sockets that both have stay open and answer without a gap, and one that
 * cannot be used leaves everything as it is.
 * @throws CorefileError, DnsListenError or another Error that says what cannot be used.
 */
export async function startCorefileServer(
  deps: CorefileServerDeps,
  listen: ListenAddress,
): Promise<CorefileServer> {
  const log = deps.log.with({ component: "dns" });
  const ended = new AbortController();
  const sockets = new Map<string, OpenSocket>();
  const https = new Map<string, OpenHttp>();
  const retired = new Set<Engine>();
  let isStopping = false;
  let loaded = await deps.load();
  let engine = await buildEngine(deps, loaded.blocks, listen);
  const failures = deps.metrics.counter(
    "coredns_reload_failed_total",
    "Changed configurations that could not be used.",
  );
  const panics = deps.metrics.counter(
    "coredns_panics_total",
    "Questions left without an answer by a defect.",
  );
  // What never happened is 0, as CoreDNS says it, not unknown.
  for (const each of [failures, panics]) each.with().inc(0);
  const enabled = deps.metrics.gauge(
    "coredns_plugin_enabled",
    "The directives of each zone's server block.",
    ["server", "zone", "view", "name"],
  );
  let enabledNow: (() => void)[] = [];
  const noteEnabled = (from: Engine): void => {
    for (const remove of enabledNow) remove();
    enabledNow = from.sockets.flatMap(({ id, scheme, listen: { address }, blocks }) => {
      const port = sockets.get(id)?.listener.port;
      if (port === undefined) return [];
      const server = `${scheme}://${formatHostPort(address, port)}`;
      return blocks.flatMap(({ zones, plugins = [] }) =>
        zones.flatMap((zone) =>
          plugins.map((name) => {
            const labels = { server, zone: formatDomainName(zone), view: "", name };
            enabled.with(labels).set(1);
            return () => {
              enabled.remove(labels);
            };
          }),
        ),
      );
    });
  };
  const counted: typeof log = {
    ...log,
    error: (event, fields) => {
      panics.with().inc();
      const error = fields?.["error"];
      const hasStacks = loaded.blocks.some(({ errors }) => errors?.hasStacks === true);
      const stack = hasStacks && error instanceof Error ? { stack: error.stack } : {};
      log.error(event, { ...fields, ...stack });
    },
  };

  const responderOf = (
    plan: SocketPlan,
    bound: ListenAddress,
    from: Engine,
    compiled: CompiledAnswers | undefined,
  ): Respond => {
    const metrics = createDnsMetrics(deps.metrics, bound, plan.scheme);
    compiled?.use(plan.blocks, metrics);
    const { nowMs, rateLimiter } = deps;
    return guarded(
      createResponder({ metrics, nowMs, rateLimiter, loopGuard: from.loopGuard }, plan.blocks),
      counted,
    );
  };

  const openSocket = async (plan: SocketPlan, from: Engine): Promise<OpenSocket> => {
    let current: Respond = () => undefined;
    const respond: Respond = (...asked) => current(...asked);
    let { certificate } = plan;
    const isTls = plan.scheme === "tls";
    const { tcpLimits } = deps;
    const compiled =
      deps.fastPath === undefined || isTls
        ? undefined
        : new CompiledAnswers({ ...deps.fastPath, rateLimiter: deps.rateLimiter }, deps.metrics);
    const udp = compiled && threadsFor(compiled);
    const sourceNow: CertificateSource = () => {
      if (certificate === undefined) throw new Error(`${plan.id} has no certificate any more`);
      return certificate();
    };
    const listener =
      isTls && certificate !== undefined
        ? await listenTls({ respond, log, tcpLimits }, plan.listen, sourceNow)
        : await listenBoth({ respond, log, udp, tcpLimits }, plan.listen);
    const bound = { address: plan.listen.address, port: listener.port };
    current = responderOf(plan, bound, from, compiled);
    log.info("dns listens", { address: formatHostPort(bound.address, bound.port) });
    return {
      listener: closedWith(listener, compiled),
      compiled,
      get respond() {
        return current;
      },
      set respond(next) {
        current = next;
      },
      get certificate() {
        return certificate;
      },
      set certificate(next) {
        certificate = next;
      },
    };
  };

  const openHttp = async (on: ListenAddress, first: Paths): Promise<OpenHttp> => {
    let current = first;
    const server = await listenHttp({ log }, on, () => current);
    return {
      server,
      get paths() {
        return current;
      },
      set paths(next) {
        current = next;
      },
    };
  };

  const ready = (): HttpAnswer => {
    const missing = isStopping ? ["stopping"] : engine.notReady();
    return missing.length === 0
      ? { status: 200, text: "OK" }
      : { status: 503, text: missing.join(",") };
  };

  /** Asks for this server's own health, where it is served. */
  let selfCheck: AsyncDisposable | undefined;
  const checkSelf = async (blocks: readonly BlockConfig[]): Promise<void> => {
    await selfCheck?.[Symbol.asyncDispose]();
    const health = blocks.find((block) => block.health !== undefined)?.health;
    selfCheck = health && startSelfCheck(deps.metrics, health);
  };

  const httpPlan = (blocks: readonly BlockConfig[]): Map<string, [ListenAddress, Paths]> => {
    const plan = new Map<string, [ListenAddress, Paths]>();
    const put = (on: ListenAddress | undefined, path: string, answer: () => HttpAnswer): void => {
      if (on === undefined) return;
      const id = formatHostPort(on.address, on.port);
      const [, paths] = plan.get(id) ?? [on, new Map<string, () => HttpAnswer>()];
      plan.set(id, [on, paths.set(path, answer)]);
    };
    for (const block of blocks) {
      put(block.health, "/health", () => ({ status: 200, text: "OK" }));
      put(block.ready, "/ready", ready);
      put(block.prometheus, "/metrics", () => ({ status: 200, text: deps.metrics.render() }));
    }
    return plan;
  };

  /** Opens what is new, and only then lets go of what is not wanted any more. */
  const adopt = async (next: Engine, blocks: readonly BlockConfig[]): Promise<void> => {
    const added: AsyncDisposable[] = [];
    const plans = httpPlan(blocks);
    try {
      for (const plan of next.sockets) {
        if (sockets.has(plan.id)) continue;
        const opened = await openSocket(plan, next);
        added.push(opened.listener);
        sockets.set(plan.id, opened);
      }
      for (const [id, [on, paths]] of plans) {
        if (https.has(id)) continue;
        const opened = await openHttp(on, paths);
        added.push(opened.server);
        https.set(id, opened);
      }
    } catch (error) {
      for (const each of added) await each[Symbol.asyncDispose]();
      for (const [id, { listener }] of sockets) if (added.includes(listener)) sockets.delete(id);
      for (const [id, { server }] of https) if (added.includes(server)) https.delete(id);
      throw error;
    }
    for (const plan of next.sockets) {
      const open = sockets.get(plan.id);
      if (open === undefined) continue;
      const bound = { address: plan.listen.address, port: open.listener.port };
      open.respond = responderOf(plan, bound, next, open.compiled);
      open.certificate = plan.certificate ?? open.certificate;
    }
    for (const [id, [, paths]] of plans) {
      const open = https.get(id);
      if (open !== undefined) open.paths = paths;
    }
    const wanted = new Set(next.sockets.map(({ id }) => id));
    for (const [id, { listener }] of sockets) {
      if (wanted.has(id)) continue;
      sockets.delete(id);
      await listener[Symbol.asyncDispose]();
    }
    for (const [id, { server }] of https) {
      if (plans.has(id)) continue;
      https.delete(id);
      await server[Symbol.asyncDispose]();
    }
    noteEnabled(next);
    await checkSelf(blocks);
  };

  const retire = async (old: Engine): Promise<void> => {
    retired.add(old);
    await sleep(RETIRE_MS, ended.signal).catch(() => undefined);
    if (retired.delete(old)) await old[Symbol.asyncDispose]();
  };

  const noteVersion = (text: string): void => {
    const value = createHash("sha512").update(text).digest("hex");
    versions.with({ hash: "sha512", value }).set(1);
  };
  const versions = deps.metrics.gauge(
    "coredns_reload_version_info",
    "The configuration that is in use.",
    ["hash", "value"],
  );

  const reloadOnce = async (): Promise<void> => {
    let next: Engine | undefined;
    try {
      const found = await deps.load();
      if (found.text === loaded.text || isStopping) return;
      next = await buildEngine(deps, found.blocks, listen);
      const candidate = next;
      candidate.follow();
      await withDeadline(SYNC_MS, ended.signal, (signal) => candidate.synced(signal));
      await adopt(candidate, found.blocks);
      const old = engine;
      engine = candidate;
      versions.remove({
        hash: "sha512",
        value: createHash("sha512").update(loaded.text).digest("hex"),
      });
      loaded = found;
      noteVersion(found.text);
      log.info("dns configuration changed");
      // It ends by itself, or with the server.
      void retire(old);
    } catch (error) {
      await next?.[Symbol.asyncDispose]();
      if (ended.signal.aborted) return;
      failures.with().inc();
      log.error("dns configuration not usable, the old one stays", { error });
    }
  };

  /** One after the other: each compares with what the one before left. */
  let lastReload: Promise<void> = Promise.resolve();
  const reload = (): Promise<void> => {
    lastReload = lastReload.then(reloadOnce);
    return lastReload;
  };

  const watchConfiguration = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const timing = loaded.blocks.find((block) => block.reload !== undefined)?.reload;
      const waitMs =
        timing === undefined
          ? Number.POSITIVE_INFINITY
          : timing.intervalMs + Math.random() * timing.jitterMs;
      // Without `reload` the configuration is what it was at the start.
      if (waitMs === Number.POSITIVE_INFINITY) return;
      await sleep(waitMs, ended.signal).catch(() => undefined);
      if (!ended.signal.aborted) await reload();
    }
  };

  try {
    await untilKnown(engine, loaded.blocks, log);
    await adopt(engine, loaded.blocks);
    // Lists come in when all threads run: see FastPathOptions.onThreadStarted.
    engine.follow();
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
  noteVersion(loaded.text);
  const watching = watchConfiguration();

  return {
    get addresses() {
      return engine.sockets.flatMap((plan) => {
        const port = sockets.get(plan.id)?.listener.port;
        return port === undefined
          ? []
          : [`${plan.scheme}://${formatHostPort(plan.listen.address, port)}`];
      });
    },
    synced: (signal) => engine.synced(signal),
    reload,
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      const lameduckMs = Math.max(
        0,
        ...loaded.blocks.map((block) => block.health?.lameduckMs ?? 0),
      );
      // Whoever balances over several servers sees that this one is not ready, and goes elsewhere meanwhile.
      if (lameduckMs > 0) await sleep(lameduckMs, new AbortController().signal);
      ended.abort(new Error("the DNS server was stopped"));
      await watching;
      await lastReload;
      await selfCheck?.[Symbol.asyncDispose]();
      for (const { listener } of sockets.values()) await listener[Symbol.asyncDispose]();
      for (const { server } of https.values()) await server[Symbol.asyncDispose]();
      for (const old of retired) await old[Symbol.asyncDispose]();
      retired.clear();
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** Waits for the clusters for as long as their directives say (CoreDNS `startup_timeout`). */
async function untilKnown(
  engine: Engine,
  blocks: readonly BlockConfig[],
  log: CorefileServerDeps["log"],
): Promise<void> {
  const waitMs = Math.max(0, ...blocks.map(({ kubernetes }) => kubernetes?.startupMs ?? 0));
  if (waitMs === 0) return;
  try {
    await withDeadline(waitMs, undefined, (signal) => engine.synced(signal));
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    log.warn("dns starts before the cluster is known", { waitMs });
  }
}

function closedWith(listener: Listener, compiled: CompiledAnswers | undefined): Listener {
  return {
    port: listener.port,
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      compiled?.[Symbol.dispose]();
    },
  };
}
