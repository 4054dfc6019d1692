import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultPod } from "./pod.defaults.ts";
import type { Pod } from "./pod.ts";

function defaulted(spec: object): Pod {
  const object = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec };
  // Bodies are not yet what their type says; that is what defaults are for.
  return defaultPod(object as Pod);
}
const container = (fields: object) =>
  defaulted({ containers: [{ name: "c", ...fields }] }).spec.containers[0];
const volume = (fields: object) =>
  defaulted({ containers: [], volumes: [{ name: "v", ...fields }] }).spec.volumes?.[0];

describe("defaultPod()", () => {
  it("completes a plain Pod", () => {
    assert.deepEqual(defaulted({ containers: [{ name: "c", image: "web:1" }] }).spec, {
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      terminationGracePeriodSeconds: 30,
      schedulerName: "default-scheduler",
      securityContext: {},
      enableServiceLinks: true,
      containers: [
        {
          name: "c",
          image: "web:1",
          imagePullPolicy: "IfNotPresent",
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
    });
  });

  it("keeps explicit zeros", () => {
    const { spec } = defaulted({
      containers: [],
      terminationGracePeriodSeconds: 0,
      enableServiceLinks: false,
    });
    assert.equal(spec.terminationGracePeriodSeconds, 0);
    assert.equal(spec.enableServiceLinks, false);
  });

  it("chooses the pull policy by the tag", () => {
    const policy = (image: string) => container({ image })?.imagePullPolicy;
    assert.equal(policy("web"), "Always");
    assert.equal(policy("web:latest"), "Always");
    assert.equal(policy("registry:5000/web"), "Always");
    assert.equal(policy("registry:5000/web:1"), "IfNotPresent");
    assert.equal(policy("web@sha256:0a"), "IfNotPresent");
    assert.equal(container({ command: ["x"] })?.imagePullPolicy, undefined);
  });

  it("completes probes and hooks", () => {
    const httpGet = { port: 80 };
    const filled = { httpGet: { port: 80, path: "/", scheme: "HTTP" } };
    const timing = {
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    };
    assert.deepEqual(container({ readinessProbe: { httpGet } })?.readinessProbe, {
      ...filled,
      ...timing,
    });
    assert.deepEqual(
      container({ startupProbe: { grpc: { port: 1 }, periodSeconds: 2 } })?.startupProbe,
      {
        grpc: { port: 1, service: "" },
        ...timing,
        periodSeconds: 2,
      },
    );
    assert.deepEqual(container({ lifecycle: { preStop: { httpGet } } })?.lifecycle, {
      preStop: filled,
    });
  });

  it("completes ports, references to fields, and requests", () => {
    assert.deepEqual(container({ ports: [{ containerPort: 80 }] })?.ports, [
      { containerPort: 80, protocol: "TCP" },
    ]);
    const env = [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }];
    assert.deepEqual(container({ env })?.env?.[0]?.valueFrom?.fieldRef, {
      fieldPath: "status.podIP",
      apiVersion: "v1",
    });
    assert.deepEqual(
      container({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } } })
        ?.resources,
      {
        limits: { cpu: "1", memory: "1Gi" },
        requests: { cpu: "500m", memory: "1Gi" },
      },
    );
    const onHost = defaulted({
      hostNetwork: true,
      containers: [{ name: "c", ports: [{ containerPort: 80 }] }],
    });
    assert.equal(onHost.spec.containers[0]?.ports?.[0]?.hostPort, 80);
  });

  it("completes volumes", () => {
    assert.deepEqual(volume({}), { name: "v", emptyDir: {} });
    assert.deepEqual(volume({ configMap: { name: "m" } })?.configMap, {
      name: "m",
      defaultMode: 420,
    });
    assert.deepEqual(volume({ hostPath: { path: "/x" } })?.hostPath, { path: "/x", type: "" });
    const other = { name: "v", gcePersistentDisk: { pdName: "d" } };
    assert.deepEqual(volume(other), other);
    assert.deepEqual(
      volume({ projected: { sources: [{ serviceAccountToken: { path: "t" } }] } })?.projected,
      {
        defaultMode: 420,
        sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 3600 } }],
      },
    );
  });

  it("keeps both names of the service account in step", () => {
    const { spec } = defaulted({ containers: [], serviceAccount: "old" });
    assert.deepEqual([spec.serviceAccountName, spec.serviceAccount], ["old", "old"]);
  });

  it("changes nothing more when applied again", () => {
    const once = defaulted({
      hostNetwork: true,
      containers: [
        {
          name: "c",
          image: "w",
          ports: [{ containerPort: 1 }],
          livenessProbe: { grpc: { port: 2 } },
        },
      ],
      volumes: [{ name: "v" }, { name: "s", secret: { secretName: "s" } }],
    });
    assert.deepEqual(defaultPod(once), once);
  });
});
