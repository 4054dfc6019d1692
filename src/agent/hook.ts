import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import { probeOnce } from "./probe.ts";
import type { Handler, ProbeTarget } from "./probe.ts";

/**
 * Runs a postStart or preStop hook to its end, its deadline or the abort of `signal`. @returns why it failed,
 * or undefined.
 */
export async function runHook(
  hook: Handler,
  target: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    if (hook.sleep !== undefined) {
      const ms = hook.sleep.seconds * 1000;
      await withDeadline(timeoutMs, signal, (deadline) => sleep(ms, deadline));
      return undefined;
    }
    const outcome = await probeOnce(hook, target, timeoutMs, signal);
    return outcome.kind === "success" ? undefined : outcome.message;
  } catch (error) {
    if (error instanceof DeadlineError) return `not done within ${String(timeoutMs / 1000)} s`;
    if (signal.aborted) return "interrupted";
    throw error;
  }
}
