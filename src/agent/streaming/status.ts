/** What is sent at the end of a command, on the error stream: a metav1.Status in JSON, as kubelet's. */
export type EndStatus =
  | { readonly kind: "exited"; readonly exitCode: number }
  /** The command could not be run. */
  | { readonly kind: "failed"; readonly message: string };

export function renderStatus(end: EndStatus): string {
  return JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, ...fieldsOf(end) });
}

function fieldsOf(end: EndStatus): object {
  if (end.kind === "failed") {
    const message = `Internal error occurred: ${end.message}`;
    return { status: "Failure", message, reason: "InternalError", code: 500 };
  }
  if (end.exitCode === 0) return { status: "Success" };
  const code = String(end.exitCode);
  return {
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${code}`,
    // Not one of metav1's reasons: clients of exec know it (remotecommand.NonZeroExitCodeReason).
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: code }] },
    code: 500,
  };
}
