import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { resourceAttributes } from "./attributes.ts";
import { nodeWriteProblem } from "./node-restriction.ts";
import { authorizeNode, nodeNameOf } from "./node.ts";

function pod(name: string, nodeName: string, spec: object): Pod {
  // Only what the authorizer looks at.
  return { metadata: { name, namespace: "web" }, spec: { nodeName, ...spec } } as unknown as Pod;
}

const PODS: readonly Pod[] = [
  pod("mine", "n1", {
    serviceAccountName: "app",
    imagePullSecrets: [{ name: "pull" }],
    volumes: [
      { name: "v", secret: { secretName: "volume" } },
      { name: "c", configMap: { name: "files" } },
      { name: "p", projected: { sources: [{ secret: { name: "part" } }] } },
    ],
    containers: [
      {
        name: "c",
        env: [{ name: "E", valueFrom: { secretKeyRef: { name: "variable", key: "k" } } }],
        envFrom: [{ configMapRef: { name: "all" } }],
      },
    ],
  }),
  pod("theirs", "n2", { containers: [{ name: "c", envFrom: [{ secretRef: { name: "other" } }] }] }),
];
const FACTS = {
  pod: (_: string, name: string) => PODS.find(({ metadata }) => metadata.name === name),
  pods: (namespace: string) => (namespace === "web" ? PODS : []),
};
const N1 = { name: "system:node:n1", groups: ["system:nodes"] };

/** `VERB GROUP/RESOURCE[/SUBRESOURCE] [NAMESPACE/]NAME`, with `-` for none. */
function allows(text: string, selects: ReadonlyMap<string, string> = new Map()): boolean {
  const [verb = "", what = "", which = "-"] = text.split(" ");
  const [group = "", resource = "", subresource = ""] = what.split("/");
  const [first = "", second] = which.split("/");
  const [namespace, name] = second === undefined ? ["", first] : [first, second];
  const wanted = { verb, group, resource, subresource, namespace, name: name === "-" ? "" : name };
  return authorizeNode(FACTS, N1, resourceAttributes({ ...wanted, selects })).kind === "allow";
}

describe("authorizeNode()", () => {
  const allowed = [
    "get /secrets web/pull",
    "get /secrets web/volume",
    "get /secrets web/part",
    "watch /secrets web/variable",
    "get /configmaps web/files",
    "list /configmaps web/all",
    "get /serviceaccounts web/app",
    "create /serviceaccounts/token web/app",
    "get /pods web/mine",
    "delete /pods web/mine",
    "patch /pods/status web/mine",
    "get /nodes n1",
    "create /nodes -",
    "patch /nodes/status n1",
    "update coordination.k8s.io/leases kube-node-lease/n1",
    "create coordination.k8s.io/leases kube-node-lease/-",
    "list /services -",
    "create /events web/-",
  ];
  for (const text of allowed) it(`lets a node ${text}`, () => assert.ok(allows(text)));

  const refused = [
    "get /secrets web/other",
    "get /secrets db/volume",
    "list /secrets web/-",
    "list /secrets -",
    "update /secrets web/volume",
    "get /configmaps web/pull",
    "create /serviceaccounts/token web/default",
    "delete /serviceaccounts web/app",
    "get /pods web/theirs",
    "delete /pods web/theirs",
    "patch /pods/status web/theirs",
    "patch /pods web/mine",
    "create /pods web/-",
    "list /pods -",
    "deletecollection /pods web/-",
    "get /nodes n2",
    "patch /nodes n2",
    "patch /nodes/status n2",
    "delete /nodes n1",
    "get coordination.k8s.io/leases kube-node-lease/n2",
    "get coordination.k8s.io/leases web/n1",
    "create /services web/-",
    "list rbac.authorization.k8s.io/roles -",
  ];
  for (const text of refused) it(`does not let a node ${text}`, () => assert.ok(!allows(text)));

  it("lets a node list and watch its own Pods alone", () => {
    for (const verb of ["list", "watch"]) {
      assert.ok(allows(`${verb} /pods -`, new Map([["spec.nodeName", "n1"]])));
      assert.ok(!allows(`${verb} /pods -`, new Map([["spec.nodeName", "n2"]])));
    }
  });

  it("knows nodes by group and name, and has no opinion on others", () => {
    assert.equal(nodeNameOf(N1), "n1");
    assert.equal(nodeNameOf({ ...N1, groups: [] }), undefined);
    assert.equal(nodeNameOf({ ...N1, name: "n1" }), undefined);
    assert.equal(nodeNameOf({ ...N1, name: "system:node:" }), undefined);
    const wanted = resourceAttributes({ verb: "get", group: "", resource: "nodes", name: "n1" });
    assert.deepEqual(authorizeNode(FACTS, { name: "n1", groups: [] }, wanted), {
      kind: "no-opinion",
      reason: "",
    });
  });
});

describe("nodeWriteProblem()", () => {
  const node = (name: string, more: object = {}) =>
    ({ apiVersion: "v1", kind: "Node", metadata: { name, ...more } }) as Node;

  it("keeps a node to its own Node, and from its taints and restricted labels", () => {
    assert.equal(nodeWriteProblem("n1", "nodes", node("n1"), undefined), undefined);
    assert.equal(
      nodeWriteProblem("n1", "nodes", node("n2"), undefined),
      'node "n1" is not allowed to modify node "n2"',
    );
    const tainted = { ...node("n1"), spec: { taints: [{ key: "a", effect: "NoSchedule" }] } };
    assert.match(
      nodeWriteProblem("n1", "nodes", node("n1"), tainted as Node) ?? "",
      /modify taints/,
    );
    const labels = { "node-restriction.kubernetes.io/zone": "secret" };
    assert.match(
      nodeWriteProblem("n1", "nodes", node("n1", { labels }), node("n1")) ?? "",
      /modify labels: node-restriction.kubernetes.io\/zone/,
    );
  });

  it("keeps a node to its own Lease, and from the labels of Pods", () => {
    const lease = "leases.coordination.k8s.io";
    assert.equal(nodeWriteProblem("n1", lease, node("n1"), undefined), undefined);
    assert.match(nodeWriteProblem("n1", lease, node("n2"), undefined) ?? "", /own name/);
    const labelled = node("p", { labels: { app: "web" } });
    assert.match(nodeWriteProblem("n1", "pods", labelled, node("p")) ?? "", /update labels/);
    assert.equal(nodeWriteProblem("n1", "pods", labelled, labelled), undefined);
  });
});
