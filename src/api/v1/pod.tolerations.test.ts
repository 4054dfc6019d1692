import assert from "node:assert/strict";
import { it } from "node:test";
import { withDefaultTolerations } from "./pod.tolerations.ts";
import type { Toleration } from "./taint.ts";

it("withDefaultTolerations() adds what the Pod does not say about nodes that are not ready", () => {
  const keys = (tolerations?: readonly Toleration[]): readonly string[] => {
    const spec = { containers: [{ name: "c" }], ...(tolerations && { tolerations }) };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec } as const;
    const given = withDefaultTolerations(pod).spec.tolerations ?? [];
    return given.map(({ key = "", tolerationSeconds }) => `${key}=${String(tolerationSeconds)}`);
  };
  const notReady = "node.kubernetes.io/not-ready";
  const unreachable = "node.kubernetes.io/unreachable";
  assert.deepEqual(keys(), [`${notReady}=300`, `${unreachable}=300`]);
  const own = { key: notReady, operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 };
  assert.deepEqual(keys([own]), [`${notReady}=5`, `${unreachable}=300`]);
  assert.deepEqual(keys([{ operator: "Exists" }]), ["=undefined"]);
  assert.deepEqual(keys([{ key: unreachable, operator: "Exists", effect: "NoSchedule" }]), [
    `${unreachable}=undefined`,
    `${notReady}=300`,
    `${unreachable}=300`,
  ]);
});
