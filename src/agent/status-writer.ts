import { podKind } from "../api/v1/pod.kind.ts";
import type { PodCondition, PodStatus } from "../api/v1/pod-status.ts";
import type { Pod } from "../api/v1/pod.ts";
import { hasReason } from "../api/machinery/status.ts";
import { backoff } from "../async/backoff.ts";
import { withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Counter } from "../telemetry/metrics.ts";

/** Conditions that the agent writes; the others belong to whoever wrote them (readiness gates). */
export const OWN_CONDITIONS: ReadonlySet<string> = new Set([
  "PodReadyToStartContainers",
  "Initialized",
  "Ready",
  "ContainersReady",
  "PodScheduled",
  // Others write it too, and what is not said here stays as it is.
  "DisruptionTarget",
]);

const RETRY = { baseMs: 50, maxMs: 5_000 };

export interface StatusWriterDeps {
  readonly client: ApiClient;
  readonly log: Logger;
  readonly writes: Counter;
  /** The write was acknowledged, or the Pod is gone or another now. */
  readonly onSettled: () => void;
}

/**
 * Keeps a Pod's status in the API equal to what the agent wants it to be: one write at a time, at once when
 * nothing is in flight, the newest wish when something was. Failed writes are retried until the Pod is gone.
 */
export class StatusWriter implements AsyncDisposable {
  readonly #deps: StatusWriterDeps;
  readonly #pod: Pod;
  readonly #ending = new AbortController();
  #wanted: PodStatus | undefined;
  #wantedText = "";
  #writtenText = "";
  #written: PodStatus | undefined;
  #writing: Promise<void> | undefined;
  #isGone = false;

  constructor(pod: Pod, deps: StatusWriterDeps) {
    this.#pod = pod;
    this.#deps = deps;
    this.#written = pod.status;
  }

  /** What was last asked for; the base of the next decision, as the informer may lag behind. */
  get wanted(): PodStatus | undefined {
    return this.#wanted;
  }

  /** Whether the API shows what was last asked for, or cannot any more. */
  get isSettled(): boolean {
    return this.#isGone || this.#wantedText === this.#writtenText;
  }

  want(status: PodStatus): void {
    const text = JSON.stringify(ownPart(status));
    this.#wanted = status;
    this.#wantedText = text;
    if (!this.isSettled) this.#start();
  }

  /** The status as it is in the API now: if somebody else has changed it, it is written again. */
  observe(status: PodStatus | undefined): void {
    if (this.#writing !== undefined || this.#wanted === undefined || this.#isGone) return;
    if (shows(status, this.#wanted)) return;
    this.#written = status;
    this.#writtenText = "";
    this.#start();
  }

  /** Waits until the API shows what was last asked for, at most `ms` milliseconds. */
  async flush(ms: number): Promise<void> {
    if (this.#writing === undefined) return;
    // What is not written by then is given up: the API server may be gone already.
    await withDeadline(ms, undefined, () => this.#writing ?? Promise.resolve()).catch(
      () => undefined,
    );
  }

  /** Gives up what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error("the status writer was stopped"));
    await this.#writing;
  }

  #start(): void {
    if (this.#ending.signal.aborted) return;
    this.#writing ??= this.#loop();
  }

  async #loop(): Promise<void> {
    // So that #writing is set before this can end.
    await Promise.resolve();
    for (let failures = 0; !this.isSettled && !this.#ending.signal.aborted; ) {
      const status = this.#wanted;
      const text = this.#wantedText;
      if (status === undefined) break;
      try {
        await this.#write(status);
        this.#deps.writes.inc();
        this.#written = status;
        this.#writtenText = text;
        failures = 0;
      } catch (error) {
        if (this.#ending.signal.aborted) break;
        // Another Pod of the same name answers Conflict, for the patch names the UID.
        this.#isGone = hasReason(error, "NotFound", "Conflict");
        if (this.#isGone) break;
        this.#deps.log.warn("pod status not written", { pod: this.#pod.metadata.name, error });
        const delayMs = backoff(failures, RETRY, Math.random);
        failures += 1;
        // Rejects only when the writer is stopped; the loop's condition sees that.
        await sleep(delayMs, this.#ending.signal).catch(() => undefined);
      }
    }
    this.#writing = undefined;
    this.#deps.onSettled();
  }

  async #write(status: PodStatus): Promise<void> {
    const { name, namespace, uid } = this.#pod.metadata;
    const body = { metadata: { uid }, status: statusPatch(this.#written, status) };
    await this.#deps.client.patch(
      podKind,
      { name, namespace },
      { kind: "strategic", body },
      { subresource: "status", signal: this.#ending.signal },
    );
  }
}

function ownPart(status: PodStatus): Readonly<Record<string, unknown>> {
  return {
    phase: status.phase,
    reason: status.reason,
    message: status.message,
    conditions: ownConditions(status),
    hostIP: status.hostIP,
    podIP: status.podIP,
    startTime: status.startTime,
    initContainerStatuses: status.initContainerStatuses,
    containerStatuses: status.containerStatuses,
  };
}

function ownConditions(status: PodStatus | undefined): readonly PodCondition[] {
  return (status?.conditions ?? []).filter(({ type }) => OWN_CONDITIONS.has(type));
}

/** Whether `actual` says the same where readers would act on it. */
function shows(actual: PodStatus | undefined, wanted: PodStatus): boolean {
  return (
    actual?.phase === wanted.phase &&
    actual?.podIP === wanted.podIP &&
    ownConditions(wanted).every(
      ({ type, status }) =>
        actual?.conditions?.find((condition) => condition.type === type)?.status === status,
    )
  );
}

/**
 * The strategic merge patch from one status to the next. Conditions and addresses are merged by key, so what
 * is no longer said must be taken away by name: null, or `$patch: delete`.
 */
export function statusPatch(
  before: PodStatus | undefined,
  after: PodStatus,
): Readonly<Record<string, unknown>> {
  const withdrawn = (had: unknown, has: unknown, key: string): Record<string, null> =>
    had !== undefined && has === undefined ? { [key]: null } : {};
  const conditions = ownConditions(after).map((condition) => {
    const old = before?.conditions?.find(({ type }) => type === condition.type);
    return {
      ...condition,
      ...withdrawn(old?.reason, condition.reason, "reason"),
      ...withdrawn(old?.message, condition.message, "message"),
    };
  });
  const addresses = (
    old: readonly { readonly ip: string }[] | undefined,
    now: readonly { readonly ip: string }[] | undefined,
  ): readonly unknown[] => {
    const kept = new Set((now ?? []).map(({ ip }) => ip));
    const gone = (old ?? []).filter(({ ip }) => !kept.has(ip));
    return [...gone.map(({ ip }) => ({ ip, $patch: "delete" })), ...(now ?? [])];
  };
  return {
    phase: after.phase,
    ...(after.reason === undefined ? {} : { reason: after.reason }),
    ...(after.message === undefined ? {} : { message: after.message }),
    ...withdrawn(before?.reason, after.reason, "reason"),
    ...withdrawn(before?.message, after.message, "message"),
    conditions,
    hostIP: after.hostIP,
    hostIPs: addresses(before?.hostIPs, after.hostIPs),
    ...(after.podIP === undefined
      ? {}
      : { podIP: after.podIP, podIPs: addresses(before?.podIPs, after.podIPs) }),
    startTime: after.startTime,
    ...(after.initContainerStatuses === undefined
      ? {}
      : { initContainerStatuses: after.initContainerStatuses }),
    containerStatuses: after.containerStatuses,
  };
}
