import type { Probe } from "../api/v1/probe.ts";
import type { ProbeOutcome } from "./probe.ts";

/** A probe's numbers with their defaults, in milliseconds. */
export interface ProbeTiming {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** Zero and absent both mean the default, as the API's defaulting has it. */
export function probeTiming(probe: Probe): ProbeTiming {
  const or = (value: number | undefined, otherwise: number): number =>
    value === undefined || value === 0 ? otherwise : value;
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: or(probe.periodSeconds, 10) * 1000,
    timeoutMs: or(probe.timeoutSeconds, 1) * 1000,
    successThreshold: or(probe.successThreshold, 1),
    failureThreshold: or(probe.failureThreshold, 3),
  };
}

/** Where a probe stands. */
export interface ProbeState {
  /** What the probe says of the container now. */
  readonly verdict: "unknown" | "passing" | "failing";
  /** Answers in a row that count, and whether they were successes. */
  readonly run: { readonly isSuccess: boolean; readonly length: number };
  /** Until the first success the container may just not be up yet: it is asked more often. */
  readonly hasSucceeded: boolean;
  /** The next delay of the quick phase. */
  readonly quickMs: number;
  /** Time since the last counted failure in the quick phase. */
  readonly sinceCountedMs: number;
}

const FIRST_QUICK_MS = 50;
const QUICK_GROWTH = 1.5;

export function initialProbeState(verdict: ProbeState["verdict"]): ProbeState {
  return {
    verdict,
    run: { isSuccess: verdict === "passing", length: 0 },
    hasSucceeded: verdict === "passing",
    quickMs: FIRST_QUICK_MS,
    sinceCountedMs: 0,
  };
}

/**
 * The state after an answer, and when to ask next. Faster than upstream on purpose: until the first success
 * the probe asks after 50 ms, 75 ms, 112 ms ... up to its period, so that a Pod is ready within moments of
 * its server listening, and not at the end of a ten-second period. Of these quick answers only one failure a
 * period counts, so that failureThreshold x period stays the time that a startup probe grants.
 */
export function afterAnswer(
  state: ProbeState,
  outcome: ProbeOutcome,
  timing: ProbeTiming,
): { readonly state: ProbeState; readonly delayMs: number; readonly isCounted: boolean } {
  const isSuccess = outcome.kind === "success";
  const isQuick = !isSuccess && !state.hasSucceeded && state.quickMs < timing.periodMs;
  const delayMs = isQuick ? state.quickMs : timing.periodMs;
  const sinceCountedMs = state.sinceCountedMs + delayMs;
  const isCounted = isSuccess || !isQuick || sinceCountedMs >= timing.periodMs;
  const length = !isCounted
    ? state.run.length
    : state.run.isSuccess === isSuccess
      ? state.run.length + 1
      : 1;
  const threshold = isSuccess ? timing.successThreshold : timing.failureThreshold;
  const isDecided = isCounted && length >= threshold;
  return {
    state: {
      verdict: isDecided ? (isSuccess ? "passing" : "failing") : state.verdict,
      run: isCounted ? { isSuccess, length } : state.run,
      hasSucceeded: state.hasSucceeded || isSuccess,
      quickMs: isQuick ? state.quickMs * QUICK_GROWTH : state.quickMs,
      sinceCountedMs: isCounted ? 0 : sinceCountedMs,
    },
    delayMs,
    isCounted,
  };
}
