import type { Pod } from "../../api/v1/pod.ts";
import { resourceText } from "./attributes.ts";
import type { Attributes, Decision, ResourceAttributes, Subject } from "./attributes.ts";
import { READ, WRITE, rule } from "./default-rules.ts";
import { referenceOf } from "./pod-references.ts";
import { ruleAllows } from "./rules.ts";

const NODES_GROUP = "system:nodes";
const NODE_PREFIX = "system:node:";
const LEASE_NAMESPACE = "kube-node-lease";

/** What the node authorizer must know of the cluster. */
export interface NodeFacts {
  pod(namespace: string, name: string): Pod | undefined;
  /** Those of a namespace, on any node. */
  pods(namespace: string): Iterable<Pod>;
}

/** What every node may do, whichever Pods it has. Source: upstream `bootstrappolicy:NodeRules`. */
export const NODE_RULES = [
  rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
  rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews", "localsubjectaccessreviews"]),
  rule(READ, [""], ["services"]),
  rule(["create", "patch", "update"], ["", "events.k8s.io"], ["events"]),
];

/** The node that a user is the agent of; undefined for all others. */
export function nodeNameOf(user: Subject): string | undefined {
  if (!user.groups.includes(NODES_GROUP) || !user.name.startsWith(NODE_PREFIX)) return undefined;
  return user.name.slice(NODE_PREFIX.length) || undefined;
}

/**
 * Whether a node's agent may do something: it reads what its Pods refer to, and writes its own Node, its Lease
 * and the status of its Pods. No opinion on users that are no node. Source: upstream
 * `plugin/pkg/auth/authorizer/node`.
 */
export function authorizeNode(facts: NodeFacts, user: Subject, attributes: Attributes): Decision {
  const node = nodeNameOf(user);
  if (node === undefined) return noOpinion("");
  if (attributes.kind === "resource") {
    const problem = problemOf(facts, node, attributes);
    if (problem !== undefined) return problem === "" ? ALLOWED : noOpinion(problem);
  }
  return NODE_RULES.some((one) => ruleAllows(one, attributes)) ? ALLOWED : noOpinion("");
}

const ALLOWED: Decision = { kind: "allow", reason: "" };

function noOpinion(reason: string): Decision {
  return { kind: "no-opinion", reason };
}

/** "" where it is allowed; undefined where the general rules decide. */
function problemOf(
  facts: NodeFacts,
  node: string,
  attributes: ResourceAttributes,
): string | undefined {
  switch (`${attributes.group}/${resourceText(attributes)}`) {
    case "/secrets":
    case "/configmaps":
      return READ.includes(attributes.verb)
        ? referred(facts, node, attributes)
        : "can only read resources of this type";
    case "/serviceaccounts":
      return attributes.verb === "get"
        ? referred(facts, node, attributes)
        : "can only get individual resources of this type";
    case "/serviceaccounts/token":
      return attributes.verb === "create"
        ? referred(facts, node, attributes)
        : "can only create tokens for individual service accounts";
    case "/pods":
    case "/pods/status":
      return podProblem(facts, node, attributes);
    case "/nodes":
    case "/nodes/status":
      return nodeProblem(node, attributes);
    case "coordination.k8s.io/leases":
      return leaseProblem(node, attributes);
    default:
      return undefined;
  }
}

function unrelated(node: string): string {
  return `no relationship found between node '${node}' and this object`;
}

/** Whether a Pod of the node refers to the object. */
function referred(facts: NodeFacts, node: string, attributes: ResourceAttributes): string {
  const { namespace, resource, name } = attributes;
  if (namespace === "") return "can only read namespaced object of this type";
  if (name === "") return "No Object name found";
  for (const pod of facts.pods(namespace)) {
    if (pod.spec?.nodeName === node && referenceOf(pod, resource, name)) return "";
  }
  return unrelated(node);
}

function podProblem(facts: NodeFacts, node: string, attributes: ResourceAttributes): string {
  const { verb, namespace, name, subresource, selects } = attributes;
  if (name === "") {
    const isRead = subresource === "" && (verb === "list" || verb === "watch");
    return isRead && selects.get("spec.nodeName") === node
      ? ""
      : "can only list/watch pods with spec.nodeName field selector";
  }
  const verbs = subresource === "" ? ["get", "list", "watch", "delete"] : ["get", ...WRITE];
  if (!verbs.includes(verb)) return `cannot ${verb} resources of this type`;
  return facts.pod(namespace, name)?.spec?.nodeName === node ? "" : unrelated(node);
}

function nodeProblem(node: string, { verb, name, subresource }: ResourceAttributes): string {
  const verbs =
    subresource === "" ? [...READ, "create", "update", "patch"] : ["get", "update", "patch"];
  if (!verbs.includes(verb)) return `cannot ${verb} resources of this type`;
  // The name of what is created is in the body, which node-restriction.ts looks at.
  if (verb === "create") return "";
  return name === node ? "" : `node '${node}' cannot ${verb} all nodes, only its own Node object`;
}

function leaseProblem(node: string, { verb, namespace, name }: ResourceAttributes): string {
  if (!["get", "create", "update", "patch", "delete"].includes(verb)) {
    return "can only get, create, update, patch, or delete a node lease";
  }
  if (namespace !== LEASE_NAMESPACE) {
    return `can only access leases in the "${LEASE_NAMESPACE}" system namespace`;
  }
  if (verb === "create" && name === "") return "";
  return name === node
    ? ""
    : "can only access node lease with the same name as the requesting node";
}
