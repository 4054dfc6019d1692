import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { jobKind } from "../batch/job.kind.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { replicationControllerKind } from "../v1/replicationcontroller.kind.ts";
import { daemonSetKind } from "./daemonset.kind.ts";
import { deploymentKind } from "./deployment.kind.ts";
import { replicaSetKind } from "./replicaset.kind.ts";
import { statefulSetKind } from "./statefulset.kind.ts";

type Fields = Readonly<Record<string, unknown>>;

const TEMPLATE = {
  metadata: { labels: { app: "x" } },
  spec: { containers: [{ name: "m", image: "i" }] },
};
const BASE = { selector: { matchLabels: { app: "x" } }, template: TEMPLATE };
const JOB = { template: { spec: { ...TEMPLATE.spec, restartPolicy: "Never" } } };

/** The errors of a create, or of an update of `old`, as kubectl shows them. */
function errorsOf<T extends KubernetesObject>(
  kind: KindDefinition<T>,
  spec: Fields,
  old?: Fields,
): readonly string[] {
  const objectOf = (given: Fields): T => {
    const { strategy } = kind;
    const metadata = { name: "x", namespace: "default", uid: "u" };
    // What a client sent, decoded: the kind's own rules judge it.
    const object = { apiVersion: "v1", kind: kind.kind, metadata, spec: given } as unknown as T;
    return strategy.prepareForCreate(strategy.defaults(object));
  };
  const errors =
    old === undefined
      ? kind.strategy.validateCreate(objectOf(spec))
      : kind.strategy.validateUpdate(objectOf(spec), objectOf(old));
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

const rolling = (maxUnavailable: unknown, maxSurge: unknown): Fields => ({
  ...BASE,
  strategy: { rollingUpdate: { maxUnavailable, maxSurge } },
});
const daemons = (maxUnavailable: unknown, maxSurge: unknown): Fields => ({
  ...BASE,
  updateStrategy: { rollingUpdate: { maxUnavailable, maxSurge } },
});
const withPodSpec = (spec: Fields): Fields => ({
  ...BASE,
  template: { ...TEMPLATE, spec: { ...TEMPLATE.spec, ...spec } },
});

type Case = readonly [kind: KindDefinition, spec: Fields, errors: readonly string[]];

// The types of kinds are forgotten: each case gives a kind what it may get from a client.
const CASES: readonly Case[] = [
  [deploymentKind, BASE, []],
  [
    deploymentKind,
    { ...BASE, replicas: -1 },
    ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
  ],
  [deploymentKind, { template: TEMPLATE }, ["spec.selector: Required value"]],
  [
    deploymentKind,
    { ...BASE, selector: { matchLabels: { app: "y" } } },
    [
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
  ],
  [
    deploymentKind,
    { ...BASE, strategy: { type: "Blue" } },
    [
      'spec.strategy.type: Unsupported value: "Blue": supported values: "Recreate", "RollingUpdate"',
    ],
  ],
  [
    deploymentKind,
    { ...BASE, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
    [
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
  ],
  [
    deploymentKind,
    rolling(0, 0),
    [
      "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ],
  ],
  [
    deploymentKind,
    rolling("101%", 1),
    [
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
    ],
  ],
  [
    deploymentKind,
    { ...BASE, minReadySeconds: 10, progressDeadlineSeconds: 10 },
    ["spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds"],
  ],
  [
    deploymentKind,
    withPodSpec({ restartPolicy: "Never" }),
    ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    replicaSetKind,
    withPodSpec({ activeDeadlineSeconds: 5 }),
    [
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ],
  ],
  [
    replicationControllerKind,
    { template: TEMPLATE, selector: { app: "y" } },
    [
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
  ],
  [statefulSetKind, { ...BASE, serviceName: "s" }, []],
  [
    statefulSetKind,
    { ...BASE, podManagementPolicy: "Wild" },
    ["spec.podManagementPolicy: Invalid value: \"Wild\": must be 'OrderedReady' or 'Parallel'"],
  ],
  [
    statefulSetKind,
    { ...BASE, updateStrategy: { type: "Wild" } },
    [
      "spec.updateStrategy: Invalid value: {\"type\":\"Wild\"}: must be 'RollingUpdate' or 'OnDelete'",
    ],
  ],
  [
    statefulSetKind,
    { ...BASE, persistentVolumeClaimRetentionPolicy: { whenScaled: "Keep" } },
    [
      'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"',
    ],
  ],
  [
    statefulSetKind,
    withPodSpec({ activeDeadlineSeconds: 5 }),
    ["spec.template.spec.activeDeadlineSeconds: Invalid value: 5: must not be specified"],
  ],
  [
    daemonSetKind,
    daemons(0, 0),
    [
      "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ],
  ],
  [
    daemonSetKind,
    daemons(1, 1),
    [
      "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ],
  ],
  [jobKind, JOB, []],
  [
    jobKind,
    { ...JOB, completionMode: "Indexed", parallelism: 1 },
    ["spec.completions: Required value: when completion mode is Indexed"],
  ],
  [
    jobKind,
    { ...JOB, backoffLimitPerIndex: 1 },
    ["spec.backoffLimitPerIndex: Forbidden: is not supported by this server"],
  ],
  [
    jobKind,
    { template: { spec: { ...TEMPLATE.spec, restartPolicy: "Always" } } },
    [
      'spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: "OnFailure", "Never"',
    ],
  ],
] as readonly unknown[] as readonly Case[];

describe("what workloads may say", () => {
  for (const [kind, spec, expected] of CASES) {
    it(`${kind.kind}: ${expected[0] ?? "the defaults suffice"}`, () => {
      assert.deepEqual(errorsOf(kind, spec), expected);
    });
  }

  it("no selector may change, and of StatefulSets only what their message lists", () => {
    const labels = { app: "x", more: "y" };
    const template = { ...TEMPLATE, metadata: { labels } };
    const other = { template, selector: { matchLabels: labels } };
    for (const kind of [deploymentKind, replicaSetKind, daemonSetKind] as readonly unknown[]) {
      const [error = ""] = errorsOf(kind as KindDefinition, other, BASE);
      assert.match(error, /^spec\.selector: Invalid value: .*: field is immutable$/);
    }
    assert.deepEqual(
      errorsOf(statefulSetKind, { ...BASE, serviceName: "b" }, { ...BASE, serviceName: "a" }),
      [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ],
    );
    const replicas = errorsOf(statefulSetKind, { ...BASE, replicas: 5 }, BASE);
    assert.deepEqual(replicas, []);
  });
});
