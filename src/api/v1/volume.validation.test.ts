import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultPod } from "./pod.defaults.ts";
import type { Pod } from "./pod.ts";
import { validatePod } from "./pod.validation.ts";
import type { Volume } from "./volume.ts";

type Container = Pod["spec"]["containers"][number];

/** What a Pod with these volumes is refused for, in a container that mounts as it is told. */
function problemsOf(volumes: readonly Volume[], container: Partial<Container> = {}): string[] {
  const pod = defaultPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers: [{ name: "c", image: "x", ...container }], volumes },
  });
  return validatePod(pod).map(({ field, message }) => `${field}: ${message}`);
}

const MODE = "must be a number between 0 and 0777 (octal), both inclusive";
const v = "spec.volumes[0]";

describe("validation of volumes", () => {
  it("accepts what upstream does", () => {
    const configMap = {
      name: "m",
      defaultMode: 0o777,
      items: [{ key: "k", path: "a/..b/c", mode: 0 }],
    };
    const file = { path: "l", fieldRef: { fieldPath: "metadata.labels['a.b/c']" } };
    assert.deepEqual(
      problemsOf(
        [
          { name: "a", configMap },
          { name: "b", secret: { secretName: "s" } },
          { name: "c", downwardAPI: { items: [file] } },
          {
            name: "d",
            projected: {
              sources: [
                { configMap },
                { downwardAPI: { items: [file] } },
                { serviceAccountToken: { path: "t" } },
              ],
            },
          },
          { name: "e", hostPath: { path: "/x", type: "DirectoryOrCreate" } },
          { name: "f", emptyDir: { sizeLimit: "0" } },
          { name: "g", persistentVolumeClaim: { claimName: "x" } },
          { name: "h", projected: {} },
        ],
        {
          volumeMounts: [
            { name: "a", mountPath: "/a", readOnly: true, recursiveReadOnly: "IfPossible" },
            { name: "a", mountPath: "/b", subPath: "x/y", mountPropagation: "HostToContainer" },
          ],
          volumeDevices: [{ name: "g", devicePath: "/dev/x" }],
        },
      ),
      [],
    );
  });

  const refused: readonly (readonly [string, Omit<Volume, "name">, ...string[]])[] = [
    [
      "a key's file outside its volume",
      { configMap: { name: "m", items: [{ key: "k", path: "/etc/x", mode: 0o1000 }] } },
      `${v}.configMap.items[0].path: Invalid value: "/etc/x": must be a relative path`,
      `${v}.configMap.items[0].mode: Invalid value: 512: ${MODE}`,
    ],
    [
      "a file above its volume",
      { secret: { secretName: "s", items: [{ key: "", path: "a/../../b" }], defaultMode: -1 } },
      `${v}.secret.defaultMode: Invalid value: -1: ${MODE}`,
      `${v}.secret.items[0].key: Required value`,
      `${v}.secret.items[0].path: Invalid value: "a/../../b": must not contain '..'`,
    ],
    [
      "a file where the writer has its own",
      {
        configMap: {
          name: "",
          items: [
            { key: "k", path: "..data" },
            { key: "k", path: "" },
          ],
        },
      },
      `${v}.configMap.name: Required value`,
      `${v}.configMap.items[0].path: Invalid value: "..data": must not start with '..'`,
      `${v}.configMap.items[1].path: Required value`,
    ],
    [
      "a field that no file can show",
      {
        downwardAPI: {
          items: [
            { path: "../x", fieldRef: { fieldPath: "status.podIP" } },
            { path: "y" },
            { path: "z", fieldRef: { fieldPath: "spec.x['y']" }, mode: 4096 },
          ],
        },
      },
      `${v}.downwardAPI.path: Invalid value: "../x": must not contain '..'`,
      `${v}.downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`,
      `${v}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required`,
      `${v}.downwardAPI.fieldRef.fieldPath: Invalid value: "spec.x['y']": error converting fieldPath: field label does not support subscript: spec.x['y']`,
      `${v}.downwardAPI.mode: Invalid value: 4096: ${MODE}`,
    ],
    [
      "a resource without its container, and one that there is not",
      {
        downwardAPI: {
          items: [
            { path: "a", resourceFieldRef: { resource: "limits.cpu" } },
            { path: "b", resourceFieldRef: { containerName: "c", resource: "cpu" } },
          ],
        },
      },
      `${v}.downwardAPI.resourceFieldRef.containerName: Required value`,
      `${v}.downwardAPI.resourceFieldRef.resource: Unsupported value: "cpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"`,
    ],
    [
      "projected sources that are at odds",
      {
        projected: {
          sources: [
            { configMap: { name: "m", items: [{ key: "k", path: "same" }] } },
            { secret: { name: "s", items: [{ key: "k", path: "same" }] } },
            { serviceAccountToken: { path: "../t", expirationSeconds: 599 } },
            { secret: { name: "" }, configMap: { name: "m" } },
          ],
        },
      },
      `${v}.projected: Invalid value: "s": conflicting duplicate paths`,
      `${v}.projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes`,
      `${v}.projected.path: Invalid value: "../t": must not contain '..'`,
      `${v}.projected.sources[3].secret.name: Required value`,
      `${v}.projected.sources[3]: Forbidden: may not specify more than 1 volume type`,
    ],
    [
      "more than one source",
      { configMap: { name: "m" }, emptyDir: { sizeLimit: "-1Mi" } },
      `${v}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity`,
      `${v}.configMap: Forbidden: may not specify more than 1 volume type`,
    ],
    [
      "a type of host path that there is not",
      { hostPath: { path: "/x", type: "Folder" } },
      `${v}.hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`,
    ],
    [
      "a server's path that is not absolute",
      { nfs: { server: "", path: "x" } },
      `${v}.nfs.server: Required value`,
      `${v}.nfs.path: Invalid value: "x": must be an absolute path`,
    ],
  ];
  for (const [what, source, ...errors] of refused) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(problemsOf([{ name: "v", ...source }]), errors);
    });
  }

  it("refuses names that are missing, no labels or taken", () => {
    assert.deepEqual(problemsOf([{ name: "" }, { name: "a" }, { name: "a" }]), [
      "spec.volumes[0].name: Required value",
      'spec.volumes[2].name: Duplicate value: "a"',
    ]);
    assert.match(String(problemsOf([{ name: "A_b" }])), /^spec\.volumes\[0\]\.name: Invalid value/);
  });
});

describe("validation of mounts", () => {
  const m = "spec.containers[0].volumeMounts";
  const mounting = (...volumeMounts: NonNullable<Container["volumeMounts"]>): string[] =>
    problemsOf([{ name: "v" }, { name: "bad", secret: {} }], { volumeMounts }).filter(
      (problem) => !problem.startsWith("spec.volumes"),
    );

  it("refuses what names no volume that is right, or no path of its own", () => {
    assert.deepEqual(
      mounting(
        { name: "", mountPath: "" },
        { name: "none", mountPath: "/a" },
        { name: "bad", mountPath: "/a" },
      ),
      [
        `${m}[0].name: Required value`,
        `${m}[0].name: Not found: ""`,
        `${m}[0].mountPath: Required value`,
        `${m}[1].name: Not found: "none"`,
        `${m}[2].name: Not found: "bad"`,
        `${m}[2].mountPath: Invalid value: "/a": must be unique`,
      ],
    );
  });

  it("refuses propagation and recursion as upstream does", () => {
    const mount = { name: "v", mountPath: "/a" };
    const onlyWhen = (what: string) =>
      `${m}.recursiveReadOnly: Forbidden: may only be specified when ${what}`;
    assert.deepEqual(mounting({ ...mount, mountPropagation: "Bidirectional" }), [
      `${m}.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
    ]);
    assert.deepEqual(mounting({ ...mount, mountPropagation: "Both" }), [
      `${m}.mountPropagation: Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"`,
    ]);
    const recursiveReadOnly = "Enabled";
    assert.deepEqual(
      mounting({ ...mount, recursiveReadOnly, mountPropagation: "HostToContainer" }),
      [onlyWhen("readOnly is true"), onlyWhen("mountPropagation is None or not specified")],
    );
    assert.deepEqual(mounting({ ...mount, recursiveReadOnly: "Yes" }), [
      `${m}.recursiveReadOnly: Unsupported value: "Yes": supported values: "Disabled", "Enabled", "IfPossible"`,
    ]);
    assert.deepEqual(mounting({ ...mount, recursiveReadOnly, readOnly: true }), []);
  });

  it("lets a privileged container spread its mounts", () => {
    const container = {
      securityContext: { privileged: true },
      volumeMounts: [{ name: "v", mountPath: "/a", mountPropagation: "Bidirectional" }],
    };
    assert.deepEqual(problemsOf([{ name: "v" }], container), []);
  });

  it("refuses raw devices of volumes that are none, or that are mounted as well", () => {
    const d = "spec.containers[0].volumeDevices";
    assert.deepEqual(
      problemsOf([{ name: "v" }, { name: "c", persistentVolumeClaim: { claimName: "c" } }], {
        volumeMounts: [{ name: "c", mountPath: "/dev/c" }],
        volumeDevices: [
          { name: "v", devicePath: "/dev/../v" },
          { name: "c", devicePath: "/dev/c" },
          { name: "c", devicePath: "" },
        ],
      }),
      [
        `${m}[0].name: Invalid value: "c": must not already exist in volumeDevices`,
        `${m}[0].mountPath: Invalid value: "/dev/c": must not already exist as a path in volumeDevices`,
        `${d}[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
        `${d}[0].devicePath: Invalid value: "/dev/../v": can not contain backsteps ('..')`,
        `${d}[1].name: Invalid value: "c": must not already exist in volumeMounts`,
        `${d}[1].devicePath: Invalid value: "/dev/c": must not already exist as a path in volumeMounts`,
        `${d}[2].name: Invalid value: "c": must be unique`,
        `${d}[2].devicePath: Required value`,
        `${d}[2].name: Invalid value: "c": must not already exist in volumeMounts`,
      ],
    );
  });
});
