import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { cidr, never, startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { Answer, TestServer } from "../../test/apiserver/test-server.ts";
import { servedKinds } from "../api/kinds.ts";
import { configMap } from "../api/v1/configmap.ts";
import { sealEnvelope } from "../api/machinery/protobuf-envelope.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { readAll } from "./exchange.ts";

const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const STRATEGIC = { headers: { "content-type": "application/strategic-merge-patch+json" } };
const JSON_PATCH = { headers: { "content-type": "application/json-patch+json" } };

let api: TestServer;
beforeEach(async () => {
  api = await startTestServer();
});
afterEach(() => api[Symbol.asyncDispose]());

const MAPS = "/api/v1/namespaces/default/configmaps";
const SERVICES = "/api/v1/namespaces/default/services";
const PODS = "/api/v1/namespaces/default/pods";

const map = (name: string, data: object = {}, metadata: object = {}) => ({
  metadata: { name, ...metadata },
  data,
});
const service = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
});

function refused(answer: Answer, code: number, reason: string, message: RegExp | string): void {
  assert.equal(answer.status, code, answer.text);
  assert.equal(answer.json["reason"], reason);
  if (typeof message === "string") assert.equal(answer.json["message"], message);
  else assert.match(textAt(answer.json, "message"), message);
}

describe("create", () => {
  it("fills in what the server owns and ignores what the client claims of it", async () => {
    const { status, json } = await api.call("POST", MAPS, {
      ...map("a"),
      metadata: { name: "a", uid: "mine", resourceVersion: "999999", creationTimestamp: null },
    });
    assert.equal(status, 201);
    assert.equal(json["metadata"]?.["namespace"], "default");
    assert.match(textAt(json, "metadata.uid"), /^[0-9a-f]{8}-/);
    assert.match(textAt(json, "metadata.creationTimestamp"), /Z$/);
    assert.notEqual(json["metadata"]?.["resourceVersion"], "999999");
  });

  it("makes a name from generateName", async () => {
    const { json } = await api.call("POST", MAPS, { metadata: { generateName: "a-" } });
    assert.match(textAt(json, "metadata.name"), /^a-[a-z0-9]{5}$/);
  });

  it("refuses with upstream's words", async () => {
    await api.call("POST", MAPS, map("a"));
    refused(
      await api.call("POST", MAPS, map("a")),
      409,
      "AlreadyExists",
      'configmaps "a" already exists',
    );
    refused(
      await api.call("POST", "/api/v1/namespaces/nope/configmaps", map("a")),
      404,
      "NotFound",
      'namespaces "nope" not found',
    );
    refused(
      await api.call("POST", MAPS, map("a", {}, { namespace: "other" })),
      400,
      "BadRequest",
      "the namespace of the provided object does not match the namespace sent on the request",
    );
    refused(
      await api.call("POST", MAPS, { metadata: {} }),
      422,
      "Invalid",
      /name or generateName is required/,
    );
    refused(await api.call("POST", MAPS, map("A_B")), 422, "Invalid", /RFC 1123 subdomain/);
    refused(await api.call("POST", MAPS, "{"), 400, "BadRequest", /must be of type ConfigMap/);
    refused(
      await api.call("POST", SERVICES, service("a", { ports: "x" })),
      400,
      "BadRequest",
      'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort',
    );
    refused(
      await api.call("POST", MAPS, { ...map("a"), apiVersion: "apps/v1" }),
      400,
      "BadRequest",
      "the API version in the data (apps/v1) does not match the expected API version (v1)",
    );
    refused(
      await api.call("POST", "/api/v1/configmaps", map("a")),
      405,
      "MethodNotAllowed",
      /does not allow this method/,
    );
  });

  it("judges unknown and doubled fields as fieldValidation says", async () => {
    const body = '{"metadata":{"name":"a"},"nope":1,"data":{"x":"1"},"data":{"x":"2"}}';
    refused(
      await api.call("POST", `${MAPS}?fieldValidation=Strict`, body),
      400,
      "BadRequest",
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data", unknown field "nope"',
    );
    const warned = await api.call("POST", MAPS, body);
    assert.equal(warned.status, 201);
    assert.equal(
      warned.headers["warning"],
      '299 - "duplicate field \\"data\\"", 299 - "unknown field \\"nope\\""',
    );
    assert.equal(warned.json["nope"], undefined);
    const ignored = await api.call("PUT", `${MAPS}/a?fieldValidation=Ignore`, body);
    assert.equal(ignored.headers["warning"], undefined);
    refused(
      await api.call("POST", `${MAPS}?fieldValidation=x`, body),
      422,
      "Invalid",
      /supported values/,
    );
  });

  it("reads YAML and protobuf bodies, and refuses what else there is", async () => {
    const yaml = { headers: { "content-type": "application/yaml" } };
    const made = await api.call("POST", MAPS, "metadata: {name: y}\ndata: {a: b}\n", yaml);
    assert.equal(made.json["data"]?.["a"], "b");
    refused(
      await api.call("POST", MAPS, "a: 1\na: 2\n", yaml),
      400,
      "BadRequest",
      /already set in map/,
    );
    const protobuf = { headers: { "content-type": "application/vnd.kubernetes.protobuf" } };
    const bytes = sealEnvelope(configMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      ...map("p", { a: "c" }),
    });
    assert.equal((await api.call("POST", MAPS, bytes, protobuf)).json["data"]?.["a"], "c");
    refused(await api.call("POST", MAPS, "junk", protobuf), 400, "BadRequest", /expected prefix/);
    refused(
      await api.call("POST", MAPS, "x", { headers: { "content-type": "application/cbor" } }),
      415,
      "UnsupportedMediaType",
      /accepted media types include: application\/json, application\/yaml, application\/vnd\.kubernetes\.protobuf/,
    );
  });

  it("does everything but store with dryRun", async () => {
    const { status, json } = await api.call("POST", `${SERVICES}?dryRun=All`, service("a"));
    assert.equal(status, 201);
    assert.ok(json["spec"]?.["clusterIP"]);
    assert.equal(json["metadata"]?.["resourceVersion"], undefined);
    refused(await api.call("GET", `${SERVICES}/a`), 404, "NotFound", 'services "a" not found');
    refused(
      await api.call("POST", `${SERVICES}?dryRun=x`, service("a")),
      422,
      "Invalid",
      /supported values/,
    );
  });
});

describe("update", () => {
  it("stores nothing when nothing changes", async () => {
    const made = await api.call("POST", MAPS, map("a", { x: "1" }));
    const same = await api.call("PUT", `${MAPS}/a`, made.json);
    assert.equal(same.status, 200);
    assert.equal(same.text, made.text);
    assert.equal(same.json["metadata"]?.["resourceVersion"], String(api.store.revision));
  });

  it("refuses a stale resourceVersion and another UID", async () => {
    const made = await api.call("POST", MAPS, map("a"));
    await api.call("PATCH", `${MAPS}/a`, { data: { x: "1" } }, MERGE);
    const message =
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again';
    refused(await api.call("PUT", `${MAPS}/a`, made.json), 409, "Conflict", message);
    const uid = map("a", {}, { uid: "other" });
    refused(await api.call("PUT", `${MAPS}/a`, uid), 409, "Conflict", /UID in precondition: other/);
    assert.equal((await api.call("PUT", `${MAPS}/a`, map("a"))).status, 200);
  });

  it("SVC-015: creates a Service that is not there", async () => {
    assert.equal((await api.call("PUT", `${SERVICES}/a`, service("a"))).status, 201);
    refused(
      await api.call("PUT", `${SERVICES}/a`, service("b")),
      400,
      "BadRequest",
      /\(b\) does not match the name on the URL \(a\)/,
    );
  });

  it("SVC-013: keeps status and spec apart", async () => {
    const made = await api.call("POST", SERVICES, service("a", { type: "LoadBalancer" }));
    const ingress = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
    const main = await api.call("PUT", `${SERVICES}/a`, { ...made.json, status: ingress });
    assert.deepEqual(main.json["status"], { loadBalancer: {} });
    const status = await api.call("PUT", `${SERVICES}/a/status`, {
      ...made.json,
      spec: { ...made.json["spec"], selector: { other: "x" } },
      status: ingress,
    });
    assert.equal(status.status, 200, status.text);
    assert.equal(JSON.stringify(status.json["status"]).includes("192.0.2.1"), true);
    assert.deepEqual(status.json["spec"]?.["selector"], { app: "a" });
    const read = await api.call("GET", `${SERVICES}/a/status`);
    assert.equal(read.text, status.text);
    refused(
      await api.call("GET", `${MAPS}/a/status`),
      404,
      "NotFound",
      /could not find the requested resource/,
    );
  });

  it("counts generations of what is wanted, not of labels and status", async () => {
    const pod = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } };
    const made = await api.call("POST", PODS, pod);
    const before = made.json["metadata"]?.["generation"];
    const labelled = await api.call(
      "PATCH",
      `${PODS}/p`,
      { metadata: { labels: { a: "b" } } },
      MERGE,
    );
    assert.equal(labelled.json["metadata"]?.["generation"], before);
  });
});

describe("patch", () => {
  it("merges, merges strategically, and edits", async () => {
    await api.call(
      "POST",
      SERVICES,
      service("a", {
        ports: [
          { name: "x", port: 80 },
          { name: "y", port: 81 },
        ],
      }),
    );
    const merged = await api.call(
      "PATCH",
      `${SERVICES}/a`,
      { metadata: { labels: { l: "1" } }, spec: { selector: null } },
      MERGE,
    );
    assert.equal(merged.json["spec"]?.["selector"], undefined);
    const ports = { spec: { ports: [{ port: 81, targetPort: 9 }] } };
    const strategic = await api.call("PATCH", `${SERVICES}/a`, ports, STRATEGIC);
    assert.deepEqual(
      JSON.parse(JSON.stringify(strategic.json["spec"]?.["ports"])).map(
        (port: { name: string; targetPort: number }) => [port.name, port.targetPort],
      ),
      [
        ["x", 80],
        ["y", 9],
      ],
    );
    const edited = await api.call(
      "PATCH",
      `${SERVICES}/a`,
      [{ op: "add", path: "/metadata/labels/m", value: "2" }],
      JSON_PATCH,
    );
    assert.deepEqual(edited.json["metadata"]?.["labels"], { l: "1", m: "2" });
  });

  it("refuses what is no patch", async () => {
    await api.call("POST", MAPS, map("a"));
    const type = (text: string) => ({ headers: { "content-type": text } });
    refused(
      await api.call("PATCH", `${MAPS}/a`, {}, type("application/json")),
      415,
      "UnsupportedMediaType",
      /application\/json-patch\+json/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, "{", MERGE),
      400,
      "BadRequest",
      /error decoding patch/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, [], MERGE),
      400,
      "BadRequest",
      /must be an object/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, {}, JSON_PATCH),
      400,
      "BadRequest",
      /must be a list/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, [{ op: "remove", path: "/nope" }], JSON_PATCH),
      422,
      "Invalid",
      /rejected our request/,
    );
    refused(await api.call("PATCH", `${MAPS}/none`, {}, MERGE), 404, "NotFound", /not found/);
    refused(
      await api.call("PATCH", `${MAPS}/a?fieldValidation=Strict`, { x: 1 }, MERGE),
      400,
      "BadRequest",
      /unknown field "x"/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, { metadata: { resourceVersion: "1" } }, MERGE),
      409,
      "Conflict",
      /has been modified/,
    );
    refused(
      await api.call("PATCH", `${MAPS}/a`, { metadata: { name: "b" } }, MERGE),
      400,
      "BadRequest",
      /does not match/,
    );
  });

  it("loses none of many patches at once", async () => {
    await api.call("POST", MAPS, map("a"));
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        api.call("PATCH", `${MAPS}/a`, { data: { [`k${String(i)}`]: "x" } }, MERGE),
      ),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array(6).fill(200),
    );
    const { json } = await api.call("GET", `${MAPS}/a`);
    assert.equal(Object.keys(json["data"] ?? {}).length, 6);
  });
});

describe("delete", () => {
  it("answers a Status, or the object for kinds that do", async () => {
    const made = await api.call("POST", MAPS, map("a"));
    const gone = await api.call("DELETE", `${MAPS}/a`);
    assert.deepEqual(gone.json["details"], {
      name: "a",
      kind: "configmaps",
      uid: made.json["metadata"]?.["uid"],
    });
    refused(await api.call("DELETE", `${MAPS}/a`), 404, "NotFound", 'configmaps "a" not found');
    await api.call("POST", SERVICES, service("s"));
    assert.equal((await api.call("DELETE", `${SERVICES}/s`)).json["kind"], "Service");
  });

  it("heeds preconditions", async () => {
    await api.call("POST", MAPS, map("a"));
    const uid = { preconditions: { uid: "other" } };
    refused(
      await api.call("DELETE", `${MAPS}/a`, uid),
      409,
      "Conflict",
      /Precondition failed: UID in precondition: other/,
    );
    const version = { preconditions: { resourceVersion: "1" } };
    refused(
      await api.call("DELETE", `${MAPS}/a`, version),
      409,
      "Conflict",
      /ResourceVersion in precondition: 1/,
    );
    refused(
      await api.call("DELETE", `${MAPS}/a`, { propagationPolicy: "x" }),
      422,
      "Invalid",
      /propagationPolicy/,
    );
    assert.equal(
      (await api.call("DELETE", `${MAPS}/a`, { propagationPolicy: "Background" })).status,
      200,
    );
  });

  it("SVC-019: keeps an object until its last finalizer is gone, with its addresses", async () => {
    const body = service("a", { clusterIP: "10.96.7.7" });
    await api.call("POST", SERVICES, {
      ...body,
      metadata: { name: "a", finalizers: ["example.org/x"] },
    });
    const marked = await api.call("DELETE", `${SERVICES}/a`);
    assert.ok(marked.json["metadata"]?.["deletionTimestamp"]);
    refused(
      await api.call("POST", SERVICES, service("b", { clusterIP: "10.96.7.7" })),
      422,
      "Invalid",
      /already allocated/,
    );
    const more = [{ op: "add", path: "/metadata/finalizers/-", value: "example.org/y" }];
    refused(
      await api.call("PATCH", `${SERVICES}/a`, more, JSON_PATCH),
      422,
      "Invalid",
      /no new finalizers/,
    );
    await api.call("PATCH", `${SERVICES}/a`, { metadata: { finalizers: null } }, MERGE);
    assert.equal((await api.call("GET", `${SERVICES}/a`)).status, 404);
    assert.equal(
      (await api.call("POST", SERVICES, service("b", { clusterIP: "10.96.7.7" }))).status,
      201,
    );
  });

  it("gives a Pod on a node its grace, and lets the agent end it", async () => {
    const pod = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } };
    await api.call("POST", PODS, pod);
    const bind = { target: { kind: "Node", name: "local" } };
    assert.equal((await api.call("POST", `${PODS}/p/binding`, bind)).status, 201);
    refused(
      await api.call("POST", `${PODS}/p/binding`, bind),
      409,
      "Conflict",
      /already assigned to node "local"/,
    );
    const marked = await api.call("DELETE", `${PODS}/p`);
    assert.equal(marked.json["metadata"]?.["deletionGracePeriodSeconds"], 30);
    const shorter = await api.call("DELETE", `${PODS}/p`, { gracePeriodSeconds: 5 });
    assert.equal(shorter.json["metadata"]?.["deletionGracePeriodSeconds"], 5);
    const longer = await api.call("DELETE", `${PODS}/p`, { gracePeriodSeconds: 50 });
    assert.equal(longer.json["metadata"]?.["deletionGracePeriodSeconds"], 5);
    assert.equal((await api.call("GET", `${PODS}/p`)).status, 200);
    await api.call("DELETE", `${PODS}/p`, { gracePeriodSeconds: 0 });
    assert.equal((await api.call("GET", `${PODS}/p`)).status, 404);
  });

  it("deletes a Pod without a node at once", async () => {
    const pod = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } };
    await api.call("POST", PODS, pod);
    await api.call("DELETE", `${PODS}/p`);
    assert.equal((await api.call("GET", `${PODS}/p`)).status, 404);
  });

  it("SVC-017: deletes of a collection what the selector matches", async () => {
    for (const name of ["a", "b", "c"]) {
      await api.call("POST", SERVICES, {
        ...service(name),
        metadata: { name, labels: { odd: String(name !== "b") } },
      });
    }
    const { json } = await api.call("DELETE", `${SERVICES}?labelSelector=odd%3Dtrue`);
    assert.equal(json["kind"], "ServiceList");
    const left = await api.call("GET", SERVICES);
    assert.deepEqual(
      [...JSON.stringify(left.json).matchAll(/"name":"(\w+)"/g)].map(([, name]) => name),
      ["b"],
    );
  });

  it("SVC-018: takes the Endpoints of a Service with it", async () => {
    await api.call("POST", SERVICES, service("a"));
    await api.call("POST", "/api/v1/namespaces/default/endpoints", { metadata: { name: "a" } });
    await api.call("DELETE", `${SERVICES}/a`);
    assert.equal((await api.call("GET", "/api/v1/namespaces/default/endpoints/a")).status, 404);
  });

  it("takes a Namespace away once it is finalized, and lets nothing new in before", async () => {
    await api.call("POST", "/api/v1/namespaces", { metadata: { name: "n" } });
    const marked = await api.call("DELETE", "/api/v1/namespaces/n");
    assert.equal(marked.json["status"]?.["phase"], "Terminating");
    refused(
      await api.call("POST", "/api/v1/namespaces/n/configmaps", map("a")),
      403,
      "Forbidden",
      'configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated',
    );
    const body = { metadata: { name: "n" }, spec: { finalizers: [] } };
    assert.equal((await api.call("PUT", "/api/v1/namespaces/n/finalize", body)).status, 200);
    assert.equal((await api.call("GET", "/api/v1/namespaces/n")).status, 404);
    refused(
      await api.call("DELETE", "/api/v1/namespaces/default"),
      403,
      "Forbidden",
      /may not be deleted/,
    );
  });
});

describe("list", () => {
  const names = ({ json }: Answer) =>
    [...JSON.stringify(json["items"]).matchAll(/"name":"(\w+)"/g)].map(([, name]) => name);
  const fill = async (...list: readonly string[]) => {
    for (const name of list) await api.call("POST", MAPS, map(name));
  };

  it("pages through the state of the first page", async () => {
    await fill("a", "b", "c", "d");
    const first = await api.call("GET", `${MAPS}?limit=2`);
    assert.deepEqual(names(first), ["a", "b"]);
    assert.equal(first.json["metadata"]?.["remainingItemCount"], 2);
    await api.call("DELETE", `${MAPS}/c`);
    await fill("e", "aa");
    const token = textAt(first.json, "metadata.continue");
    const second = await api.call("GET", `${MAPS}?limit=2&continue=${token}`);
    assert.deepEqual(names(second), ["c", "d"]);
    assert.equal(
      second.json["metadata"]?.["resourceVersion"],
      first.json["metadata"]?.["resourceVersion"],
    );
    assert.equal(second.json["metadata"]?.["continue"], undefined);
    refused(
      await api.call("GET", `${MAPS}?continue=junk`),
      400,
      "BadRequest",
      /continue key is not valid/,
    );
  });

  it("gives exact and newer states by resourceVersion", async () => {
    await fill("a");
    const version = String(api.store.revision);
    await fill("b");
    const exact = await api.call(
      "GET",
      `${MAPS}?resourceVersion=${version}&resourceVersionMatch=Exact`,
    );
    assert.deepEqual(names(exact), ["a"]);
    assert.equal(exact.json["metadata"]?.["resourceVersion"], version);
    assert.deepEqual(names(await api.call("GET", `${MAPS}?resourceVersion=${version}`)), [
      "a",
      "b",
    ]);
    assert.deepEqual(names(await api.call("GET", `${MAPS}?resourceVersion=0`)), ["a", "b"]);
    const page = await api.call("GET", `${MAPS}?resourceVersion=${version}&limit=5`);
    assert.deepEqual(names(page), ["a"]);
    refused(
      await api.call("GET", `${MAPS}?resourceVersion=x`),
      400,
      "BadRequest",
      /resourceVersion/,
    );
    refused(
      await api.call("GET", `${MAPS}?resourceVersionMatch=Exact`),
      422,
      "Invalid",
      /forbidden unless resourceVersion is provided/,
    );
    refused(
      await api.call("GET", `${MAPS}?sendInitialEvents=true`),
      422,
      "Invalid",
      /forbidden for list/,
    );
  });

  it("selects by labels and fields", async () => {
    await api.call("POST", MAPS, map("a", {}, { labels: { x: "1" } }));
    await api.call("POST", MAPS, map("b", {}, { labels: { x: "2" } }));
    await fill("bb");
    assert.deepEqual(
      names(await api.call("GET", "/api/v1/configmaps?labelSelector=x%20in%20(2,3)")),
      ["b"],
    );
    assert.deepEqual(names(await api.call("GET", `${MAPS}?fieldSelector=metadata.name%3Db`)), [
      "b",
    ]);
    assert.deepEqual(
      names(await api.call("GET", `/api/v1/configmaps?fieldSelector=metadata.name%21%3Db`)),
      ["a", "bb"],
    );
    refused(
      await api.call("GET", `${MAPS}?labelSelector=%3D%3D`),
      400,
      "BadRequest",
      /unable to parse requirement/,
    );
    refused(
      await api.call("GET", `${MAPS}?fieldSelector=spec.x%3D1`),
      400,
      "BadRequest",
      /is not a known field selector/,
    );
  });

  it("answers tables and metadata when asked", async () => {
    await fill("a");
    const table = await api.call("GET", MAPS, undefined, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" },
    });
    assert.equal(table.json["kind"], "Table");
    assert.match(table.text, /"cells":\["a",/);
    assert.match(table.text, /"kind":"PartialObjectMetadata"/);
    const metadata = await api.call("GET", MAPS, undefined, {
      headers: { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" },
    });
    assert.equal(metadata.json["kind"], "PartialObjectMetadataList");
    refused(
      await api.call("GET", MAPS, undefined, {
        headers: { accept: "application/vnd.kubernetes.protobuf" },
      }),
      406,
      "NotAcceptable",
      /application\/json/,
    );
  });

  it("compresses large answers for who takes it", async () => {
    const large = "x".repeat(1000);
    await Promise.all(
      Array.from({ length: 150 }, (_, i) =>
        api.call("POST", MAPS, map(`m${String(i)}`, { large })),
      ),
    );
    const plain = await api.call("GET", MAPS);
    const response = await api.open(MAPS, { headers: { "accept-encoding": "gzip" } });
    assert.equal(response.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(await readAll(response.body)).toString(), plain.text);
    assert.equal(
      (await api.open(`${MAPS}/m1`, { headers: { "accept-encoding": "gzip" } })).headers[
        "content-encoding"
      ],
      undefined,
    );
  });
});

describe("Services", () => {
  it("ALLOC-001: never share an address or a node port, however many are created at once", async () => {
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        api.call("POST", SERVICES, service(`s${String(i)}`, { type: "NodePort" })),
      ),
    );
    const ips = made.map(({ json }) => textAt(json, "spec.clusterIP"));
    const ports = made.map(({ text }) => /"nodePort":(\d+)/.exec(text)?.[1]);
    assert.equal(new Set(ips).size, 40);
    assert.equal(new Set(ports).size, 40);
  });

  it("ALLOC-002: one of many wins an address that all ask for", async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        api.call("POST", SERVICES, service(`s${String(i)}`, { clusterIP: "10.96.5.5" })),
      ),
    );
    assert.equal(made.filter(({ status }) => status === 201).length, 1);
    assert.equal(made.filter(({ status }) => status === 422).length, 9);
  });

  it("ALLOC-003, ALLOC-032: a refused write takes nothing, and a deletion gives back", async () => {
    await using small = await startTestServer({ serviceCidrs: [cidr("10.96.0.0/30")] });
    // Two addresses of a /30 can be given.
    for (const name of ["zero", "one"]) {
      assert.equal((await small.call("POST", SERVICES, service(name))).status, 201);
    }
    for (let i = 0; i < 3; i++) {
      refused(
        await small.call("POST", SERVICES, service("1bad")),
        500,
        "InternalError",
        /range is full/,
      );
      await small.call("DELETE", `${SERVICES}/one`);
      refused(await small.call("POST", SERVICES, service("1bad")), 422, "Invalid", /DNS-1035/);
      await small.call("POST", `${SERVICES}?dryRun=All`, service("one"));
      assert.equal((await small.call("POST", SERVICES, service("one"))).status, 201);
    }
  });

  it("UPD-001: keep their address when an update leaves it out", async () => {
    const made = await api.call("POST", SERVICES, service("a"));
    const updated = await api.call("PUT", `${SERVICES}/a`, service("a", { ports: [{ port: 81 }] }));
    assert.equal(updated.json["spec"]?.["clusterIP"], made.json["spec"]?.["clusterIP"]);
    assert.equal(updated.status, 200);
  });

  it("keep what they hold over a restart of the server", async () => {
    const made = await api.call("POST", SERVICES, service("a", { clusterIP: "10.96.3.3" }));
    await api.restart();
    assert.equal((await api.call("GET", `${SERVICES}/a`)).text, made.text);
    const second = await api.call("POST", SERVICES, service("b", { clusterIP: "10.96.3.3" }));
    refused(second, 422, "Invalid", /already allocated/);
  });
});

describe("Events", () => {
  const EVENTS = "/api/v1/namespaces/default/events";
  it("go when nothing was added to them for an hour", async () => {
    const event = (name: string, lastTimestamp: string) => ({
      metadata: { name, namespace: "default" },
      involvedObject: { kind: "Service", namespace: "default", name: "x" },
      reason: "R",
      lastTimestamp,
    });
    const at = (time: string) => ({ now: () => Date.parse(time) });
    await using server = await startTestServer(at("2030-01-01T00:00:00Z"));
    await server.call("POST", EVENTS, event("old", "2030-01-01T00:00:00Z"));
    await server.call("POST", EVENTS, event("new", "2030-01-01T00:50:00Z"));
    await server.restart(at("2030-01-01T01:30:00Z"));
    const { body } = await server.open(`${EVENTS}?watch=1&fieldSelector=metadata.name%3Dold`);
    let seen = "";
    for await (const chunk of body) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes('"DELETED"')) break;
    }
    const { text } = await server.call("GET", EVENTS);
    assert.doesNotMatch(text, /"name":"old"/);
    assert.match(text, /"name":"new"/);
  });
});

describe("EndpointSlices in loopback mode", () => {
  const slice = (address: string) => ({
    metadata: { name: "s" },
    addressType: "IPv4",
    endpoints: [{ addresses: [address] }],
    ports: [],
  });
  const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const controller = { name: "system:portolan:endpointslice", groups: ["system:masters"] };

  it("take Pod addresses from our controllers alone, and no other loopback address", async () => {
    await using server = await startTestServer({
      kinds: servedKinds({ podCidrs: [cidr("127.0.0.1/32"), cidr("127.112.0.0/16")] }),
      loopbackPodCidrs: [cidr("127.112.0.0/16")],
      loopbackWriters: ({ name }) => name.startsWith("system:portolan:"),
    });
    const post = (address: string, user?: typeof controller) =>
      server.call("POST", SLICES, slice(address), user === undefined ? {} : { user });
    refused(
      await post("127.112.0.9"),
      422,
      "Invalid",
      'EndpointSlice.discovery.k8s.io "s" is invalid: endpoints[0].addresses[0]: Invalid value: "127.112.0.9": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    );
    refused(
      await post("127.0.0.1", controller),
      422,
      "Invalid",
      /may not be in the loopback range/,
    );
    assert.equal((await post("127.112.0.9", controller)).status, 201);
    const label = { metadata: { labels: { a: "b" } } };
    assert.equal((await server.call("PATCH", `${SLICES}/s`, label, MERGE)).status, 200);
    const other = { endpoints: [{ addresses: ["127.112.0.8"] }] };
    const changed = await server.call("PATCH", `${SLICES}/s`, other, MERGE);
    refused(changed, 422, "Invalid", /may not be in the loopback range/);
  });
});

describe("the server itself", () => {
  it("answers health to anybody, and nothing else without a user", async () => {
    const ask = async (url: string) => {
      const request = { method: "GET" as const, url, headers: {}, signal: never() };
      const response = await api.server.handle(request, undefined);
      return { status: response.status, text: (await readAll(response.body)).toString() };
    };
    assert.deepEqual(await ask("/readyz"), { status: 200, text: "ok" });
    assert.match((await ask("/livez?verbose")).text, /\[\+\]ping ok\n/);
    for (const url of ["/version", "/api", "/api/v1/services", "/metrics", "/nope"]) {
      assert.equal((await ask(url)).status, 401, url);
    }
  });

  it("answers 404 and 405 where upstream does", async () => {
    const lost = "the server could not find the requested resource";
    for (const url of ["/nope", "/api/v2", "/apis/apps/v9", "/api/v1/nothings", `${MAPS}/a/nope`]) {
      refused(await api.call("GET", url), 404, "NotFound", lost);
    }
    refused(await api.call("PUT", MAPS, {}), 405, "MethodNotAllowed", /does not allow this method/);
    refused(
      await api.call("POST", `${MAPS}/a`, {}),
      405,
      "MethodNotAllowed",
      /does not allow this method/,
    );
    refused(
      await api.call("POST", `${PODS}/a/log`, {}),
      405,
      "MethodNotAllowed",
      /does not allow this method/,
    );
  });

  it("gives documents an ETag and answers 304 to who has them", async () => {
    for (const url of [
      "/api",
      "/apis",
      "/api/v1",
      "/apis/discovery.k8s.io",
      "/openapi/v3",
      "/openapi/v3/api/v1",
    ]) {
      const first = await api.call("GET", url);
      assert.equal(first.status, 200, url);
      const etag = first.headers["etag"] ?? "";
      const second = await api.call("GET", url, undefined, { headers: { "if-none-match": etag } });
      assert.equal(second.status, 304, url);
      assert.equal(second.text, "");
    }
  });

  it("tells discovery in the form that is asked for", async () => {
    const accept =
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    const aggregated = await api.call("GET", "/apis", undefined, { headers: { accept } });
    assert.equal(aggregated.json["kind"], "APIGroupDiscoveryList");
    assert.equal(
      aggregated.headers["content-type"],
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    );
    assert.equal((await api.call("GET", "/apis")).json["kind"], "APIGroupList");
    assert.equal((await api.call("GET", "/api")).json["kind"], "APIVersions");
  });

  it("sends who asks with an old hash to the new one", async () => {
    const answer = await api.call("GET", "/openapi/v3/api/v1?hash=OLD");
    assert.equal(answer.status, 301);
    const moved = await api.call("GET", answer.headers["location"] ?? "");
    assert.equal(moved.headers["cache-control"], "public, immutable");
  });

  it("counts what it answers, by what is served and not by what is asked", async () => {
    const metrics = new Metrics();
    await using server = await startTestServer({ metrics, renderMetrics: () => metrics.render() });
    await server.call("POST", MAPS, map("a"));
    await server.call("GET", "/api/v1/nonsense");
    const { text } = await server.call("GET", "/metrics");
    assert.match(
      text,
      /portolan_api_requests_total\{method="POST",resource="configmaps",code="201"\} 1/,
    );
    assert.match(text, /portolan_api_requests_total\{method="GET",resource="",code="404"\} 1/);
    assert.match(text, /portolan_api_objects\{resource="configmaps"\} 1/);
  });
});

describe("a write that is refused for its answer's form", () => {
  let api: TestServer;
  beforeEach(async () => {
    api = await startTestServer();
  });
  afterEach(() => api[Symbol.asyncDispose]());
  const url = "/api/v1/namespaces/default/configmaps";
  const body = { metadata: { name: "a" } };

  it("writes nothing when no form that is accepted can be given", async () => {
    const answer = await api.call("POST", url, body, { headers: { accept: "text/html" } });
    assert.equal(answer.status, 406);
    assert.equal((await api.call("GET", `${url}/a`)).status, 404);
  });

  it("writes nothing when the options of a table are wrong", async () => {
    const headers = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
    const answer = await api.call("POST", `${url}?includeObject=x`, body, { headers });
    assert.equal(answer.status, 422);
    assert.equal((await api.call("GET", `${url}/a`)).status, 404);
    assert.equal(
      (await api.call("GET", `${url}?watch=1&includeObject=x`, undefined, { headers })).status,
      422,
    );
  });

  it("refuses a type that is no text", async () => {
    for (const apiVersion of [{ toString: 1 }, [], 1, true]) {
      const answer = await api.call("POST", url, { ...body, apiVersion });
      assert.equal(answer.status, 400);
      assert.match(textAt(answer.json, "message"), /cannot unmarshal .* of type string/);
    }
  });

  it("is not allowed on paths that are only read", async () => {
    for (const [method, path] of [
      ["POST", "/api/v1/configmaps"],
      ["DELETE", "/api/v1/configmaps"],
      ["POST", "/api/v1/watch/namespaces/default/configmaps"],
      ["DELETE", "/api/v1/namespaces"],
    ] as const) {
      assert.equal((await api.call(method, path, body)).status, 405, `${method} ${path}`);
    }
  });
});
