import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultPod } from "./pod.defaults.ts";
import { podKind } from "./pod.kind.ts";
import type { Pod } from "./pod.ts";
import { validatePodUpdate } from "./pod-update.validation.ts";
import { validatePod } from "./pod.validation.ts";

const C = { name: "c", image: "web:1" };

function pod(spec: object = {}, container: object = {}): Pod {
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default" },
    spec: { containers: [{ ...C, ...container }], ...spec },
  };
  // Tests put in what clients may send, not what the type allows.
  return defaultPod(object as Pod);
}
const texts = (errors: ReturnType<typeof validatePod>): readonly string[] =>
  errors.map((error) => `${error.field}: ${error.message}`);
const c = "spec.containers[0]";

describe("validatePod()", () => {
  it("accepts what is right", () => {
    const good = [
      pod(),
      pod({}, { image: undefined, command: ["server"] }),
      pod(
        {},
        {
          ports: [
            { containerPort: 80, name: "http" },
            { containerPort: 80, protocol: "UDP" },
          ],
        },
      ),
      pod({}, { readinessProbe: { httpGet: { port: "http" }, successThreshold: 2 } }),
      pod(
        {},
        {
          env: [
            { name: "A", value: "1" },
            { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
            { name: "L", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          ],
        },
      ),
      pod({ volumes: [{ name: "v" }] }, { volumeMounts: [{ name: "v", mountPath: "/v" }] }),
      pod({
        initContainers: [
          { ...C, name: "i", restartPolicy: "Always", startupProbe: { exec: { command: ["x"] } } },
        ],
      }),
      pod({
        tolerations: [
          { operator: "Exists" },
          { key: "a", effect: "NoExecute", tolerationSeconds: 1 },
        ],
      }),
    ];
    for (const object of good) assert.deepEqual(texts(validatePod(object)), []);
  });

  const two = { httpGet: { port: 80 }, tcpSocket: { port: 80 } };
  const cases: readonly [Pod, ...string[]][] = [
    [pod({ containers: [] }), "spec.containers: Required value"],
    [pod({}, { name: "" }), `${c}.name: Required value`],
    [pod({ containers: [C, C] }), 'spec.containers[1].name: Duplicate value: "c"'],
    [pod({}, { image: undefined }), `${c}.image: Required value`],
    [
      pod({}, { image: " web" }),
      `${c}.image: Invalid value: " web": must not have leading or trailing whitespace`,
    ],
    [pod({}, { ports: [{ containerPort: 0 }] }), `${c}.ports[0].containerPort: Required value`],
    [
      pod({}, { ports: [{ containerPort: 70_000 }] }),
      `${c}.ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
    ],
    [
      pod(
        {},
        {
          ports: [
            { containerPort: 1, name: "a" },
            { containerPort: 2, name: "a" },
          ],
        },
      ),
      `${c}.ports[1].name: Duplicate value: "a"`,
    ],
    [
      pod(
        {},
        {
          env: [
            { name: "A", valueFrom: { resourceFieldRef: { resource: "limits.gpu" } } },
            {
              name: "B",
              valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "3m" } },
            },
            {
              name: "C",
              valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "5" } },
            },
            {
              name: "D",
              valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "0" } },
            },
            {
              name: "E",
              valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Gi" } },
            },
          ],
        },
      ),
      `${c}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"`,
      `${c}.env[1].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      `${c}.env[2].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource`,
    ],
    [
      pod({}, { livenessProbe: {} }),
      `${c}.livenessProbe: Required value: must specify a handler type`,
    ],
    [
      pod({}, { livenessProbe: two }),
      `${c}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type`,
    ],
    [
      pod({}, { livenessProbe: { exec: { command: ["x"] }, successThreshold: 2 } }),
      `${c}.livenessProbe.successThreshold: Invalid value: 2: must be 1`,
    ],
    [
      pod({}, { livenessProbe: { exec: {}, periodSeconds: -1 } }),
      `${c}.livenessProbe.exec.command: Required value`,
      `${c}.livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0`,
    ],
    [pod({}, { env: [{ name: "" }] }), `${c}.env[0].name: Required value`],
    [
      pod(
        {},
        {
          env: [{ name: "A", value: "1", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
        },
      ),
      `${c}.env[0].valueFrom: Invalid value: "": may not be specified when \`value\` is not empty`,
    ],
    [
      pod({}, { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "" } } }] }),
      `${c}.env[0].valueFrom.secretKeyRef.key: Required value`,
    ],
    [
      pod({}, { volumeMounts: [{ name: "v", mountPath: "/v" }] }),
      `${c}.volumeMounts[0].name: Not found: "v"`,
    ],
    [
      pod(
        { volumes: [{ name: "v", emptyDir: {} }] },
        {
          volumeMounts: [
            { name: "v", mountPath: "/a", subPath: "/etc" },
            { name: "v", mountPath: "/b", subPath: "x/../y" },
            { name: "v", mountPath: "/c", subPath: "x", subPathExpr: "y..z" },
          ],
        },
      ),
      `${c}.volumeMounts.subPath: Invalid value: "/etc": must be a relative path`,
      `${c}.volumeMounts.subPath: Invalid value: "x/../y": must not contain '..'`,
      `${c}.volumeMounts[2].subPathExpr: Invalid value: "y..z": subPathExpr and subPath are mutually exclusive`,
    ],
    [
      pod({ volumes: [{ name: "v", hostPath: { path: "/a/../b" } }] }),
      `spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
    ],
    [
      pod({ volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/" } }] }),
      "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ],
    [
      pod({ volumes: [{ name: "v" }, { name: "v" }] }),
      'spec.volumes[1].name: Duplicate value: "v"',
    ],
    [
      pod({ restartPolicy: "Sometimes" }),
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
    [
      pod({ dnsPolicy: "None" }),
      "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
    ],
    [
      pod({ activeDeadlineSeconds: 0 }),
      "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ],
    [
      pod({ terminationGracePeriodSeconds: -1 }),
      "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ],
    [
      pod({ initContainers: [{ ...C, name: "i", readinessProbe: { tcpSocket: { port: 1 } } }] }),
      "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
    ],
    [
      pod({ tolerations: [{ key: "a", tolerationSeconds: 1 }] }),
      "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
    ],
  ];
  for (const [object, ...expected] of cases) {
    it(`refuses with ${expected[0] ?? ""}`, () => {
      assert.deepEqual(texts(validatePod(object)), expected);
    });
  }
});

describe("validatePodUpdate()", () => {
  const fields = (next: Pod, old: Pod): readonly string[] =>
    validatePodUpdate(next, old).map((error) => error.field);

  it("lets images, deadline and tolerations change", () => {
    const old = pod({ tolerations: [{ operator: "Exists" }] });
    assert.deepEqual(fields(old, old), []);
    assert.deepEqual(
      fields(pod({ tolerations: [{ operator: "Exists" }] }, { image: "web:1.1" }), old),
      [],
    );
    const more = {
      tolerations: [{ operator: "Exists" }, { key: "a", operator: "Exists" }],
      activeDeadlineSeconds: 9,
    };
    assert.deepEqual(fields(pod(more), old), []);
  });

  it("refuses all else", () => {
    const old = pod({ tolerations: [{ operator: "Exists" }], activeDeadlineSeconds: 9 });
    const same = { tolerations: [{ operator: "Exists" }], activeDeadlineSeconds: 9 };
    assert.deepEqual(fields(pod(same, { command: ["x"] }), old), ["spec"]);
    assert.deepEqual(fields(pod({ ...same, hostname: "h" }), old), ["spec"]);
    assert.deepEqual(fields(pod({ ...same, tolerations: [] }), old), ["spec"]);
    assert.deepEqual(fields(pod({ ...same, terminationGracePeriodSeconds: 1 }), old), ["spec"]);
    assert.deepEqual(fields(pod({ ...same, activeDeadlineSeconds: 10 }), old), [
      "spec.activeDeadlineSeconds",
    ]);
    assert.deepEqual(fields(pod({ ...same, containers: [C, { ...C, name: "d" }] }), old), [
      "spec.containers",
    ]);
  });

  it("gives a Pod its node once", () => {
    assert.deepEqual(fields(pod({ nodeName: "local" }), pod()), []);
    assert.deepEqual(fields(pod({ nodeName: "other" }), pod({ nodeName: "local" })), ["spec"]);
    assert.deepEqual(fields(pod(), pod({ nodeName: "local" })), ["spec"]);
  });
});

describe("podKind", () => {
  const { strategy } = podKind;

  it("starts a Pod as Pending, with its class", () => {
    const qos = (resources?: object) =>
      strategy.prepareForCreate({ ...pod({}, { resources }), status: { phase: "Running" } }).status;
    assert.deepEqual(qos(), { phase: "Pending", qosClass: "BestEffort" });
    assert.equal(qos({ requests: { cpu: "1" } })?.qosClass, "Burstable");
    assert.equal(qos({ limits: { cpu: "1", memory: "1Gi" } })?.qosClass, "Guaranteed");
  });

  it("keeps the class and the spec in updates of /status", () => {
    const old = strategy.prepareForCreate(pod());
    const next = { ...pod({ hostname: "h" }), status: { phase: "Running" } as const };
    const prepared = strategy.prepareForStatusUpdate?.(next, old);
    assert.deepEqual(prepared?.status, { phase: "Running", qosClass: "BestEffort" });
    assert.equal(prepared?.spec, old.spec);
  });

  it("gives grace only to Pods that an agent must stop", () => {
    const grace = (object: Pod) => strategy.deleteGraceSeconds?.(object);
    assert.equal(grace(pod()), 0);
    assert.equal(grace(pod({ nodeName: "local" })), 30);
    assert.equal(grace(pod({ nodeName: "local", terminationGracePeriodSeconds: 2 })), 2);
    assert.equal(grace({ ...pod({ nodeName: "local" }), status: { phase: "Failed" } }), 0);
  });
});
