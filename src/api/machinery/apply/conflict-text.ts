import type { StatusCause } from "../status.ts";
import type { Conflict } from "./apply.ts";
import type { Owner } from "./owners.ts";
import { pathText } from "./path-element.ts";

/** The message and causes of the 409 that an apply with conflicts gets (upstream `conflict.go`). */
export function describeConflicts(conflicts: readonly Conflict[]): {
  readonly message: string;
  readonly causes: readonly StatusCause[];
} {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${ownerText(owner)}`,
    field: pathText(path),
  }));
  return { message: messageOf(conflicts), causes };
}

function messageOf(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (first !== undefined && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${ownerText(first.owner)}: ${pathText(first.path)}`;
  }
  const byOwner = new Map<string, string[]>();
  for (const { owner, path } of conflicts) {
    const text = ownerText(owner);
    const paths = byOwner.get(text) ?? [];
    paths.push(`- ${pathText(path)}`);
    byOwner.set(text, paths);
  }
  const groups = [...byOwner].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const lines = groups.flatMap(([owner, paths]) => [`conflicts with ${owner}:`, ...paths]);
  return `Apply failed with ${String(conflicts.length)} conflicts: ${lines.join("\n")}`;
}

function ownerText({ manager, subresource, operation, apiVersion }: Owner): string {
  const quoted = JSON.stringify(manager);
  const name =
    subresource === "" ? quoted : `${quoted} with subresource ${JSON.stringify(subresource)}`;
  return operation === "Update" ? `${name} using ${apiVersion}` : name;
}
