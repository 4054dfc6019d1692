import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clusterRoleKind } from "../../src/api/rbac/rbac.kinds.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { serviceAccountKind } from "../../src/api/v1/serviceaccount.kind.ts";
import { startAggregationController } from "../../src/controllers/clusterrole-aggregation.ts";
import { startServiceAccountController } from "../../src/controllers/serviceaccount.ts";
import { startControlPlane } from "./control-plane.ts";

describe("the ServiceAccount controller", () => {
  it("gives each namespace its account and the root certificate, and gives them back", async () => {
    await using plane = await startControlPlane();
    const deps = { ...plane.deps, rootCertificate: "PEM" };
    await using _controller = startServiceAccountController(deps);
    await plane.client.create(namespaceKind, { metadata: { name: "web" } });
    const has = (
      items: readonly { metadata: { namespace?: string | undefined; name: string } }[],
    ) => items.some(({ metadata }) => metadata.namespace === "web");
    await plane.until(serviceAccountKind, has);
    const [map] = (await plane.until(configMapKind, has)).filter(
      ({ metadata }) => metadata.namespace === "web",
    );
    assert.equal(map?.metadata.name, "kube-root-ca.crt");
    assert.deepEqual(map.data, { "ca.crt": "PEM" });
    const ref = { namespace: "web", name: "default" };
    const { metadata } = await plane.client.get(serviceAccountKind, ref);
    await plane.client.delete(serviceAccountKind, ref);
    await plane.until(serviceAccountKind, (accounts) =>
      accounts.some((one) => one.metadata.namespace === "web" && one.metadata.uid !== metadata.uid),
    );
    await plane.client.update(configMapKind, { ...map, data: { "ca.crt": "other" } });
    await plane.until(configMapKind, (maps) =>
      maps.some(
        (one) =>
          one.metadata.namespace === "web" &&
          one.data?.["ca.crt"] === "PEM" &&
          one.metadata.resourceVersion !== map.metadata.resourceVersion,
      ),
    );
  });
});

describe("the aggregation controller", () => {
  it("writes what the selected roles allow, and follows them", async () => {
    await using plane = await startControlPlane();
    await using _controller = startAggregationController(plane.deps);
    const resources = (wanted: string) =>
      plane.until(clusterRoleKind, (roles) =>
        roles.some(
          ({ metadata, rules = [] }) =>
            metadata.name === "whole" &&
            rules.flatMap((rule) => rule.resources ?? []).join() === wanted,
        ),
      );
    const part = (name: string, resource: string) => ({
      metadata: { name, labels: { to: "whole" } },
      rules: [{ verbs: ["get"], apiGroups: [""], resources: [resource] }],
    });
    await plane.client.create(clusterRoleKind, {
      metadata: { name: "whole" },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: "whole" } }] },
    });
    await plane.client.create(clusterRoleKind, part("b", "pods"));
    await resources("pods");
    await plane.client.create(clusterRoleKind, part("a", "nodes"));
    await resources("nodes,pods");
    await plane.client.delete(clusterRoleKind, { name: "b" });
    await resources("nodes");
  });
});
