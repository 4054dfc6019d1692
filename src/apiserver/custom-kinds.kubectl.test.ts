import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CustomObjectsApi, KubeConfig } from "@kubernetes/client-node";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";
import { WIDGET_CRD, widgetYaml } from "../../test/apiserver/widget.ts";

const LOCAL = { group: "example.com", version: "v1", namespace: "default", plural: "widgets" };

describe("custom resources with real clients", () => {
  let server: KubectlServer;
  before(async () => {
    server = await startKubectlServer();
    await run("apply -f -", WIDGET_CRD);
    await run("wait --for=condition=Established crd/widgets.example.com --timeout=20s");
  });
  after(() => server[Symbol.asyncDispose]());
  const run = (line: string, stdin = "") => server.run(line.split(" "), { stdin });
  const fails = async (line: string, stdin = "") => {
    const { code, stderr } = await server.kubectl(line.split(" "), { stdin });
    assert.notEqual(code, 0);
    return stderr;
  };

  it("shows definitions, and that they are unchanged when applied again", async () => {
    assert.match(await run("get crd"), /^NAME +CREATED AT\nwidgets\.example\.com +\d{4}-.*Z$/m);
    assert.match(await run("apply -f -", WIDGET_CRD), /unchanged/);
    assert.match(
      await run("api-resources --api-group=example.com"),
      /^widgets +wd +example\.com\/v1 +true +Widget$/m,
    );
  });

  it("creates, defaults, prunes, shows columns, describes and deletes", async () => {
    await run("create -f -", widgetYaml("a", "{ color: red, listeners: [{ name: x, tls: {} }] }"));
    const spec = JSON.parse(await run("get widget a -o jsonpath={.spec}")) as unknown;
    assert.deepEqual(spec, {
      color: "red",
      listeners: [{ name: "x", protocol: "HTTP", tls: { mode: "Terminate" } }],
      replicas: 1,
    });
    assert.match(await run("get wd"), /^NAME +COLOR +REPLICAS +READY +AGE\na +red +1 +\d+s$/m);
    const status = `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`;
    await run(`patch wd a --subresource=status --type=merge -p ${status}`);
    assert.match(await run("get gadgets -o wide"), /^a +red +1 +True +red +\d+s$/m);
    assert.match(await run("describe wd a"), /^ {2}Color: +red$/m);
    await run("scale wd/a --replicas=5");
    assert.equal(await run("get wd a -o jsonpath={.spec.replicas}"), "5");
    assert.equal(
      await run("get wd --field-selector spec.color=red -o name"),
      "widget.example.com/a\n",
    );
    assert.match(await run("delete wd a"), /"a" deleted/);
  });

  it("applies on the client's side", async () => {
    assert.match(await run("apply -f -", widgetYaml("b", "{ color: red, host: h }")), /created/);
    assert.match(await run("apply -f -", widgetYaml("b", "{ color: blue }")), /configured/);
    assert.equal(await run("get wd b -o jsonpath={.spec}"), '{"color":"blue","replicas":1}');
    assert.match(await run("apply -f -", widgetYaml("b", "{ color: blue }")), /unchanged/);
  });

  it("says what is wrong, as upstream does", async () => {
    const unknown = await fails("create -f -", widgetYaml("c", "{ color: red, colour: red }"));
    assert.match(unknown, /strict decoding error: unknown field "spec\.colour"/);
    const spec =
      "{ color: pink, replicas: many, weight: 0, host: A, listeners: [{}], backend: {} }";
    const stderr = await fails("create --validate=false -f -", widgetYaml("c", spec));
    for (const text of [
      'spec.color: Unsupported value: "pink": supported values: "red", "green", "blue"',
      'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
      "spec.weight: Invalid value: 0: spec.weight in body should be greater than 0",
      "spec.host in body should match '^",
      "spec.listeners[0].name: Required value",
      '"spec.backend" must validate one and only one schema (oneOf). Found none valid',
    ]) {
      assert.ok(stderr.includes(text), `${text}\nis not in\n${stderr}`);
    }
    assert.match(
      await fails("apply -f -", WIDGET_CRD.replace("type: object", "type: text")),
      /openAPIV3Schema\.type: Unsupported value: "text": supported values: "array"/,
    );
  });

  it("explains", async () => {
    const text = await run("explain widget.spec");
    assert.match(text, /What is wanted of a widget\./);
    assert.match(text, /color\t<string> -required-/);
    assert.match(text, /enum: red, green, blue/);
    assert.match(await run("explain widget.metadata.labels"), /map\[string\]string/);
    assert.match(await run("explain crd.spec.versions.subresources"), /scale\t</);
  });

  it("speaks with client-node", async () => {
    const config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    const api = config.makeApiClient(CustomObjectsApi);
    const body = {
      apiVersion: "example.com/v1",
      kind: "Widget",
      metadata: { name: "n" },
      spec: { color: "green" },
    };
    await api.createNamespacedCustomObject({ ...LOCAL, body });
    // The client does not know the kind; what it gives is JSON.
    const read = (await api.getNamespacedCustomObject({ ...LOCAL, name: "n" })) as typeof body;
    assert.deepEqual(read.spec, { color: "green", replicas: 1 });
    await api.replaceNamespacedCustomObject({
      ...LOCAL,
      name: "n",
      body: { ...read, spec: { color: "blue" } },
    });
    const list = (await api.listNamespacedCustomObject(LOCAL)) as { items: (typeof body)[] };
    assert.ok(list.items.some(({ spec }) => spec.color === "blue"));
    await api.deleteNamespacedCustomObject({ ...LOCAL, name: "n" });
  });

  it("deletes the definition, and with it the objects", async () => {
    assert.match(await run("delete crd widgets.example.com"), /deleted/);
    assert.match(await fails("get wd"), /NotFound|doesn't have a resource type/);
  });
});
