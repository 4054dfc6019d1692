import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "../api/v1/pod.ts";
import type { Volume } from "../api/v1/volume.ts";
import { unknownSource, volumeFiles, volumeRefs, writtenVolume } from "./volume-files.ts";

const META = { apiVersion: "v1", metadata: { name: "", namespace: "default" } } as const;
const POD: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u", labels: { b: "2", a: "1" } },
  spec: { containers: [{ name: "c", resources: { limits: { memory: "64Mi" } } }] },
};
const PLACE = {
  podIps: ["10.0.0.1"],
  hostIps: [],
  allocatable: { cpu: 1, memory: 1, "ephemeral-storage": 1 },
};
const CONFIG = {
  ...META,
  kind: "ConfigMap",
  data: { a: "1", b: "2" },
  binaryData: { raw: Buffer.from([255, 0]).toString("base64") },
} as const;
const SECRET = { ...META, kind: "Secret", type: "Opaque", data: { key: "c2VjcmV0" } } as const;

/** Path, content and mode of each file, or what is missing. */
function made(source: Omit<Volume, "name">): readonly string[] | string {
  const volume = writtenVolume({ name: "v", ...source });
  assert.ok(volume);
  const files = volumeFiles(volume, {
    pod: POD,
    place: PLACE,
    configMaps: new Map([["c", CONFIG]]),
    secrets: new Map([["s", SECRET]]),
    tokens: new Map([["token", "jwt"]]),
  });
  if (files.kind === "missing") return files.message;
  return [...files.files].map(
    ([path, { content, mode }]) => `${path} ${content.toString("latin1")} ${mode.toString(8)}`,
  );
}

describe("volumeFiles()", () => {
  const cases: readonly (readonly [string, Omit<Volume, "name">, readonly string[] | string])[] = [
    ["every key", { configMap: { name: "c" } }, ["a 1 644", "b 2 644", "raw \u00ff\0 644"]],
    [
      "chosen keys at their paths, with their modes",
      {
        configMap: {
          name: "c",
          defaultMode: 0o600,
          items: [
            { key: "a", path: "x/y" },
            { key: "b", path: "b", mode: 0o400 },
          ],
        },
      },
      ["x/y 1 600", "b 2 400"],
    ],
    ["a Secret's bytes", { secret: { secretName: "s", defaultMode: 0o440 } }, ["key secret 440"]],
    ["nothing of an optional object that is absent", { secret: { optional: true } }, []],
    ["what is absent", { configMap: { name: "no" } }, 'configmap "no" not found'],
    ["what Secret is absent", { secret: { secretName: "no" } }, 'secret "no" not found'],
    [
      "which key is absent",
      { configMap: { name: "c", items: [{ key: "z", path: "z" }] } },
      "default: references non-existent configmap key: z",
    ],
    [
      "no optional key that is absent",
      { configMap: { name: "c", optional: true, items: [{ key: "z", path: "z" }] } },
      [],
    ],
    [
      "the Pod's fields",
      {
        downwardAPI: {
          items: [
            { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
            {
              path: "memory",
              resourceFieldRef: { containerName: "c", resource: "limits.memory", divisor: "1Mi" },
            },
          ],
        },
      },
      ['labels a="1"\nb="2" 644', "memory 64 644"],
    ],
    [
      "several sources, of which the last wins",
      {
        projected: {
          defaultMode: 0o400,
          sources: [
            { configMap: { name: "c", items: [{ key: "a", path: "p" }] } },
            { secret: { name: "s", items: [{ key: "key", path: "p" }] } },
            { serviceAccountToken: { path: "token" } },
          ],
        },
      },
      ["p secret 400", "token jwt 400"],
    ],
    [
      "what leads out of the volume",
      { configMap: { name: "c", items: [{ key: "a", path: "x/../../y" }] } },
      'default: a projected file cannot be at "x/../../y": outside its volume',
    ],
    [
      "what would take the place of the writer's own links",
      { configMap: { name: "c", items: [{ key: "a", path: "..data" }] } },
      'default: a projected file cannot be at "..data": outside its volume',
    ],
  ];
  for (const [what, source, wanted] of cases)
    it(`gives or names ${what}`, () => {
      assert.deepEqual(made(source), wanted);
    });

  it("is for volumes that consist of objects only", () => {
    assert.equal(writtenVolume({ name: "v", emptyDir: {} }), undefined);
    const projected = { sources: [{ clusterTrustBundle: { path: "p" } }] };
    const volume = writtenVolume({ name: "v", projected });
    assert.equal(volume && unknownSource(volume), "clusterTrustBundle");
  });

  it("names the objects that a volume needs", () => {
    const volume = writtenVolume({
      name: "v",
      projected: { sources: [{ configMap: { name: "c" } }, { secret: { name: "s" } }] },
    });
    assert.deepEqual(volume && volumeRefs(volume), {
      configMaps: new Set(["c"]),
      secrets: new Set(["s"]),
    });
  });
});
