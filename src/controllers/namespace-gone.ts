import { hasReason, StatusError } from "../api/machinery/status.ts";

/** A create was refused because its namespace is being deleted or is gone: nothing to try again (EPS-016). */
export function isNamespaceGone(error: unknown): boolean {
  if (!(error instanceof StatusError)) return false;
  const { details } = error.status;
  if (hasReason(error, "NotFound")) return details?.kind === "namespaces";
  const causes = details?.causes ?? [];
  return (
    hasReason(error, "Forbidden") && causes.some(({ reason }) => reason === "NamespaceTerminating")
  );
}
