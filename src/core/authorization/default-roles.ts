import type { PolicyRule } from "../../api/rbac/rule.ts";
import { READ, WRITE, pathRule, rule } from "./default-rules.ts";
import { NODE_RULES } from "./node.ts";

/** A ClusterRole that every cluster has. */
export interface DefaultRole {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** For the roles that users are given; see `aggregates`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Consists of the roles that have this label. */
  readonly aggregates?: string;
}

/** A ClusterRoleBinding that every cluster has. */
export interface DefaultBinding {
  readonly name: string;
  readonly role: string;
  readonly groups?: readonly string[];
  readonly users?: readonly string[];
  /** ServiceAccounts in kube-system. */
  readonly accounts?: readonly string[];
}

const ALL = ["*"];
const EVENTS = rule(["create", "patch", "update"], ["", "events.k8s.io"], ["events"]);
const RBAC = ["rbac.authorization.k8s.io"];
const AUTHENTICATED = "system:authenticated";

function aggregateTo(role: string): Readonly<Record<string, string>> {
  return { [`rbac.authorization.k8s.io/aggregate-to-${role}`]: "true" };
}

/** What may be seen of an application; no Secrets, since they let one act as others. */
const VIEWED: readonly (readonly [group: string, resources: readonly string[]])[] = [
  [
    "",
    [
      "pods",
      "replicationcontrollers",
      "replicationcontrollers/scale",
      "serviceaccounts",
      "services",
      "services/status",
      "endpoints",
      "persistentvolumeclaims",
      "persistentvolumeclaims/status",
      "configmaps",
      "limitranges",
      "resourcequotas",
      "bindings",
      "events",
      "pods/status",
      "resourcequotas/status",
      "namespaces/status",
      "replicationcontrollers/status",
      "pods/log",
      "namespaces",
    ],
  ],
  ["discovery.k8s.io", ["endpointslices"]],
  [
    "apps",
    [
      "controllerrevisions",
      "statefulsets",
      "statefulsets/status",
      "statefulsets/scale",
      "daemonsets",
      "daemonsets/status",
      "deployments",
      "deployments/status",
      "deployments/scale",
      "replicasets",
      "replicasets/status",
      "replicasets/scale",
    ],
  ],
  ["autoscaling", ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]],
  ["batch", ["jobs", "cronjobs", "cronjobs/status", "jobs/status"]],
  ["policy", ["poddisruptionbudgets", "poddisruptionbudgets/status"]],
  ["networking.k8s.io", ["networkpolicies", "ingresses", "ingresses/status"]],
];

/** What may be changed of an application. */
const EDITED: readonly (readonly [group: string, resources: readonly string[]])[] = [
  ["", ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]],
  [
    "",
    [
      "replicationcontrollers",
      "replicationcontrollers/scale",
      "serviceaccounts",
      "services",
      "services/proxy",
      "endpoints",
      "persistentvolumeclaims",
      "configmaps",
      "secrets",
      "events",
    ],
  ],
  [
    "apps",
    [
      "statefulsets",
      "statefulsets/scale",
      "daemonsets",
      "deployments",
      "deployments/scale",
      "deployments/rollback",
      "replicasets",
      "replicasets/scale",
    ],
  ],
  ["autoscaling", ["horizontalpodautoscalers"]],
  ["batch", ["jobs", "cronjobs"]],
  ["policy", ["poddisruptionbudgets"]],
  ["networking.k8s.io", ["networkpolicies", "ingresses"]],
];

/**
 * Upstream's default ClusterRoles, as far as they speak of what there is here. Source: kubernetes
 * `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`.
 */
export const DEFAULT_ROLES: readonly DefaultRole[] = [
  {
    name: "cluster-admin",
    rules: [rule(ALL, ALL, ALL), { verbs: ALL, nonResourceURLs: ALL }],
  },
  { name: "admin", rules: [], aggregates: "admin" },
  { name: "edit", rules: [], aggregates: "edit", labels: aggregateTo("admin") },
  { name: "view", rules: [], aggregates: "view", labels: aggregateTo("edit") },
  {
    name: "system:aggregate-to-admin",
    labels: aggregateTo("admin"),
    rules: [
      rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
      rule([...WRITE, ...READ], RBAC, ["roles", "rolebindings"]),
    ],
  },
  {
    name: "system:aggregate-to-edit",
    labels: aggregateTo("edit"),
    rules: [
      rule(
        READ,
        [""],
        ["pods/attach", "pods/proxy", "pods/exec", "pods/portforward", "secrets", "services/proxy"],
      ),
      rule(["impersonate"], [""], ["serviceaccounts"]),
      ...EDITED.map(([group, resources]) => rule(WRITE, [group], resources)),
      rule(["create"], [""], ["pods/eviction", "serviceaccounts/token"]),
      rule([...WRITE, ...READ], ["coordination.k8s.io"], ["leases"]),
    ],
  },
  {
    name: "system:aggregate-to-view",
    labels: aggregateTo("view"),
    rules: VIEWED.map(([group, resources]) => rule(READ, [group], resources)),
  },
  {
    name: "system:discovery",
    rules: [
      pathRule(
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
      ),
    ],
  },
  {
    name: "system:public-info-viewer",
    rules: [pathRule("/healthz", "/livez", "/readyz", "/version", "/version/")],
  },
  {
    name: "system:basic-user",
    rules: [
      rule(
        ["create"],
        ["authorization.k8s.io"],
        ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
      ),
      rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]),
    ],
  },
  {
    name: "system:monitoring",
    rules: [
      pathRule(
        "/healthz",
        "/healthz/*",
        "/livez",
        "/livez/*",
        "/metrics",
        "/metrics/slis",
        "/readyz",
        "/readyz/*",
      ),
    ],
  },
  {
    name: "system:service-account-issuer-discovery",
    rules: [pathRule("/.well-known/openid-configuration", "/openid/v1/jwks")],
  },
  {
    name: "system:auth-delegator",
    rules: [
      rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
      rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]),
    ],
  },
  {
    name: "system:node",
    rules: [
      ...NODE_RULES,
      rule(["create", ...READ], [""], ["nodes"]),
      rule(["patch", "update"], [""], ["nodes/status", "nodes"]),
      rule([...READ, "create", "delete"], [""], ["pods"]),
      rule(["patch", "update"], [""], ["pods/status"]),
      rule(READ, [""], ["configmaps", "secrets"]),
      rule(["create", "delete", "get", "patch", "update"], ["coordination.k8s.io"], ["leases"]),
      rule(["create"], [""], ["serviceaccounts/token"]),
      rule(["get"], [""], ["serviceaccounts"]),
    ],
  },
  {
    name: "system:node-proxier",
    rules: [
      rule(["list", "watch"], [""], ["endpoints", "services"]),
      rule(READ, [""], ["nodes"]),
      EVENTS,
      rule(["list", "watch"], ["discovery.k8s.io"], ["endpointslices"]),
      rule(["list", "watch"], ["networking.k8s.io"], ["servicecidrs"]),
    ],
  },
  {
    name: "system:kube-dns",
    rules: [rule(["list", "watch"], [""], ["endpoints", "services"])],
  },
  {
    name: "system:controller:clusterrole-aggregation-controller",
    rules: [rule(["escalate", "get", "list", "patch", "update", "watch"], RBAC, ["clusterroles"])],
  },
  {
    name: "system:controller:endpoint-controller",
    rules: [
      rule(READ, [""], ["pods", "services"]),
      rule(["create", "delete", "get", "list", "update"], [""], ["endpoints"]),
      rule(["create"], [""], ["endpoints/restricted"]),
      EVENTS,
    ],
  },
  {
    name: "system:controller:endpointslice-controller",
    rules: [
      rule(READ, [""], ["nodes", "pods", "services"]),
      rule(["update"], [""], ["services/finalizers"]),
      rule(["create", "delete", "get", "list", "update"], ["discovery.k8s.io"], ["endpointslices"]),
      rule(["create"], ["discovery.k8s.io"], ["endpointslices/restricted"]),
      EVENTS,
    ],
  },
  {
    name: "system:controller:namespace-controller",
    rules: [
      rule(["delete", "get", "list", "watch"], [""], ["namespaces"]),
      rule(["update"], [""], ["namespaces/finalize", "namespaces/status"]),
      rule(["delete", "deletecollection", "get", "list"], ALL, ALL),
    ],
  },
  {
    name: "system:controller:node-controller",
    rules: [
      rule(["delete", "get", "list", "patch", "update"], [""], ["nodes"]),
      rule(["patch", "update"], [""], ["nodes/status", "pods/status"]),
      rule(["delete", "list", "get"], [""], ["pods"]),
      EVENTS,
    ],
  },
  {
    name: "system:controller:root-ca-cert-publisher",
    rules: [rule(["create", "update"], [""], ["configmaps"]), EVENTS],
  },
  {
    name: "system:controller:service-account-controller",
    rules: [rule(["create"], [""], ["serviceaccounts"]), EVENTS],
  },
  {
    name: "system:controller:service-controller",
    rules: [
      rule(READ, [""], ["services"]),
      rule(["patch", "update"], [""], ["services/status"]),
      rule(["list", "watch"], [""], ["nodes"]),
      EVENTS,
    ],
  },
];

/** Who has these roles from the start. Controllers have them as accounts in kube-system. */
export const DEFAULT_BINDINGS: readonly DefaultBinding[] = [
  { name: "cluster-admin", role: "cluster-admin", groups: ["system:masters"] },
  { name: "system:discovery", role: "system:discovery", groups: [AUTHENTICATED] },
  { name: "system:basic-user", role: "system:basic-user", groups: [AUTHENTICATED] },
  {
    name: "system:public-info-viewer",
    role: "system:public-info-viewer",
    groups: [AUTHENTICATED, "system:unauthenticated"],
  },
  { name: "system:monitoring", role: "system:monitoring", groups: ["system:monitoring"] },
  {
    name: "system:service-account-issuer-discovery",
    role: "system:service-account-issuer-discovery",
    groups: ["system:serviceaccounts"],
  },
  // Nodes have their own authorizer; the binding is for clusters that add to it.
  { name: "system:node", role: "system:node" },
  { name: "system:node-proxier", role: "system:node-proxier", users: ["system:kube-proxy"] },
  { name: "system:kube-dns", role: "system:kube-dns", accounts: ["kube-dns"] },
  ...DEFAULT_ROLES.filter(({ name }) => name.startsWith("system:controller:")).map(({ name }) => ({
    name,
    role: name,
    accounts: [name.slice("system:controller:".length)],
  })),
];
