import type { ControllerRevision } from "../api/apps/controllerrevision.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { RevisionPlan } from "../core/workloads/revisions.ts";
import type { Owned } from "./owned.ts";

/** Carries out what planRevisions says. */
export async function writeRevisions(
  revisions: Owned<ControllerRevision>,
  plan: RevisionPlan,
  signal: AbortSignal,
): Promise<void> {
  if (plan.create !== undefined) {
    try {
      await revisions.create(plan.create, signal);
    } catch (error) {
      // The name is made of the content: who has it has the same content.
      if (!hasReason(error, "AlreadyExists")) throw error;
    }
  }
  if (plan.renumber !== undefined) await revisions.update(plan.renumber, signal);
  for (const revision of plan.delete) await revisions.delete(revision, signal);
}
