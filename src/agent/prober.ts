import { sleep } from "../async/sleep.ts";
import type { Container } from "../api/v1/container.ts";
import type { Probe } from "../api/v1/probe.ts";
import { probeOnce } from "./probe.ts";
import type { ProbeTarget } from "./probe.ts";
import { afterAnswer, initialProbeState, probeTiming } from "./probe-schedule.ts";
import type { ProbeState } from "./probe-schedule.ts";

type ProbeName = "Startup" | "Liveness" | "Readiness";

/** Told what the probes find; called synchronously, right after the answer. */
export interface ProbeListener {
  /** The startup probe passed, or there is none. */
  started(): void;
  ready(isReady: boolean): void;
  /** The container must be killed. */
  unhealthy(name: ProbeName, probe: Probe): void;
  /** A failure that counts, whether or not it decides; for an event. */
  failed(name: ProbeName, message: string): void;
}

export interface ProbeStart {
  readonly startedAtMs: number;
  /** What an earlier agent found of an adopted container, so that adoption does not make it unready. */
  readonly isStarted: boolean;
  readonly isReady: boolean;
  readonly now: () => number;
}

/** All that the probes of one container share. */
interface Probing {
  readonly target: ProbeTarget;
  readonly start: ProbeStart;
  readonly listener: ProbeListener;
}

/**
 * Probes a running container until `signal` aborts: first startup, then readiness and liveness side by side.
 * `restSignal` ends startup and liveness earlier: they stop when the Pod terminates, readiness goes on
 * (TERM-009). Resolves when all have ended.
 */
export async function runProbes(
  container: Pick<Container, "startupProbe" | "readinessProbe" | "livenessProbe">,
  probing: Probing,
  signals: { readonly signal: AbortSignal; readonly restSignal: AbortSignal },
): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = container;
  const { start, listener } = probing;
  if (startupProbe !== undefined && !start.isStarted) {
    const verdict = await untilDecided(startupProbe, probing, signals.restSignal);
    if (verdict === "failing") listener.unhealthy("Startup", startupProbe);
    if (verdict !== "passing") return;
  }
  listener.started();
  if (readinessProbe === undefined) listener.ready(true);
  await Promise.all([
    readinessProbe === undefined
      ? undefined
      : watchReadiness(readinessProbe, probing, signals.signal),
    livenessProbe === undefined
      ? undefined
      : watchLiveness(livenessProbe, probing, signals.restSignal),
  ]);
}

async function untilDecided(
  probe: Probe,
  probing: Probing,
  signal: AbortSignal,
): Promise<ProbeState["verdict"]> {
  const first = initialProbeState("unknown");
  for await (const { verdict } of answers("Startup", probe, probing, first, signal))
    if (verdict !== "unknown") return verdict;
  return "unknown";
}

async function watchReadiness(probe: Probe, probing: Probing, signal: AbortSignal): Promise<void> {
  const first = initialProbeState(probing.start.isReady ? "passing" : "unknown");
  for await (const { verdict } of answers("Readiness", probe, probing, first, signal))
    if (verdict !== "unknown") probing.listener.ready(verdict === "passing");
}

async function watchLiveness(probe: Probe, probing: Probing, signal: AbortSignal): Promise<void> {
  // Taken for alive until shown otherwise, and so never in the quick phase.
  const first = initialProbeState("passing");
  for await (const { verdict } of answers("Liveness", probe, probing, first, signal)) {
    if (verdict !== "failing") continue;
    probing.listener.unhealthy("Liveness", probe);
    return;
  }
}

/** The states after each answer; ends quietly when the signal aborts. */
async function* answers(
  name: ProbeName,
  probe: Probe,
  { target, start, listener }: Probing,
  first: ProbeState,
  signal: AbortSignal,
): AsyncGenerator<ProbeState> {
  const timing = probeTiming(probe);
  let delayMs = Math.max(0, start.startedAtMs + timing.initialDelayMs - start.now());
  let state = first;
  try {
    for (;;) {
      if (delayMs > 0) await sleep(delayMs, signal);
      const outcome = await probeOnce(probe, target, timing.timeoutMs, signal);
      const next = afterAnswer(state, outcome, timing);
      if (outcome.kind === "failure" && next.isCounted) listener.failed(name, outcome.message);
      ({ state, delayMs } = next);
      yield state;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
