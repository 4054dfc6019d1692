import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CoreV1Api, KubeConfig, Watch, makeInformer } from "@kubernetes/client-node";
import type { V1Service } from "@kubernetes/client-node";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";

describe("@kubernetes/client-node against the API server", () => {
  let server: KubectlServer;
  let config: KubeConfig;
  let core: CoreV1Api;
  before(async () => {
    server = await startKubectlServer();
    config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
  });
  after(() => server[Symbol.asyncDispose]());

  const body = (name: string): V1Service => ({
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  });

  it("creates, lists and deletes", async () => {
    const made = await core.createNamespacedService({ namespace: "default", body: body("one") });
    assert.match(made.spec?.clusterIP ?? "", /^10\.96\./);
    const list = await core.listServiceForAllNamespaces();
    assert.deepEqual(
      list.items.map(({ metadata }) => metadata?.name),
      ["kubernetes", "one"],
    );
    await core.deleteNamespacedService({ namespace: "default", name: "one" });
  });

  it("watches from a list on", async () => {
    const list = await core.listNamespacedService({ namespace: "default" });
    const seen: string[] = [];
    const path = "/api/v1/namespaces/default/services";
    await new Promise<void>((resolve, reject) => {
      const watch = new Watch(config);
      void watch
        .watch(
          path,
          { resourceVersion: list.metadata?.resourceVersion },
          (phase, object: V1Service) => {
            seen.push(`${phase} ${object.metadata?.name ?? ""}`);
            if (phase === "DELETED") resolve();
          },
          reject,
        )
        .then(async () => {
          await core.createNamespacedService({ namespace: "default", body: body("two") });
          await core.deleteNamespacedService({ namespace: "default", name: "two" });
        })
        .catch(reject);
    });
    assert.deepEqual(seen, ["ADDED two", "DELETED two"]);
  });

  it("keeps an informer up to date", async () => {
    const path = "/api/v1/namespaces/default/services";
    const informer = makeInformer<V1Service>(config, path, () =>
      core.listNamespacedService({ namespace: "default" }),
    );
    const added = new Promise<void>((resolve) => {
      informer.on("add", ({ metadata }) => {
        if (metadata?.name === "three") resolve();
      });
    });
    await informer.start();
    await core.createNamespacedService({ namespace: "default", body: body("three") });
    await added;
    await informer.stop();
    assert.ok(informer.get("three", "default"));
  });
});
