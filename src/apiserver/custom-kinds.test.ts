import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { Answer, TestServer } from "../../test/apiserver/test-server.ts";
import { WIDGET_CRD } from "../../test/apiserver/widget.ts";
import { readAll } from "./exchange.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGET = `${CRDS}/widgets.example.com`;
const WIDGETS = "/apis/example.com/v1/namespaces/default/widgets";
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

/** A definition with versions that need no more than their fields. */
function twoVersions(storage: "v1" | "v1beta1", more: object = {}): object {
  const version = (name: string, fields: object) => ({
    name,
    served: true,
    storage: name === storage,
    schema: {
      openAPIV3Schema: {
        type: "object",
        properties: { spec: { type: "object", properties: fields } },
      },
    },
    ...(name === "v1beta1" ? { deprecated: true } : {}),
  });
  const text = { type: "string" };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "widgets", kind: "Widget" },
      versions: [
        version("v1beta1", { both: text, old: text }),
        version("v1", { both: text, added: { type: "string", default: "d" } }),
      ],
      ...more,
    },
  };
}

const isSet = (type: string) => (crd: Answer["json"]) =>
  JSON.stringify(crd).includes(`"type":"${type}","status":"True"`);

/** Watches one definition until it is as wanted; "gone" for its end. */
async function until(
  server: TestServer,
  holds: ((crd: Answer["json"]) => boolean) | "gone",
  name = "widgets.example.com",
): Promise<void> {
  const stop = new AbortController();
  const list = await server.call("GET", CRDS);
  const version = textAt(list.json, "metadata.resourceVersion");
  const current = await server.call("GET", `${CRDS}/${name}`);
  if (holds === "gone" ? current.status === 404 : holds(current.json)) return;
  const url = `${CRDS}?watch=true&fieldSelector=metadata.name%3D${name}&resourceVersion=${version}`;
  const { body } = await server.open(url, { signal: stop.signal });
  for await (const chunk of body) {
    for (const line of Buffer.from(chunk).toString().trim().split("\n")) {
      // Lines of a watch are events.
      const event = JSON.parse(line) as Answer["json"];
      const isOver =
        holds === "gone"
          ? textAt(event, "type") === "DELETED"
          : event["object"] !== undefined && holds(event["object"]);
      if (!isOver) continue;
      stop.abort();
      return;
    }
  }
  throw new Error("the watch ended before the definition was as wanted");
}

async function establish(server: TestServer, crd: unknown = parse(WIDGET_CRD)): Promise<void> {
  const created = await server.call("POST", CRDS, crd);
  assert.equal(created.status, 201, created.text);
  await until(server, isSet("Established"));
}

const widget = (name: string, spec: object = { color: "red" }, version = "v1") => ({
  apiVersion: `example.com/${version}`,
  kind: "Widget",
  metadata: { name },
  spec,
});

describe("custom resources", () => {
  it("are in discovery, OpenAPI and routes from the moment that they are established", async () => {
    await using server = await startTestServer();
    const headers = { accept: AGGREGATED };
    const before = await server.call("GET", "/apis", undefined, { headers });
    const openApiBefore = await server.call("GET", "/openapi/v3");
    assert.equal((await server.call("GET", WIDGETS)).status, 404);
    await establish(server);
    const after = await server.call("GET", "/apis", undefined, { headers });
    assert.notEqual(after.headers["etag"], before.headers["etag"]);
    assert.match(
      after.text,
      /"name":"example.com".*"resource":"widgets".*"singularResource":"widget"/,
    );
    assert.match(after.text, /"subresource":"scale","responseKind":\{"group":"autoscaling"/);
    const legacy = await server.call("GET", "/apis/example.com/v1");
    assert.match(legacy.text, /"name":"widgets\/status"/);
    const index = await server.call("GET", "/openapi/v3");
    const entry = (answer: Answer, path: string) =>
      answer.json["paths"]?.[path]?.["serverRelativeURL"];
    assert.equal(entry(openApiBefore, "apis/example.com/v1"), undefined);
    assert.ok(entry(index, "apis/example.com/v1") !== undefined);
    // What did not change keeps its address, and so stays in the caches of clients.
    assert.equal(entry(index, "api/v1"), entry(openApiBefore, "api/v1"));
    const list = await server.call("GET", WIDGETS);
    assert.equal(textAt(list.json, "kind"), "WidgetList");
  });

  it("count only what is wanted in their generation, and keep status and spec apart", async () => {
    await using server = await startTestServer();
    await establish(server);
    const created = await server.call("POST", WIDGETS, {
      ...widget("a"),
      status: { replicas: 3 },
    });
    assert.equal(created.json["status"], undefined);
    const status = { spec: { color: "blue" }, status: { replicas: 2 } };
    const patched = await server.call("PATCH", `${WIDGETS}/a/status`, status, MERGE);
    assert.equal(textAt(patched.json, "spec.color"), "red");
    assert.deepEqual(patched.json["status"], { replicas: 2 });
    assert.deepEqual(patched.json["metadata"]?.["generation"], 1);
    const main = await server.call("PATCH", `${WIDGETS}/a`, { ...status, status: {} }, MERGE);
    assert.equal(textAt(main.json, "spec.color"), "blue");
    assert.deepEqual(main.json["status"], { replicas: 2 });
    assert.deepEqual(main.json["metadata"]?.["generation"], 2);
    const labelled = { metadata: { labels: { a: "b" } } };
    const same = await server.call("PATCH", `${WIDGETS}/a`, labelled, MERGE);
    assert.deepEqual(same.json["metadata"]?.["generation"], 2);
  });

  it("have a status like any other field where their version has no /status", async () => {
    await using server = await startTestServer();
    const version = {
      name: "v1",
      served: true,
      storage: true,
      schema: {
        openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      },
    };
    await establish(server, twoVersions("v1", { versions: [version] }));
    await server.call("POST", WIDGETS, { ...widget("a"), status: { a: 1 } });
    const patched = await server.call("PATCH", `${WIDGETS}/a`, { status: { a: 2 } }, MERGE);
    assert.deepEqual(patched.json["status"], { a: 2 });
    assert.deepEqual(patched.json["metadata"]?.["generation"], 2);
    assert.equal((await server.call("GET", `${WIDGETS}/a/status`)).status, 404);
    assert.equal((await server.call("GET", `${WIDGETS}/a/scale`)).status, 404);
  });

  it("are scaled through /scale", async () => {
    await using server = await startTestServer();
    await establish(server);
    await server.call("POST", WIDGETS, widget("a", { color: "red", replicas: 2 }));
    const scale = await server.call("GET", `${WIDGETS}/a/scale`);
    assert.deepEqual(
      [scale.json["spec"], scale.json["status"]],
      [{ replicas: 2 }, { replicas: 0 }],
    );
    const put = await server.call("PUT", `${WIDGETS}/a/scale`, {
      ...scale.json,
      spec: { replicas: 4 },
    });
    assert.deepEqual(put.json["spec"], { replicas: 4 });
    const stale = await server.call("PUT", `${WIDGETS}/a/scale`, scale.json);
    assert.equal(stale.status, 409);
    const minus = await server.call(
      "PATCH",
      `${WIDGETS}/a/scale`,
      { spec: { replicas: -1 } },
      MERGE,
    );
    assert.match(
      minus.text,
      /spec.replicas: Invalid value: -1: must be greater than or equal to 0/,
    );
    const many = await server.call(
      "PATCH",
      `${WIDGETS}/a/scale`,
      { spec: { replicas: 101 } },
      MERGE,
    );
    assert.match(many.text, /spec.replicas in body should be less than or equal to 100/);
    const object = await server.call("GET", `${WIDGETS}/a`);
    assert.deepEqual(object.json["spec"]?.["replicas"], 4);
  });

  it("take JSON and YAML, but neither protobuf nor strategic merge", async () => {
    await using server = await startTestServer();
    await establish(server);
    const yaml =
      "{apiVersion: example.com/v1, kind: Widget, metadata: {name: y}, spec: {color: red}}";
    const type = (name: string) => ({ headers: { "content-type": name } });
    const created = await server.call("POST", WIDGETS, yaml, type("application/yaml"));
    assert.equal(created.status, 201);
    const proto = type("application/vnd.kubernetes.protobuf");
    assert.equal((await server.call("POST", WIDGETS, "k8s\0", proto)).status, 415);
    const strategic = type("application/strategic-merge-patch+json");
    assert.equal((await server.call("PATCH", `${WIDGETS}/y`, {}, strategic)).status, 415);
  });

  it("are selected by the fields that their definition names", async () => {
    await using server = await startTestServer();
    await establish(server);
    for (const color of ["red", "blue"])
      await server.call("POST", WIDGETS, widget(color, { color }));
    const list = await server.call("GET", `${WIDGETS}?fieldSelector=spec.color%3Dblue`);
    assert.equal(textAt(list.json, "items.0.metadata.name"), "blue");
    const other = await server.call("GET", `${WIDGETS}?fieldSelector=spec.replicas%3D1`);
    assert.equal(other.status, 400);
  });

  it("are the same object in each version, without the fields that the version lacks", async () => {
    await using server = await startTestServer();
    await establish(server, twoVersions("v1"));
    const beta = WIDGETS.replace("/v1/", "/v1beta1/");
    const sent = widget("a", { both: "b", old: "o" }, "v1beta1");
    const created = await server.call("POST", beta, sent);
    assert.equal(textAt(created.json, "apiVersion"), "example.com/v1beta1");
    assert.match(
      created.headers["warning"] ?? "",
      /299 - "example.com\/v1beta1 Widget is deprecated; use example.com\/v1 Widget"/,
    );
    const read = await server.call("GET", `${WIDGETS}/a`);
    assert.equal(textAt(read.json, "apiVersion"), "example.com/v1");
    assert.deepEqual(read.json["spec"], { both: "b", added: "d" });
    assert.equal(read.headers["warning"], undefined);
    const [entry] = (await server.store.range({ prefix: "/registry/example.com/widgets/" }))
      .entries;
    assert.match(entry?.value ?? "", /"apiVersion":"example.com\/v1"/);
    // A watch of one version sees what is written in the other.
    const list = await server.call("GET", beta);
    const version = textAt(list.json, "metadata.resourceVersion");
    const stop = new AbortController();
    const watch = await server.open(`${beta}?watch=true&resourceVersion=${version}`, {
      signal: stop.signal,
    });
    await server.call("PATCH", `${WIDGETS}/a`, { spec: { both: "c" } }, MERGE);
    for await (const chunk of watch.body) {
      assert.match(
        Buffer.from(chunk).toString(),
        /"apiVersion":"example.com\/v1beta1".*"both":"c"/,
      );
      break;
    }
    stop.abort();
    const group = await server.call("GET", "/apis/example.com");
    assert.equal(textAt(group.json, "preferredVersion.version"), "v1");
  });

  it("may change the version in which they are stored, which the status records", async () => {
    await using server = await startTestServer();
    await establish(server, twoVersions("v1beta1"));
    await server.call("POST", WIDGETS, widget("a", { both: "b" }));
    const crd = await server.call("GET", WIDGET);
    const spec = { versions: (twoVersions("v1") as Answer["json"])["spec"]?.["versions"] };
    const changed = await server.call("PATCH", WIDGET, { spec }, MERGE);
    assert.deepEqual(crd.json["status"]?.["storedVersions"], ["v1beta1"]);
    assert.deepEqual(changed.json["status"]?.["storedVersions"], ["v1beta1", "v1"]);
    const [v1] = (spec.versions as unknown as object[]).slice(1);
    const dropped = await server.call("PATCH", WIDGET, { spec: { versions: [v1] } }, MERGE);
    assert.match(dropped.text, /v1beta1 was previously a storage version/);
    assert.equal((await server.call("GET", `${WIDGETS}/a`)).status, 200);
  });

  it("are served again before a server that starts anew is ready", async () => {
    await using server = await startTestServer();
    await establish(server);
    await server.call("POST", WIDGETS, widget("a"));
    await server.restart();
    const read = await server.call("GET", `${WIDGETS}/a`);
    assert.equal(textAt(read.json, "spec.color"), "red");
    const bad = await server.call("POST", WIDGETS, widget("b", { color: "pink" }));
    assert.equal(bad.status, 422);
  });

  it("follow a change of their schema, and let be what the new one forbids", async () => {
    await using server = await startTestServer();
    await establish(server);
    await server.call("POST", WIDGETS, widget("a"));
    const stop = new AbortController();
    const watch = await server.open(`${WIDGETS}?watch=true`, { signal: stop.signal });
    const ended = readAll(watch.body);
    const crd = WIDGET_CRD.replace("enum: [red, green, blue]", "enum: [pink]");
    const { spec } = parse(crd) as { spec: object };
    await server.call("PATCH", WIDGET, { spec }, MERGE);
    // The watch ends when the new schema is served.
    await ended;
    stop.abort();
    assert.equal((await server.call("POST", WIDGETS, widget("b"))).status, 422);
    assert.equal((await server.call("POST", WIDGETS, widget("b", { color: "pink" }))).status, 201);
    const kept = await server.call("PATCH", `${WIDGETS}/a`, { spec: { replicas: 2 } }, MERGE);
    assert.equal(kept.status, 200, kept.text);
  });

  it("go with their definition, which waits for finalizers and lets nothing new in", async () => {
    await using server = await startTestServer();
    await establish(server);
    await server.call("POST", WIDGETS, widget("a"));
    const held = widget("held");
    await server.call("POST", WIDGETS, {
      ...held,
      metadata: { ...held.metadata, finalizers: ["waits"] },
    });
    const list = await server.call("GET", WIDGETS);
    const version = textAt(list.json, "metadata.resourceVersion");
    const watch = await server.open(`${WIDGETS}?watch=true&resourceVersion=${version}`);
    const events = readAll(watch.body);
    const deleted = await server.call("DELETE", WIDGET);
    assert.deepEqual(deleted.json["metadata"]?.["finalizers"], [
      "customresourcecleanup.apiextensions.k8s.io",
    ]);
    assert.ok(isSet("Terminating")(deleted.json));
    const late = await server.call("POST", WIDGETS, widget("late"));
    assert.equal(late.status, 405);
    assert.match(late.text, /create not allowed while custom resource definition is terminating/);
    await until(server, (crd) => JSON.stringify(crd).includes("InstanceDeletionInProgress"));
    await server.call("PATCH", `${WIDGETS}/held`, { metadata: { finalizers: null } }, MERGE);
    await until(server, "gone");
    const text = (await events).toString();
    assert.match(text, /"type":"DELETED","object":\{"kind":"Widget".*"name":"a"/);
    assert.equal((await server.call("GET", WIDGETS)).status, 404);
    assert.equal((await server.call("GET", "/apis/example.com")).status, 404);
    const left = await server.store.range({ prefix: "/registry/example.com/" });
    assert.deepEqual(left.entries, []);
    await establish(server);
    assert.equal((await server.call("POST", WIDGETS, widget("a"))).status, 201);
  });

  it("wait for names that another definition has, and get them when it goes", async () => {
    await using server = await startTestServer();
    await establish(server);
    const { spec } = parse(WIDGET_CRD) as { spec: { names: object } };
    const names = { plural: "others", singular: "other", kind: "Widget", listKind: "OtherList" };
    await server.call("POST", CRDS, {
      ...(parse(WIDGET_CRD) as object),
      metadata: { name: "others.example.com" },
      spec: { ...spec, names },
    });
    const other = "others.example.com";
    const has = (text: string) => (crd: Answer["json"]) => JSON.stringify(crd).includes(text);
    await until(server, has('"reason":"KindConflict"'), other);
    const refused = await server.call("GET", `${CRDS}/${other}`);
    assert.match(refused.text, /"message":"\\"Widget\\" is already in use"/);
    assert.match(refused.text, /"type":"Established","status":"False","reason":"NotAccepted"/);
    await server.call("DELETE", WIDGET);
    await until(server, isSet("Established"), other);
    assert.equal((await server.call("GET", WIDGETS.replace("widgets", "others"))).status, 200);
  });

  it("never take the place of a kind that is built in", async () => {
    await using server = await startTestServer();
    const group = "coordination.k8s.io";
    const created = await server.call("POST", CRDS, {
      ...twoVersions("v1", { group, names: { plural: "leases", kind: "Loan" } }),
      metadata: {
        name: `leases.${group}`,
        annotations: { "api-approved.kubernetes.io": "unapproved, a test" },
      },
    });
    assert.equal(created.status, 201, created.text);
    const has = (crd: Answer["json"]) => JSON.stringify(crd).includes("PluralConflict");
    await until(server, has, `leases.${group}`);
    const lease = await server.call("GET", `/apis/${group}/v1/namespaces/default/leases`);
    assert.equal(textAt(lease.json, "kind"), "LeaseList");
    await server.call("DELETE", `${CRDS}/leases.${group}`);
    await until(server, "gone", `leases.${group}`);
    assert.equal((await server.call("GET", `/apis/${group}/v1/leases`)).status, 200);
  });

  it("can be served in no version and still go", async () => {
    await using server = await startTestServer();
    await establish(server);
    await server.call("POST", WIDGETS, widget("a"));
    const [version] = (parse(WIDGET_CRD) as { spec: { versions: object[] } }).spec.versions;
    const spec = { versions: [{ ...version, served: false }] };
    const watch = await server.open(`${WIDGETS}?watch=true`);
    const ended = readAll(watch.body);
    await server.call("PATCH", WIDGET, { spec }, MERGE);
    await ended;
    assert.equal((await server.call("GET", WIDGETS)).status, 404);
    await server.call("DELETE", WIDGET);
    await until(server, "gone");
    const left = await server.store.range({ prefix: "/registry/example.com/" });
    assert.deepEqual(left.entries, []);
  });

  it("lose nothing that is created while the definition changes again and again", async () => {
    await using server = await startTestServer();
    await establish(server);
    const creating = Promise.all(
      Array.from({ length: 200 }, (_, i) => server.call("POST", WIDGETS, widget(`w${String(i)}`))),
    );
    for (let i = 0; i < 5; i++) {
      const { spec } = parse(WIDGET_CRD.replace("maximum: 100", `maximum: ${String(200 + i)}`)) as {
        spec: object;
      };
      await server.call("PATCH", WIDGET, { spec }, MERGE);
    }
    const answers = await creating;
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
    const list = await server.call("GET", WIDGETS);
    assert.equal((list.json["items"] as unknown as unknown[]).length, 200);
  });
});
