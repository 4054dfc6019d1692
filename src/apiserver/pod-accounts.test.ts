import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { serviceAccountKind } from "../api/v1/serviceaccount.kind.ts";
import { KindCache } from "./kind-cache.ts";
import { podAccountHook } from "./pod-accounts.ts";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";

const PODS = "/api/v1/namespaces/default/pods";
const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

const container = (name: string, more: object = {}) => ({ name, image: "x", ...more });

const POD: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace: "default", name: "web" },
  spec: { containers: [container("c")] },
};

async function start(): Promise<TestServer> {
  const api = await startTestServer({ serviceAccountAdmission: true });
  await api.call("POST", ACCOUNTS, { metadata: { name: "default" } });
  return api;
}

function post(api: TestServer, name: string, spec: object = {}, metadata: object = {}) {
  return api.call("POST", PODS, {
    metadata: { name, ...metadata },
    spec: { containers: [container("c")], ...spec },
  });
}

describe("Pods of ServiceAccounts", () => {
  it("run as `default`, with its token mounted as upstream mounts it", async () => {
    await using api = await start();
    const own = { name: "own", mountPath: MOUNT_PATH };
    const { status, json } = await post(api, "web", {
      initContainers: [container("init")],
      containers: [container("c"), container("d", { volumeMounts: [own] })],
      volumes: [{ name: "own", emptyDir: {} }],
    });
    assert.equal(status, 201);
    const spec = json["spec"] ?? {};
    assert.equal(spec["serviceAccountName"], "default");
    assert.equal(spec["serviceAccount"], "default");
    const [, volume] = Object.values(spec["volumes"] ?? {});
    const name = textAt(volume ?? {}, "name");
    assert.match(name, /^kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    assert.deepEqual(volume?.["projected"], {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { items: [{ key: "ca.crt", path: "ca.crt" }], name: "kube-root-ca.crt" } },
        {
          downwardAPI: {
            items: [
              {
                fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" },
                path: "namespace",
              },
            ],
          },
        },
      ],
      defaultMode: 420,
    });
    const mount = { mountPath: MOUNT_PATH, name, readOnly: true };
    assert.deepEqual(spec["initContainers"]?.["0"]?.["volumeMounts"], [mount]);
    assert.deepEqual(spec["containers"]?.["0"]?.["volumeMounts"], [mount]);
    assert.deepEqual(spec["containers"]?.["1"]?.["volumeMounts"], [own]);
  });

  it("get a token by their own word, else by the account's", async () => {
    await using api = await start();
    await api.call("POST", ACCOUNTS, {
      metadata: { name: "quiet" },
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: "registry" }],
    });
    const volumes = async (name: string, spec: object) =>
      (await post(api, name, spec)).json["spec"]?.["volumes"];
    assert.equal(await volumes("a", { automountServiceAccountToken: false }), undefined);
    assert.equal(await volumes("b", { serviceAccountName: "quiet" }), undefined);
    const asked = { serviceAccountName: "quiet", automountServiceAccountToken: true };
    assert.match(textAt((await volumes("c", asked))?.["0"] ?? {}, "name"), /^kube-api-access-/);
    const { json } = await api.call("GET", `${PODS}/b`);
    assert.deepEqual(json["spec"]?.["imagePullSecrets"], [{ name: "registry" }]);
    const secrets = { serviceAccountName: "quiet", imagePullSecrets: [{ name: "mine" }] };
    const mine = (await post(api, "d", secrets)).json["spec"]?.["imagePullSecrets"];
    assert.deepEqual(mine, [{ name: "mine" }]);
  });

  it("are refused for an account that there is not, in upstream's words", async () => {
    await using api = await start();
    const { status, json } = await post(api, "x", { serviceAccountName: "sa" });
    assert.equal(status, 403);
    assert.equal(json["reason"], "Forbidden");
    assert.equal(
      json["message"],
      'pods "x" is forbidden: error looking up service account default/sa: serviceaccount "sa" not found',
    );
  });

  it("wait for an account that comes a moment later", async () => {
    await using api = await startTestServer({ serviceAccountAdmission: true });
    const waiting = post(api, "web");
    await api.call("POST", ACCOUNTS, { metadata: { name: "default" } });
    assert.equal((await waiting).status, 201);
  });

  it("hold up no server that ends", async (t) => {
    // So that it is not the end of its patience that ends the wait.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const ending = new AbortController();
    const accounts = new KindCache(serviceAccountKind, 0);
    const hook = podAccountHook(podKind, accounts, Math.random, ending.signal);
    const waiting = hook.beforeCreate?.(podKind.strategy.defaults(POD));
    assert.notEqual(waiting, undefined);
    ending.abort();
    accounts.notify();
    await waiting;
    assert.equal(accounts.watchers, 0);
  });

  it("stay as they are when they mirror what a node has from a file", async () => {
    await using api = await start();
    const mirror = { annotations: { "kubernetes.io/config.mirror": "hash" } };
    const { json } = await post(api, "static", { nodeName: "n" }, mirror);
    assert.equal(json["spec"]?.["serviceAccountName"], undefined);
    assert.equal(json["spec"]?.["volumes"], undefined);
    const problemOf = async (spec: object) =>
      (await post(api, "other", spec, mirror)).json["message"];
    const token = { projected: { sources: [{ serviceAccountToken: { path: "token" } }] } };
    for (const [spec, problem] of [
      [{ serviceAccountName: "default" }, "reference service accounts"],
      [{ volumes: [{ name: "v", secret: { secretName: "s" } }] }, "reference secrets"],
      [{ volumes: [{ name: "v", ...token }] }, "use ServiceAccountToken volume projections"],
    ] as const) {
      assert.equal(
        await problemOf({ nodeName: "n", ...spec }),
        `pods "other" is forbidden: a mirror pod may not ${problem}`,
      );
    }
  });

  it("keep their volume when they are applied again, and get none in an update", async () => {
    await using api = await start();
    const before = await post(api, "web");
    const patch = { metadata: { labels: { a: "b" } } };
    const headers = { "content-type": "application/strategic-merge-patch+json" };
    const after = await api.call("PATCH", `${PODS}/web`, patch, { headers });
    assert.deepEqual(after.json["spec"], before.json["spec"]);
  });
});
