import { listPids, readEnvironment, readStat } from "./proc.ts";
import type { ProcessStat } from "./proc.ts";

/** Whose process it is, as its environment says it. */
export interface Marker {
  readonly podUid: string;
  readonly container: string;
  readonly attempt: number;
}

/** A process that an agent of the same data directory started, or a descendant of one. */
export interface MarkedProcess extends ProcessStat {
  /** attempt is NaN for the commands of probes and hooks. */
  readonly marker: Marker;
}

/**
 * Variables by which a process is recognised even when the agent died between starting it and writing that
 * down. `dataDir` tells the agents of several data directories apart.
 */
export function markerEnvironment(dataDir: string, marker: Marker): Record<string, string> {
  return {
    PORTOLAN_AGENT: dataDir,
    PORTOLAN_POD_UID: marker.podUid,
    PORTOLAN_CONTAINER: marker.container,
    PORTOLAN_ATTEMPT: Number.isNaN(marker.attempt) ? "exec" : String(marker.attempt),
  };
}

/** All living processes of this user that carry the data directory's marker. */
export function findMarked(dataDir: string): readonly MarkedProcess[] {
  const found: MarkedProcess[] = [];
  for (const pid of listPids()) {
    const environment = readEnvironment(pid);
    if (environment?.get("PORTOLAN_AGENT") !== dataDir) continue;
    const stat = readStat(pid);
    if (stat === undefined || stat.isZombie) continue;
    const marker = {
      podUid: environment.get("PORTOLAN_POD_UID") ?? "",
      container: environment.get("PORTOLAN_CONTAINER") ?? "",
      attempt: Number(environment.get("PORTOLAN_ATTEMPT") ?? Number.NaN),
    };
    found.push({ ...stat, marker });
  }
  return found;
}
