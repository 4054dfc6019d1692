import { codeOf, listPids, readEnvironment } from "../proc.ts";

/** Variable that marks the processes of one exec, so that none escapes by leaving its process group. */
export const EXEC_MARKER = "PORTOLAN_EXEC";

/** All living processes that carry the mark. */
export function markedProcesses(mark: string): readonly number[] {
  return listPids().filter((pid) => readEnvironment(pid)?.get(EXEC_MARKER) === mark);
}

export function killMarked(mark: string): void {
  // Twice, for what was being forked during the first look.
  for (let round = 0; round < 2; round++) {
    for (const pid of markedProcesses(mark)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        // It ended by itself in between.
        if (codeOf(error) !== "ESRCH") throw error;
      }
    }
  }
}
