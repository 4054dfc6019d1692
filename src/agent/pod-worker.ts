import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import type { EventType } from "../client/events.ts";
import type { Logger } from "../telemetry/log.ts";
import { ContainerLog } from "./container-log.ts";
import type { ContainerRun, RunListener } from "./container-run.ts";
import { gracePeriodSecondsOf, initContainersOf } from "./facts.ts";
import type { ContainerFacts, ExitedRun, PodFacts } from "./facts.ts";
import type { PodFiles } from "./pod-files.ts";
import type { AgentMetrics } from "./metrics.ts";
import { containerListener } from "./container-listener.ts";
import { deletePod } from "./delete-pod.ts";
import { exitedRun } from "./ended-run.ts";
import { loggedAttempt, noLogText } from "./pod-log.ts";
import type { PodLog } from "./pod-log.ts";
import { EVICTED, planPod } from "./plan.ts";
import type { PodPlan } from "./plan.ts";
import { backoffAfterExit, backoffAfterFailedStart } from "./restart.ts";
import { runningContainer } from "./running-container.ts";
import type { RunningContainer } from "./running-container.ts";
import { startFailure } from "./start-container.ts";
import type { StartContainer } from "./start-container.ts";
import { podStatusOf } from "./status.ts";
import { OWN_CONDITIONS, StatusWriter } from "./status-writer.ts";
import { terminationMessage } from "./termination-message.ts";

/** Grace for the processes of a Pod that is no longer in the API: nobody is left to wait for it. */
const GONE_GRACE_MS = 2_000;
/** What a Pod gets that is to leave the node at once (kubelet's `immediateEvictionGracePeriodSeconds`). */
const EVICTION_GRACE_MS = 1_000;
/** At its end the agent waits this long for the last status to be written. */
const LAST_WRITE_MS = 1_000;
/** A timer cannot be set further; the plan is then made once too often. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface PodWorkerDeps {
  readonly client: ApiClient;
  readonly files: PodFiles;
  readonly bootId: string;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
  readonly now: () => number;
  readonly start: StartContainer;
  readonly record: (
    pod: Pod,
    container: string | undefined,
    type: EventType,
    reason: string,
    message: string,
  ) => void;
  /** The Pod's address: on the first start, and given back when nothing runs any more. */
  readonly allocateIp: (pod: Pod) => string | undefined;
  readonly podIpsOf: (podIp: string) => readonly string[];
  readonly releaseIp: (pod: Pod, ip: string) => void;
  /** @see Drains.drained */
  /** Ends what is left of the Pod's sandbox. */
  readonly closeSandbox: (podUid: string) => Promise<void>;
  readonly drained: (pod: Pod, signal: AbortSignal) => Promise<void> | undefined;
}

/**
 * Runs one Pod. Everything that happens (a new object from the API, a process that ended, a probe, a timer)
 * only changes the facts and calls {@link sync}, which plans anew from all of them.
 */
export class PodWorker {
  readonly uid: string;
  readonly #deps: PodWorkerDeps;
  readonly #log: Logger;
  readonly #writer: StatusWriter;
  readonly #runs = new Map<string, ContainerRun>();
  readonly #containers: Map<string, ContainerFacts>;
  readonly #tasks = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #pod: Pod;
  #facts: PodFacts;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the end that the Pod is asked for has been seen. */
  #hasBegunToEnd = false;
  #hasLeft = false;
  #isDeleting = false;
  #isClosing = false;

  constructor(
    pod: Pod,
    facts: Omit<PodFacts, "containers" | "isDraining">,
    containers: ReadonlyMap<string, ContainerFacts>,
    deps: PodWorkerDeps,
  ) {
    this.uid = pod.metadata.uid ?? "";
    this.#pod = pod;
    this.#containers = new Map(containers);
    this.#facts = { ...facts, containers: this.#containers, isDraining: false };
    this.#deps = deps;
    this.#log = deps.log.with({ namespace: pod.metadata.namespace, pod: pod.metadata.name });
    this.#writer = new StatusWriter(pod, {
      client: deps.client,
      log: this.#log,
      writes: deps.metrics.statusWrites,
      onSettled: () => {
        this.sync();
      },
    });
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** A newer version of the Pod. */
  update(pod: Pod): void {
    this.#pod = pod;
    this.#writer.observe(pod.status);
    this.sync();
  }

  /** Does what the plan says and asks for the status that follows. Cheap, and harmless to call too often. */
  sync(): void {
    if (this.#isClosing) return;
    if (this.#isTerminating && !this.#hasBegunToEnd) this.#drain();
    const nowMs = this.#deps.now();
    const view = this.#view();
    const plan = planPod(view, this.#facts, nowMs);
    for (const name of plan.start) this.#start(name);
    const { eviction } = this.#facts;
    const graceMs = gracePeriodSecondsOf(this.#pod) * 1000;
    for (const name of plan.stop)
      this.#stop(name, eviction === undefined ? graceMs : EVICTION_GRACE_MS);
    this.#wakeAt(plan.wakeAtMs, nowMs);
    this.#writer.want(podStatusOf(view, this.#facts, plan, nowMs));
    if (plan.isFinished) this.#leave();
    this.#deleteWhenDone(plan);
  }

  /** The node has the Pod go: it fails, and is not started again. */
  evict(message: string): void {
    if (this.#facts.eviction !== undefined || this.#isClosing) return;
    this.#facts = { ...this.#facts, eviction: message };
    this.#record(undefined, "Warning", EVICTED, message);
    this.sync();
  }

  /** Where a container's log is, for `kubectl logs`. */
  logOf(container: string, previous: boolean): PodLog {
    const facts = this.#containers.get(container);
    const attempt = loggedAttempt(facts, previous);
    if (attempt === undefined)
      return { kind: "unavailable", message: noLogText(this.#pod, container, facts, previous) };
    const run = this.#runs.get(container);
    const isLive = (): boolean => this.#runs.get(container)?.attempt === attempt;
    const log =
      run?.attempt === attempt
        ? run.log
        : new ContainerLog(this.#deps.files.logFile(this.uid, container, attempt));
    return { kind: "log", log, hasEnded: () => !isLive() };
  }

  /** A container to run commands in; undefined when it does not run. */
  runningContainer(name: string): RunningContainer | undefined {
    const run = this.#runs.get(name);
    return run === undefined ? undefined : runningContainer(run);
  }

  get podIp(): string | undefined {
    return this.#facts.podIp;
  }

  get isRunning(): boolean {
    return this.#runs.size > 0;
  }

  /** Takes over a container that an earlier agent started. */
  adopt(name: string, run: ContainerRun): void {
    this.#runs.set(name, run);
    run.startProbes();
    this.#spawn(this.#follow(name, run));
  }

  /** What a container's probes tell. */
  listenerFor(name: string): RunListener {
    return containerListener(name, {
      change: (change) => {
        this.#change(name, change);
      },
      restart: ({ terminationGracePeriodSeconds: seconds }) => {
        const grace = seconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30;
        this.#runs.get(name)?.stop(grace * 1000);
      },
      record: (type, reason, message) => {
        this.#record(name, type, reason, message);
      },
    });
  }

  /** The Pod is gone from the API: ends its processes, forgets its files. */
  async abandon(): Promise<void> {
    await this.#end(GONE_GRACE_MS);
    await this.#writer[Symbol.asyncDispose]();
    await this.#deps.closeSandbox(this.uid);
    this.#deps.releaseIp(this.#pod, this.#facts.podIp ?? "");
    await this.#deps.files.removePod(this.uid);
  }

  /** The agent is ending and takes its Pods with it; the API learns that they no longer run. */
  async stop(graceMs: number): Promise<void> {
    await this.#end(graceMs);
    await this.#deps.closeSandbox(this.uid);
    const view = this.#view();
    const nowMs = this.#deps.now();
    const plan = planPod(view, this.#facts, nowMs);
    this.#writer.want(podStatusOf(view, this.#facts, plan, nowMs));
    await this.#writer.flush(LAST_WRITE_MS);
    await this.#writer[Symbol.asyncDispose]();
  }

  /** The agent is ending and leaves its Pods' processes to the next one. */
  async detach(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.#ending.abort(new Error("the node agent is ending"));
    for (const run of this.#runs.values()) run.detach();
    await this.#writer[Symbol.asyncDispose]();
  }

  /** Ends all processes; afterwards nothing of the worker runs any more. */
  async #end(graceMs: number): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.#ending.abort(new Error("the pod is ending"));
    for (const run of this.#runs.values()) run.stop(graceMs);
    // A start that was under way ends by itself or gives a run, which is stopped at once (see #launch).
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #start(name: string): void {
    const container = this.#containerOf(name);
    const before = this.#containers.get(name);
    const previous = before?.state.kind === "exited" ? before.state : before?.previous;
    this.#containers.set(name, {
      state: { kind: "starting", failure: failureOf(before) },
      previous,
      backoff: before?.backoff,
      isStarted: false,
      isReady: false,
    });
    this.#spawn(this.#launch(container, previous, before));
  }

  async #launch(
    container: Container,
    previous: ExitedRun | undefined,
    before: ContainerFacts | undefined,
  ): Promise<void> {
    const { name } = container;
    const podIp = this.#facts.podIp ?? this.#deps.allocateIp(this.#pod);
    const podIps = podIp === undefined ? [] : this.#deps.podIpsOf(podIp);
    this.#facts = { ...this.#facts, podIp, podIps };
    const outcome = await this.#deps.start(
      this.#pod,
      container,
      { podIp, previous, backoff: before?.backoff },
      this.listenerFor(name),
      this.#ending.signal,
    );
    const nowMs = this.#deps.now();
    this.#deps.metrics[outcome.kind === "failed" ? "failedStarts" : "containerStarts"].inc();
    if (outcome.kind === "failed") {
      if (this.#isClosing) return;
      this.#record(...startFailure(name, outcome));
      this.#containers.set(name, {
        state: { kind: "waiting", reason: outcome.reason, message: outcome.message },
        previous,
        // The back-off of failed starts is its own: a crash before does not lengthen it.
        backoff: backoffAfterFailedStart(
          before?.state.kind === "waiting" ? before.backoff : undefined,
          nowMs,
        ),
        isStarted: false,
        isReady: false,
      });
      this.sync();
      return;
    }
    const { run, startedAtMs } = outcome;
    this.#record(name, "Normal", "Started", `Started container ${name}`);
    this.#containers.set(name, {
      state: { kind: "running", attempt: run.attempt, startedAtMs },
      previous,
      backoff: before?.state.kind === "waiting" ? undefined : before?.backoff,
      isStarted: container.startupProbe === undefined,
      isReady: false,
    });
    this.#runs.set(name, run);
    run.startProbes();
    if (this.#isClosing) run.stop(GONE_GRACE_MS);
    else this.sync();
    await Promise.all([
      run.afterStart(gracePeriodSecondsOf(this.#pod) * 1000),
      this.#follow(name, run),
    ]);
  }

  async #follow(name: string, run: ContainerRun): Promise<void> {
    const exit = await run.ended;
    const before = this.#containers.get(name);
    if (before?.state.kind !== "running")
      throw new Error(
        `container ${name} ended but is ${before?.state.kind ?? "unknown"}, not running`,
      );
    const finishedAtMs = this.#deps.now();
    const message = await this.#lastWords(name, run, exit.exitCode);
    const ended = exitedRun(run.attempt, before.state.startedAtMs, finishedAtMs, exit, message);
    const backoff = backoffAfterExit(before.backoff, ended.startedAtMs, ended.finishedAtMs);
    const after: ContainerFacts = {
      state: ended,
      previous: before.previous,
      // An end that the agent's own end brought about is no crash.
      backoff: this.#isClosing ? undefined : backoff,
      isStarted: false,
      isReady: false,
    };
    // Written before anyone may start the next attempt, which writes the same file.
    await this.#writeRecord(name, after, ended);
    this.#runs.delete(name);
    this.#containers.set(name, after);
    if (backoff.delayMs > 0 && !this.#isClosing && !this.#isTerminating) {
      const { name: pod } = this.#pod.metadata;
      const message = `Back-off restarting failed container ${name} in pod ${pod}`;
      this.#record(name, "Warning", "BackOff", message);
    }
    this.sync();
  }

  async #lastWords(name: string, run: ContainerRun, exitCode: number): Promise<string> {
    const message = this.#deps.files.messageFile(this.uid, name, run.attempt);
    const container = this.#containerOf(name);
    try {
      return await terminationMessage(container, { message, log: run.log.file }, exitCode);
    } catch (error) {
      this.#log.warn("termination message not read", { container: name, error });
      return "";
    }
  }

  async #writeRecord(name: string, facts: ContainerFacts, run: ExitedRun): Promise<void> {
    try {
      await this.#deps.files.write({
        podUid: this.uid,
        container: name,
        bootId: this.#deps.bootId,
        attempt: run.attempt,
        startedAtMs: run.startedAtMs,
        podIp: this.#facts.podIp ?? "",
        backoff: facts.backoff,
        previous: facts.previous,
        run,
      });
    } catch (error) {
      // A full disk must not keep the Pod from going on; after a crash its exit code would be unknown.
      this.#log.error("container record not written", { container: name, error });
    }
  }

  get #isTerminating(): boolean {
    return this.#pod.metadata.deletionTimestamp !== undefined;
  }

  /** What the Pod runs goes on until nothing new is sent to it. */
  #drain(): void {
    this.#hasBegunToEnd = true;
    const drained =
      this.#runs.size === 0 ? undefined : this.#deps.drained(this.#pod, this.#ending.signal);
    if (drained === undefined) return;
    this.#facts = { ...this.#facts, isDraining: true };
    this.#spawn(
      drained.then(() => {
        this.#facts = { ...this.#facts, isDraining: false };
        this.sync();
      }),
    );
  }

  #stop(name: string, graceMs: number): void {
    const run = this.#runs.get(name);
    // Without a run it is being started; the sync that follows the start comes here again.
    if (run === undefined) return;
    if (!run.isStopping) this.#record(name, "Normal", "Killing", `Stopping container ${name}`);
    run.stop(graceMs);
  }

  #change(name: string, change: Partial<Pick<ContainerFacts, "isStarted" | "isReady">>): void {
    const facts = this.#containers.get(name);
    if (facts?.state.kind !== "running") return;
    const changed = { ...facts, ...change };
    if (changed.isReady === facts.isReady && changed.isStarted === facts.isStarted) return;
    this.#containers.set(name, changed);
    this.sync();
  }

  /** The Pod with the status that was last asked for: the informer may not show it yet. */
  #view(): Pod {
    const wanted = this.#writer.wanted;
    if (wanted === undefined) return this.#pod;
    const isOwn = ({ type }: { readonly type: string }): boolean => OWN_CONDITIONS.has(type);
    const conditions = [
      ...(wanted.conditions ?? []).filter(isOwn),
      ...(this.#pod.status?.conditions ?? []).filter((condition) => !isOwn(condition)),
    ];
    return { ...this.#pod, status: { ...this.#pod.status, ...wanted, conditions } };
  }

  #wakeAt(wakeAtMs: number | undefined, nowMs: number): void {
    clearTimeout(this.#timer);
    if (wakeAtMs === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.sync();
      },
      Math.min(MAX_TIMER_MS, Math.max(0, wakeAtMs - nowMs)),
    );
  }

  /** Nothing runs and nothing will: the Pod's place may become another's. */
  #leave(): void {
    this.#deps.releaseIp(this.#pod, this.#facts.podIp ?? "");
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#spawn(this.#deps.closeSandbox(this.uid));
  }

  /** Asked to end, all ended, and the API shows it: now the object may go. */
  #deleteWhenDone(plan: PodPlan): void {
    if (!this.#isTerminating || !plan.isFinished || !this.#writer.isSettled || this.#isDeleting)
      return;
    this.#isDeleting = true;
    this.#spawn(deletePod(this.#pod, this.#deps.client, this.#log, this.#ending.signal));
  }

  #containerOf(name: string): Container {
    const all = [...this.#pod.spec.containers, ...initContainersOf(this.#pod)];
    const found = all.find((container) => container.name === name);
    if (found === undefined) throw new Error(`pod ${this.uid} has no container ${name}`);
    return found;
  }

  #record(container: string | undefined, type: EventType, reason: string, message: string): void {
    this.#deps.record(this.#pod, container, type, reason, message);
  }

  #spawn(task: Promise<void>): void {
    const watched = task
      .catch((error: unknown) => {
        this.#log.error("pod task failed", { error });
      })
      .finally(() => {
        this.#tasks.delete(watched);
      });
    this.#tasks.add(watched);
  }
}

/** Why the container's last start failed, if it did. */
function failureOf(
  facts: ContainerFacts | undefined,
): { readonly reason: string; readonly message: string } | undefined {
  if (facts?.state.kind !== "waiting") return undefined;
  const { reason, message } = facts.state;
  return { reason, message };
}
