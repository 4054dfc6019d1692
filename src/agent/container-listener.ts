import type { Probe } from "../api/v1/probe.ts";
import type { EventType } from "../client/events.ts";
import type { RunListener } from "./container-run.ts";
import type { ContainerFacts } from "./facts.ts";

export interface ListenerDeps {
  readonly change: (change: Partial<Pick<ContainerFacts, "isStarted" | "isReady">>) => void;
  /** The container is to be stopped, to be started again as its Pod's restart policy says. */
  readonly restart: (probe: Probe) => void;
  readonly record: (type: EventType, reason: string, message: string) => void;
}

/** Turns what a container's probes and hooks tell into facts and Events, in kubelet's words. */
export function containerListener(
  name: string,
  { change, restart, record }: ListenerDeps,
): RunListener {
  return {
    started: () => {
      change({ isStarted: true });
    },
    ready: (isReady) => {
      change({ isReady });
    },
    unhealthy: (kind, probe) => {
      const message = `Container ${name} failed ${kind.toLowerCase()} probe, will be restarted`;
      record("Normal", "Killing", message);
      restart(probe);
    },
    failed: (kind, message) => {
      record("Warning", "Unhealthy", `${kind} probe failed: ${message}`);
    },
    hookFailed: (kind, message) => {
      record("Warning", `Failed${kind}Hook`, `${kind} hook failed: ${message}`);
    },
  };
}
