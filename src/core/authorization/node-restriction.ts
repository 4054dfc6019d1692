import { deepEqual } from "../../api/machinery/json.ts";
import type { KubernetesObject } from "../../api/machinery/metadata.ts";
import type { Node } from "../../api/v1/node.ts";

/** Labels of this prefix say where a Pod may be put, so no node gives them to itself. */
const RESTRICTED_LABELS = "node-restriction.kubernetes.io/";

/**
 * Why a node's agent may not write an object with this content; undefined: it may. What can be told by name
 * alone, the node authorizer has looked at. Source: upstream `plugin/pkg/admission/noderestriction`.
 */
export function nodeWriteProblem(
  node: string,
  resource: string,
  object: KubernetesObject,
  old: KubernetesObject | undefined,
): string | undefined {
  const who = `node ${JSON.stringify(node)}`;
  const { name, labels } = object.metadata;
  switch (resource) {
    case "nodes": {
      if (name !== node) return `${who} is not allowed to modify node ${JSON.stringify(name)}`;
      // The resource is nodes.
      const [taints, before] = [object as Node, old as Node | undefined].map(
        (one) => one?.spec?.taints ?? [],
      );
      if (old !== undefined && !deepEqual(taints, before)) {
        return `${who} is not allowed to modify taints`;
      }
      const changed = restricted(labels, old?.metadata.labels);
      return changed.length === 0
        ? undefined
        : `${who} is not allowed to modify labels: ${changed.join(", ")}`;
    }
    case "pods":
      return deepEqual(labels ?? {}, old?.metadata.labels ?? {})
        ? undefined
        : `${who} cannot update labels through pod status`;
    case "leases.coordination.k8s.io":
      return name === node ? undefined : `${who} may only write the lease of its own name`;
    default:
      return undefined;
  }
}

type Labels = Readonly<Record<string, string>>;

function restricted(now: Labels = {}, before: Labels = {}): readonly string[] {
  return [...new Set([...Object.keys(now), ...Object.keys(before)])]
    .filter((key) => key.startsWith(RESTRICTED_LABELS) && now[key] !== before[key])
    .toSorted();
}
