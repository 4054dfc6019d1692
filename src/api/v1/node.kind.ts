import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { Column, KindDefinition } from "../machinery/kind.ts";
import { keepAllButStatus, keepStatus, PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { node } from "./node.ts";
import type { Node } from "./node.ts";
import { validateNode, validateNodeUpdate } from "./node.validation.ts";

/** The old field stays in step with the list. */
function defaultNode(object: Node): Node {
  const filled = withZeroValues(node, object);
  const { podCIDR = "", podCIDRs = [] } = filled.spec;
  const ranges = podCIDRs.length === 0 && podCIDR !== "" ? [podCIDR] : podCIDRs;
  const [first] = ranges;
  return first === undefined
    ? filled
    : { ...filled, spec: { ...filled.spec, podCIDR: first, podCIDRs: ranges } };
}

const ROLE_PREFIX = "node-role.kubernetes.io/";
const ROLE_LABEL = "kubernetes.io/role";

const wide = (name: string, description: string, cell: (object: Node) => string): Column<Node> => ({
  name,
  type: "string",
  description,
  priority: 1,
  cell,
});

const columns: readonly Column<Node>[] = [
  NAME_COLUMN,
  {
    name: "Status",
    type: "string",
    description: "Whether the node is ready, and takes new Pods.",
    priority: 0,
    cell: formatStatus,
  },
  {
    name: "Roles",
    type: "string",
    description: "What the node is for, from its labels.",
    priority: 0,
    cell: formatRoles,
  },
  AGE_COLUMN,
  {
    name: "Version",
    type: "string",
    description: "Version of the node's agent.",
    priority: 0,
    cell: (object) => object.status?.nodeInfo?.kubeletVersion ?? "",
  },
  wide("Internal-IP", "Address inside the cluster.", (object) => addressOf(object, "InternalIP")),
  wide("External-IP", "Address outside the cluster.", (object) => addressOf(object, "ExternalIP")),
  wide(
    "OS-Image",
    "Operating system.",
    (object) => object.status?.nodeInfo?.osImage || "<unknown>",
  ),
  wide(
    "Kernel-Version",
    "Version of the kernel.",
    (object) => object.status?.nodeInfo?.kernelVersion || "<unknown>",
  ),
  wide(
    "Container-Runtime",
    "What runs the containers.",
    (object) => object.status?.nodeInfo?.containerRuntimeVersion || "<unknown>",
  ),
];

function formatStatus(object: Node): string {
  const ready = object.status?.conditions?.find((condition) => condition.type === "Ready");
  const words = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (object.spec.unschedulable === true) words.push("SchedulingDisabled");
  return words.join(",");
}

function formatRoles(object: Node): string {
  const roles = Object.entries(object.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX)) return [key.slice(ROLE_PREFIX.length)];
    return key === ROLE_LABEL ? [value] : [];
  });
  const named = [...new Set(roles)].filter((role) => role !== "").toSorted();
  return named.length === 0 ? "<none>" : named.join(",");
}

function addressOf(object: Node, type: string): string {
  return object.status?.addresses?.find((entry) => entry.type === type)?.address ?? "<none>";
}

export const nodeKind: KindDefinition<Node> = {
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  schema: node,
  columns,
  selectableFields: [
    { path: "spec.unschedulable", value: (object) => String(object.spec.unschedulable ?? false) },
  ],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: defaultNode,
    // Unlike elsewhere a create brings the status: agents register their node with it.
    prepareForUpdate: keepStatus,
    prepareForStatusUpdate: keepAllButStatus,
    validateCreate: validateNode,
    validateUpdate: validateNodeUpdate,
    validateStatusUpdate: validateNode,
  },
};
