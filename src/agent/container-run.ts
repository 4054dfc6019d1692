import { constants as osConstants } from "node:os";
import type { Container } from "../api/v1/container.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ContainerInput } from "./container-input.ts";
import type { ContainerLog } from "./container-log.ts";
import { runHook } from "./hook.ts";
import type { ProbeTarget } from "./probe.ts";
import type { ContainerProcess, ProcessExit } from "./process.ts";
import { runProbes } from "./prober.ts";
import type { ProbeListener, ProbeStart } from "./prober.ts";

/** How often a log's length is looked at, for its bound and for the times of its lines. */
const LOG_CHECK_MS = 1_000;
/** What a container gets after a preStop hook that took all the grace there was (kubelet's minimum). */
const AFTER_HOOK_MS = 2_000;

export interface ContainerRunDeps {
  readonly container: Container;
  readonly attempt: number;
  readonly process: ContainerProcess;
  /** Its stdin, if it has one; closed at its end. */
  readonly input: ContainerInput | undefined;
  readonly log: ContainerLog;
  readonly target: ProbeTarget;
  readonly probeStart: ProbeStart;
  readonly listener: RunListener;
  readonly logger: Logger;
  readonly now: () => number;
}

export interface RunListener extends ProbeListener {
  /** A hook went wrong; for an event. */
  hookFailed(name: "PreStop" | "PostStart", message: string): void;
}

/** One run of a container, from its process's start to its end, with its probes and its way of stopping. */
export class ContainerRun {
  readonly attempt: number;
  readonly log: ContainerLog;
  /** Resolves when the process has ended and the probes with it. */
  readonly ended: Promise<ProcessExit>;
  readonly #deps: ContainerRunDeps;
  /** Aborts when the process has ended. */
  readonly #end = new AbortController();
  /** Aborts when it is to stop: no more startup and liveness probes. */
  readonly #rest = new AbortController();
  readonly #hook = new AbortController();
  #probes: Promise<void> = Promise.resolve();
  #killAtMs: number | undefined;
  #logTimer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #hasSignalled = false;

  constructor(deps: ContainerRunDeps) {
    this.#deps = deps;
    this.attempt = deps.attempt;
    this.log = deps.log;
    this.ended = this.#watch();
  }

  /** Aborts when the process has ended. */
  get hasEnded(): AbortSignal {
    return this.#end.signal;
  }

  /** Where and with which environment commands run beside it. */
  get target(): ProbeTarget {
    return this.#deps.target;
  }

  get input(): ContainerInput | undefined {
    return this.#deps.input;
  }

  get isStopping(): boolean {
    return this.#killAtMs !== undefined;
  }

  /** Begins to probe. Not before the caller holds the run: the listener is called at once. */
  startProbes(): void {
    const { container, target, probeStart, listener, logger } = this.#deps;
    const signals = { signal: this.#end.signal, restSignal: this.#rest.signal };
    this.#probes = runProbes(container, { target, start: probeStart, listener }, signals).catch(
      (error: unknown) => {
        logger.error("probes ended", { container: container.name, error });
      },
    );
  }

  /** Runs the postStart hook, if there is one; when it fails, the container is stopped. */
  async afterStart(graceMs: number): Promise<void> {
    const hook = this.#deps.container.lifecycle?.postStart;
    if (hook === undefined) return;
    const problem = await runHook(hook, this.#deps.target, graceMs, this.#end.signal);
    if (problem === undefined) return;
    this.#deps.listener.hookFailed("PostStart", problem);
    this.stop(graceMs);
  }

  /**
   * Asks the container to end: preStop hook, stop signal, and SIGKILL to all its processes when `graceMs` are
   * over. Again with less grace shortens the wait; with more it changes nothing.
   */
  stop(graceMs: number): void {
    const killAtMs = this.#deps.now() + graceMs;
    if (this.#killAtMs !== undefined && killAtMs >= this.#killAtMs) return;
    const isFirst = this.#killAtMs === undefined;
    this.#killIn(killAtMs, graceMs);
    if (isFirst) {
      this.#rest.abort(new Error("the container is stopping"));
      this.#signalAfterHook(graceMs).catch((error: unknown) => {
        this.#deps.logger.error("container not signalled", { error });
      });
    }
  }

  /** Forgets the process without ending it: the agent goes, the container stays. */
  detach(): void {
    clearInterval(this.#logTimer);
    clearTimeout(this.#killTimer);
    this.#end.abort(new Error("the node agent is ending"));
    this.#rest.abort(new Error("the node agent is ending"));
    this.#deps.process.release();
  }

  #killIn(killAtMs: number, ms: number): void {
    this.#killAtMs = killAtMs;
    clearTimeout(this.#killTimer);
    if (this.#end.signal.aborted) return;
    this.#killTimer = setTimeout(() => {
      this.#onDeadline();
    }, ms);
  }

  #onDeadline(): void {
    if (this.#hasSignalled || this.#killAtMs === undefined) {
      this.#deps.process.signal("SIGKILL");
      return;
    }
    // The hook has used up the grace; the container itself has not been told yet.
    this.#hook.abort(new Error("grace period is over"));
    this.#killIn(this.#killAtMs + AFTER_HOOK_MS, AFTER_HOOK_MS);
  }

  async #signalAfterHook(graceMs: number): Promise<void> {
    const { container, target, process, listener } = this.#deps;
    const hook = container.lifecycle?.preStop;
    if (hook !== undefined && graceMs > 0 && !this.#end.signal.aborted) {
      const problem = await runHook(hook, target, graceMs, this.#hook.signal);
      if (problem !== undefined) listener.hookFailed("PreStop", problem);
    }
    this.#hasSignalled = true;
    process.signal(graceMs === 0 ? "SIGKILL" : stopSignalOf(container));
  }

  async #watch(): Promise<ProcessExit> {
    const { process, log, logger, now } = this.#deps;
    this.#logTimer = setInterval(() => {
      log.check(now()).catch((error: unknown) => {
        logger.warn("log not checked", { file: log.file, error });
      });
    }, LOG_CHECK_MS);
    try {
      return await process.exited;
    } finally {
      clearInterval(this.#logTimer);
      clearTimeout(this.#killTimer);
      for (const controller of [this.#end, this.#rest, this.#hook])
        controller.abort(new Error("the container has ended"));
      await this.#probes;
      await this.#deps.input?.[Symbol.asyncDispose]();
    }
  }
}

function stopSignalOf(container: Container): NodeJS.Signals {
  const name = container.lifecycle?.stopSignal ?? "SIGTERM";
  return isSignal(name) ? name : "SIGTERM";
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(osConstants.signals, name);
}
