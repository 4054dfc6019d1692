import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ADMIN, SILENT, startTestServer } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";
import { eventually } from "../../test/e2e/tools.ts";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { serviceAccountKind } from "../api/v1/serviceaccount.kind.ts";
import type { ApiClient } from "../client/client.ts";
import { createClient } from "../client/rest.ts";
import { PodVolumes, unmountedVolumes } from "./pod-volumes.ts";

const namespace = "default";
const signal = new AbortController().signal;

describe("files of ServiceAccounts", () => {
  let api: TestServer;
  let client: ApiClient;
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "portolan-account-"));
    api = await startTestServer({ serviceAccountAdmission: true });
    client = createClient({ transport: (request) => api.server.handle(request, ADMIN) });
    const data = { "ca.crt": "PEM" };
    await client.create(configMapKind, { metadata: { namespace, name: "kube-root-ca.crt" }, data });
    await client.create(serviceAccountKind, { metadata: { namespace, name: "default" } });
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });

  const newPod = (spec: Partial<Pod["spec"]> = {}) =>
    client.create(podKind, {
      metadata: { namespace, name: "web" },
      spec: { containers: [{ name: "c", image: "x" }], ...spec },
    });
  const newFiles = (now = Date.now) =>
    new PodVolumes({
      client,
      log: SILENT,
      now,
      podDir: (uid) => join(root, uid),
      canMount: false,
      memory: undefined,
      evict: () => undefined,
      current: (pod) => pod,
      place: (podIps) => ({
        podIps,
        hostIps: [],
        allocatable: { cpu: 1, memory: 1, "ephemeral-storage": 1 },
      }),
    });
  /** The folder with the token of the Pod's account, as its program is told. */
  const open = async (files: PodVolumes, pod: Pod) => {
    const [first] = pod.spec.containers;
    assert.ok(first);
    await files.open(pod, first, [], signal);
    return files.environment(pod, first)["PORTOLAN_SERVICEACCOUNT_DIR"];
  };
  const claimsOf = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());

  it("are token, authority and namespace, for nobody else to read", async () => {
    await using files = newFiles();
    const pod = await newPod();
    const dir = (await open(files, pod)) ?? "";
    const names = (await readdir(dir)).filter((name) => !name.startsWith(".."));
    assert.deepEqual(names.toSorted(), ["ca.crt", "namespace", "token"]);
    const read = (name: string) => readFile(join(dir, name), "utf8");
    assert.equal(await read("ca.crt"), "PEM");
    assert.equal(await read("namespace"), "default");
    const claims = claimsOf(await read("token"));
    assert.equal(claims["sub"], "system:serviceaccount:default:default");
    assert.deepEqual(claims["kubernetes.io"], {
      namespace,
      pod: { name: "web", uid: pod.metadata.uid },
      serviceaccount: {
        name: "default",
        uid: (await client.get(serviceAccountKind, { namespace, name: "default" })).metadata.uid,
      },
    });
    assert.equal((await stat(join(root, pod.metadata.uid ?? ""))).mode & 0o777, 0o700);
    assert.equal((await stat(join(dir, "token"))).mode & 0o777, 0o644);
  });

  it("are none for a Pod that declines its token", async () => {
    await using files = newFiles();
    const pod = await newPod({ automountServiceAccountToken: false });
    assert.equal(await open(files, pod), undefined);
  });

  it("get a new token when four fifths of its life are over", async () => {
    // By this clock each token has a tenth of a second to live.
    const late = () => Date.now() + 3607_000 - 100;
    await using files = newFiles(late);
    const dir = (await open(files, await newPod())) ?? "";
    const token = () => readFile(join(dir, "token"), "utf8");
    const first = await token();
    await eventually("there is another token", async () => (await token()) !== first);
  });

  it("go on after a restart of the agent, with a new token", async () => {
    const pod = await newPod();
    const before = newFiles();
    const dir = (await open(before, pod)) ?? "";
    await before[Symbol.asyncDispose]();
    const token = () => readFile(join(dir, "token"), "utf8");
    const first = await token();
    await using files = newFiles();
    for (const one of pod.spec.containers) files.resume(pod, one);
    await eventually("there is another token", async () => (await token()) !== first);
  });

  it("are asked for anew after a failure", async () => {
    await using files = newFiles();
    const pod = await newPod();
    await client.delete(serviceAccountKind, { namespace, name: "default" });
    await assert.rejects(open(files, pod), /serviceaccounts "default" not found/);
    await client.create(serviceAccountKind, { metadata: { namespace, name: "default" } });
    assert.notEqual(await open(files, pod), undefined);
  });

  it("stay within their volume", async () => {
    await using files = newFiles();
    const volumes = (path: string) => [
      { name: "v", projected: { sources: [{ serviceAccountToken: { path } }] } },
    ];
    const mount = { name: "v", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };
    const pod = await newPod({
      volumes: volumes("token"),
      containers: [{ name: "c", image: "x", volumeMounts: [mount] }],
    });
    // As an API server might have it that checks less.
    const loose = { ...pod, spec: { ...pod.spec, volumes: volumes("../token") } };
    await assert.rejects(open(files, loose), /outside its volume/);
  });

  it("are told where they cannot be mounted, with all volumes that are made of files", async () => {
    await using files = newFiles();
    await client.create(configMapKind, { metadata: { namespace, name: "c" }, data: { a: "1" } });
    const pod = await newPod({
      automountServiceAccountToken: false,
      volumes: [
        { name: "settings", configMap: { name: "c" } },
        { name: "scratch", emptyDir: {} },
        { name: "host", hostPath: { path: "/nowhere" } },
      ],
      containers: [
        {
          name: "c",
          image: "x",
          volumeMounts: ["settings", "scratch", "host"].map((name) => ({
            name,
            mountPath: `/${name}`,
          })),
        },
      ],
    });
    const [first] = pod.spec.containers;
    assert.ok(first);
    const opened = await files.open(pod, first, [], signal);
    assert.deepEqual([...opened.keys()], ["settings", "scratch"]);
    const dir = files.environment(pod, first)["PORTOLAN_VOLUMES_DIR"] ?? "";
    assert.equal(await readFile(join(dir, "settings/a"), "utf8"), "1");
    assert.deepEqual(await readdir(join(dir, "scratch")), []);
    assert.match(unmountedVolumes(pod, false) ?? "", /nothing is mounted at \/settings, \/scratch/);
    assert.equal(unmountedVolumes(pod, true), undefined);
    const patch = { kind: "merge", body: { data: { a: "2" } } } as const;
    await client.patch(configMapKind, { namespace, name: "c" }, patch);
    await eventually(
      "the change is seen",
      async () => (await readFile(join(dir, "settings/a"), "utf8")) === "2",
    );
  });

  it("name the volume that is not ready, in kubelet's words", async () => {
    await using files = newFiles();
    const pod = await newPod({
      volumes: [{ name: "v", secret: { secretName: "none" } }],
      containers: [{ name: "c", image: "x", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
    });
    const [first] = pod.spec.containers;
    assert.ok(first);
    await assert.rejects(
      files.open(pod, first, [], signal),
      /^VolumeError: MountVolume\.SetUp failed for volume "v" : secret "none" not found$/,
    );
  });
});
