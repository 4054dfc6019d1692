import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { Answer, Json, TestServer } from "../../test/apiserver/test-server.ts";

const APPLY = "application/apply-patch+yaml";
const MAPS = "/api/v1/namespaces/default/configmaps";
const SERVICES = "/api/v1/namespaces/default/services";

let api: TestServer;
let nowMs: number;
beforeEach(async () => {
  nowMs = Date.parse("2026-01-01T00:00:00Z");
  api = await startTestServer({ now: () => nowMs });
});
afterEach(() => api[Symbol.asyncDispose]());

const map = (data: object, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", ...metadata },
  data,
});
const service = (spec: object, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "a", ...metadata },
  spec,
});

function apply(url: string, body: unknown, query = "fieldManager=m"): Promise<Answer> {
  return api.call("PATCH", `${url}?${query}`, body, { headers: { "content-type": APPLY } });
}

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly time: string;
  readonly subresource?: string;
  readonly fieldsV1: Json;
}

async function entries(url: string): Promise<readonly Entry[]> {
  const { json } = await api.call("GET", url);
  // What the server gives out is of this form, or the assertions fail.
  return (json["metadata"]?.["managedFields"] ?? []) as unknown as readonly Entry[];
}
const managers = async (url: string) =>
  (await entries(url)).map(
    ({ manager, operation, subresource }) =>
      `${manager} ${operation}${subresource === undefined ? "" : ` ${subresource}`}`,
  );

function refused(answer: Answer, code: number, message: string): void {
  assert.equal(answer.json["message"], message);
  assert.equal(answer.status, code);
}

describe("apply", () => {
  it("creates what is not there, from YAML as well as from JSON", async () => {
    const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n";
    const made = await apply(`${MAPS}/a`, yaml);
    assert.equal(made.status, 201, made.text);
    assert.equal(textAt(made.json, "data.k"), "v");
    const again = await apply(`${MAPS}/a`, map({ k: "w" }));
    assert.equal(again.status, 200);
    assert.equal(textAt(again.json, "data.k"), "w");
    assert.deepEqual(await entries(`${MAPS}/a`), [
      {
        manager: "m",
        operation: "Apply",
        apiVersion: "v1",
        time: "2026-01-01T00:00:00Z",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:data": { "f:k": {} } },
      },
    ]);
  });

  it("writes nothing when it says what is there: no version, no event, the old time", async () => {
    const first = await apply(`${SERVICES}/a`, service({ ports: [{ port: 80 }] }));
    nowMs += 60_000;
    const again = await apply(`${SERVICES}/a`, service({ ports: [{ port: 80 }] }));
    assert.equal(again.status, 200);
    assert.equal(again.text, first.text);
  });

  it("keeps what the server filled in, and gives it to nobody", async () => {
    const { json } = await apply(`${SERVICES}/a`, service({ ports: [{ port: 80 }] }));
    const again = await apply(
      `${SERVICES}/a`,
      service({ ports: [{ port: 80 }, { port: 81, name: "b" }] }),
    );
    assert.equal(again.status, 422, "two ports need names");
    const named = service({
      ports: [
        { port: 80, name: "a" },
        { port: 81, name: "b" },
      ],
    });
    const changed = await apply(`${SERVICES}/a`, named);
    assert.equal(textAt(changed.json, "spec.clusterIP"), textAt(json, "spec.clusterIP"));
    const [entry] = await entries(`${SERVICES}/a`);
    assert.deepEqual(Object.keys(entry?.fieldsV1["f:spec"] ?? {}), ["f:ports"]);
  });

  it("removes what it sets no more", async () => {
    await apply(`${MAPS}/a`, map({ k: "v", l: "w" }, { labels: { x: "1" } }));
    const { json } = await apply(`${MAPS}/a`, map({ k: "v" }));
    assert.deepEqual(json["data"], { k: "v" });
    assert.equal(json["metadata"]?.["labels"], undefined);
  });

  it("conflicts as upstream says it, and not by force", async () => {
    await apply(`${MAPS}/a`, map({ k: "v", l: "v" }));
    const answer = await apply(`${MAPS}/a`, map({ k: "w", l: "w" }), "fieldManager=other");
    refused(
      answer,
      409,
      'Apply failed with 2 conflicts: conflicts with "m":\n- .data.k\n- .data.l',
    );
    assert.equal(answer.json["reason"], "Conflict");
    assert.deepEqual(answer.json["details"], {
      causes: [
        { reason: "FieldManagerConflict", message: 'conflict with "m"', field: ".data.k" },
        { reason: "FieldManagerConflict", message: 'conflict with "m"', field: ".data.l" },
      ],
    });
    const forced = await apply(`${MAPS}/a`, map({ k: "w" }), "fieldManager=other&force=true");
    assert.equal(forced.status, 200);
    assert.deepEqual(forced.json["data"], { k: "w", l: "v" });
    refused(
      await apply(`${MAPS}/a`, map({ k: "v", l: "v" })),
      409,
      'Apply failed with 1 conflict: conflict with "other": .data.k',
    );
  });

  it("refuses with upstream's words", async () => {
    const patchOptions = 'PatchOptions.meta.k8s.io "" is invalid: ';
    refused(
      await apply(`${MAPS}/a`, map({}), ""),
      422,
      `${patchOptions}fieldManager: Required value: is required for apply patch`,
    );
    refused(
      await apply(`${MAPS}/a`, map({}), `fieldManager=${"x".repeat(129)}`),
      422,
      `${patchOptions}fieldManager: Too long: may not be more than 128 bytes`,
    );
    refused(
      await apply(`${MAPS}/a`, map({}), "fieldManager=a%07b"),
      422,
      `${patchOptions}fieldManager: Invalid value: "a\\u0007b": invalid character U+0007 (at position 1)`,
    );
    refused(
      await apply(`${MAPS}/a`, map({}, { managedFields: [] })),
      400,
      "metadata.managedFields must be nil",
    );
    refused(
      await apply(`${SERVICES}/a`, service({ nope: 1 }, { namespace: "default" })),
      500,
      "failed to create typed patch object (default/a; /v1, Kind=Service): .spec.nope: field not declared in schema",
    );
    refused(await apply(`${SERVICES}/a`, map({})), 400, "invalid object type: /v1, Kind=ConfigMap");
    refused(await apply(`${MAPS}/a`, { data: {} }), 400, "invalid object type: /, Kind=");
    refused(
      await apply(`${MAPS}/b`, map({})),
      400,
      "the name of the object (a) does not match the name on the URL (b)",
    );
    refused(
      await apply(`${MAPS}/a`, "[1]"),
      400,
      "error decoding YAML: the configuration is not an object",
    );
    refused(
      await apply(
        `${MAPS}/a`,
        '{"apiVersion":"v1","kind":"ConfigMap","kind":"ConfigMap"}',
        "fieldManager=m&fieldValidation=Strict",
      ),
      400,
      'error strict decoding YAML: duplicate field "kind"',
    );
    refused(
      await apply(`${MAPS}/a`, map({}, { uid: "u" })),
      409,
      'Operation cannot be fulfilled on configmaps "a": uid mismatch: the provided object specified uid u, and no existing object was found',
    );
    refused(
      await apply("/api/v1/namespaces/nope/configmaps/a", map({})),
      404,
      'namespaces "nope" not found',
    );
    refused(await apply(`${SERVICES}/a/status`, service({})), 404, 'services "a" not found');
    const merge = { headers: { "content-type": "application/merge-patch+json" } };
    refused(
      await api.call("PATCH", `${MAPS}/a?force=true`, {}, merge),
      422,
      `${patchOptions}force: Forbidden: may not be specified for non-apply patch`,
    );
    assert.deepEqual((await api.call("GET", MAPS)).json["items"], []);
  });

  for (const [what, body] of [
    ["lists that nest without end", "[".repeat(100_000)],
    ["maps that nest without end", "{".repeat(100_000)],
    ["blocks that nest without end", "- ".repeat(100_000)],
    ["an alias within its own value", "a: &a [*a]"],
    ["an alias without an anchor", "a: *a"],
    [
      "aliases that nest without end",
      Array.from(
        { length: 90 },
        (_, i) => `a${i}: &a${i} ${"[".repeat(55)}${i === 0 ? "" : `*a${i - 1}`}${"]".repeat(55)}`,
      ).join("\n"),
    ],
  ] as const) {
    it(`refuses YAML with ${what}`, async () => {
      const answer = await apply(`${MAPS}/a`, body);
      assert.equal(answer.status, 400, answer.text);
      assert.match(textAt(answer.json, "message"), /^error converting YAML to JSON|nest|depth/);
    });
  }

  it("answers any JSON with a Status or with the object (fuzz)", async () => {
    const good = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "a", labels: { x: "1" }, finalizers: ["a/b"] },
      spec: {
        type: "LoadBalancer",
        selector: { x: "1" },
        ports: [{ name: "a", port: 80, targetPort: 1 }],
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } },
      },
      status: { conditions: [{ type: "X" }] },
    };
    const places = placesIn(good);
    const change = fc.tuple(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }));
    const property = fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.constantFrom("", "/status"),
      async (changes, subresource) => {
        const body = changes.reduce<unknown>(
          (object, [place, value]) => replaced(object, place, value),
          good,
        );
        const answer = await apply(
          `${SERVICES}/a${subresource}`,
          body,
          "fieldManager=f&force=true",
        );
        assert.ok([200, 201, 400, 404, 409, 422, 500].includes(answer.status));
        if (answer.status === 500) assert.match(answer.text, /failed to create typed patch object/);
        if (answer.status < 300) assert.equal(textAt(answer.json, "kind"), "Service");
        else assert.equal(textAt(answer.json, "kind"), "Status");
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });

  it("is judged as any write", async () => {
    const { status, json } = await apply(`${SERVICES}/a`, service({ ports: [{ port: 0 }] }));
    assert.equal(status, 422);
    assert.match(textAt(json, "message"), /spec\.ports\[0\]\.port: Invalid value: 0/);
  });

  it("leaves no trace as a dry run", async () => {
    const made = await apply(`${MAPS}/a`, map({ k: "v" }), "fieldManager=m&dryRun=All");
    assert.equal(made.status, 201);
    assert.equal((await api.call("GET", `${MAPS}/a`)).status, 404);
    await apply(`${MAPS}/a`, map({ k: "v" }));
    const before = await api.call("GET", `${MAPS}/a`);
    const changed = await apply(`${MAPS}/a`, map({ k: "w" }), "fieldManager=m&dryRun=All");
    assert.equal(textAt(changed.json, "data.k"), "w");
    assert.equal((await api.call("GET", `${MAPS}/a`)).text, before.text);
  });

  it("holds the version that it names", async () => {
    const { json } = await apply(`${MAPS}/a`, map({ k: "v" }));
    const resourceVersion = textAt(json, "metadata.resourceVersion");
    assert.equal((await apply(`${MAPS}/a`, map({ k: "w" }, { resourceVersion }))).status, 200);
    const late = await apply(`${MAPS}/a`, map({ k: "x" }, { resourceVersion }));
    assert.equal(late.status, 409);
    assert.match(textAt(late.json, "message"), /the object has been modified/);
  });

  it("of a status reaches the status only, under its own entry", async () => {
    await apply(`${SERVICES}/a`, service({ ports: [{ port: 80 }] }));
    const status = { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } };
    const lb = service({ type: "LoadBalancer", ports: [{ port: 80 }] });
    await apply(`${SERVICES}/a`, lb);
    const answer = await apply(`${SERVICES}/a/status`, {
      ...service({ publishNotReadyAddresses: true }),
      status,
    });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json["spec"]?.["publishNotReadyAddresses"], undefined);
    assert.deepEqual(await managers(`${SERVICES}/a`), ["m Apply", "m Apply status"]);
    const fields = (await entries(`${SERVICES}/a`))[1]?.fieldsV1;
    assert.deepEqual(fields, { "f:status": { "f:loadBalancer": { "f:ingress": {} } } });
  });

  it("of many at once loses nobody's fields", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `m${String(i)}`);
    const answers = await Promise.all(
      names.map((name) => apply(`${MAPS}/a`, map({ [name]: "v" }), `fieldManager=${name}`)),
    );
    const applied = answers.filter(({ status }) => status < 300).length;
    const { json } = await api.call("GET", `${MAPS}/a`);
    assert.equal(Object.keys(json["data"] ?? {}).length, applied);
    assert.equal((await managers(`${MAPS}/a`)).length, applied);
    assert.ok(applied >= 8, `${String(applied)} of 12 were not overtaken too often`);
  });
});

describe("managedFields", () => {
  const merge = (manager: string) => ({
    headers: { "content-type": "application/merge-patch+json", "user-agent": manager },
  });

  it("name the writer, or else the program that it says it is", async () => {
    await api.call("POST", `${MAPS}?fieldManager=creator`, map({ k: "v" }));
    await api.call("PATCH", `${MAPS}/a`, { data: { l: "v" } }, merge("editor/1.2 (linux)"));
    await api.call("PATCH", `${MAPS}/a`, { data: { n: "v" } }, merge(""));
    assert.deepEqual(await managers(`${MAPS}/a`), [
      "creator Update",
      "editor Update",
      "unknown Update",
    ]);
  });

  it("move with a changed field, and go with a removed one", async () => {
    await api.call("POST", `${MAPS}?fieldManager=a`, map({ k: "v", l: "v" }));
    await api.call("PUT", `${MAPS}/a?fieldManager=b`, map({ k: "w" }));
    assert.deepEqual(
      (await entries(`${MAPS}/a`)).map(({ manager, fieldsV1 }) => [manager, fieldsV1]),
      [
        ["a", { "f:data": {} }],
        ["b", { "f:data": { "f:k": {} } }],
      ],
    );
  });

  it("do not make a write of one that changes nothing", async () => {
    const { json } = await api.call("POST", SERVICES, service({ ports: [{ port: 80 }] }));
    nowMs += 60_000;
    const put = await api.call("PUT", `${SERVICES}/a?fieldManager=other`, json);
    const omitted = await api.call("PUT", `${SERVICES}/a`, service({ ports: [{ port: 80 }] }));
    const patched = await api.call("PATCH", `${SERVICES}/a`, { spec: {} }, merge("x"));
    for (const answer of [put, omitted, patched]) assert.deepEqual(answer.json, json);
  });

  it("keep server-made values out of their creator's entry, and status apart", async () => {
    await api.call("POST", `${SERVICES}?fieldManager=a`, service({ ports: [{ port: 80 }] }));
    const status = {
      status: {
        conditions: [
          {
            type: "X",
            status: "True",
            lastTransitionTime: "2026-01-01T00:00:00Z",
            reason: "R",
            message: "",
          },
        ],
      },
    };
    await api.call("PATCH", `${SERVICES}/a/status?fieldManager=b`, status, merge("x"));
    assert.deepEqual(await managers(`${SERVICES}/a`), ["a Update", "b Update status"]);
    const [main] = await entries(`${SERVICES}/a`);
    assert.deepEqual(Object.keys(main?.fieldsV1["f:spec"] ?? {}), [
      "f:internalTrafficPolicy",
      "f:ports",
      "f:sessionAffinity",
      "f:type",
    ]);
  });

  it("do not count a status that a write of the object carries and does not reach", async () => {
    await api.call("POST", `${SERVICES}?fieldManager=a`, service({ ports: [{ port: 80 }] }));
    const status = { loadBalancer: { ingress: [{ ip: "10.0.0.1", ipMode: "VIP" }] } };
    const put = { ...service({ type: "NodePort", ports: [{ port: 80 }] }), status };
    await api.call("PUT", `${SERVICES}/a?fieldManager=b`, put);
    await apply(`${SERVICES}/a`, put);
    for (const { fieldsV1 } of await entries(`${SERVICES}/a`)) {
      assert.equal(fieldsV1["f:status"], undefined);
    }
    assert.deepEqual(await managers(`${SERVICES}/a`), ["m Apply", "a Update", "b Update"]);
  });

  it("are cleared by a list with one empty entry, until the next apply", async () => {
    await api.call("POST", MAPS, map({ k: "v" }));
    const cleared = await api.call(
      "PATCH",
      `${MAPS}/a`,
      { metadata: { managedFields: [{}] } },
      merge("x"),
    );
    assert.equal(cleared.status, 200);
    assert.deepEqual(await managers(`${MAPS}/a`), []);
    await api.call("PATCH", `${MAPS}/a`, { data: { l: "v" } }, merge("x"));
    assert.deepEqual(await managers(`${MAPS}/a`), []);
    await apply(`${MAPS}/a`, map({ k: "v" }));
    assert.deepEqual(await managers(`${MAPS}/a`), ["m Apply", "before-first-apply Update"]);
  });

  for (const [what, managedFields] of [
    ["an empty list", []],
    ["something else", [{ manager: "x", operation: "Take", apiVersion: "v1" }]],
    [
      "fields that are none",
      [
        {
          manager: "x",
          operation: "Update",
          apiVersion: "v1",
          fieldsType: "FieldsV1",
          fieldsV1: { data: {} },
        },
      ],
    ],
  ] as const) {
    it(`stay as they were when ${what} is sent`, async () => {
      await api.call("POST", `${MAPS}?fieldManager=a`, map({ k: "v" }));
      const before = await entries(`${MAPS}/a`);
      await api.call("PUT", `${MAPS}/a`, map({ k: "v" }, { managedFields }));
      assert.deepEqual(await entries(`${MAPS}/a`), before);
    });
  }

  it("can be given to another by who writes the object, not by who writes its status", async () => {
    await api.call("POST", `${SERVICES}?fieldManager=a`, service({ ports: [{ port: 80 }] }));
    const [entry] = await entries(`${SERVICES}/a`);
    const patch = { metadata: { managedFields: [{ ...entry, manager: "heir" }] } };
    await api.call("PATCH", `${SERVICES}/a/status`, patch, merge("x"));
    assert.deepEqual(await managers(`${SERVICES}/a`), ["a Update"]);
    await api.call("PATCH", `${SERVICES}/a`, patch, merge("x"));
    assert.deepEqual(await managers(`${SERVICES}/a`), ["heir Update"]);
  });

  it("outlive a restart", async () => {
    await apply(`${MAPS}/a`, map({ k: "v" }));
    const before = await api.call("GET", `${MAPS}/a`);
    await api.restart();
    assert.equal((await api.call("GET", `${MAPS}/a`)).text, before.text);
  });

  it("name the server for what it makes itself", async () => {
    assert.deepEqual(await managers("/api/v1/namespaces/default"), ["kube-apiserver Update"]);
  });
});

type Place = readonly (string | number)[];

/** The places of all values in a JSON value, its own among them. */
function placesIn(value: unknown, place: Place = []): readonly Place[] {
  if (typeof value !== "object" || value === null) return [place];
  const inner = Array.isArray(value)
    ? value.flatMap((item: unknown, i) => placesIn(item, [...place, i]))
    : Object.entries(value).flatMap(([key, item]) => placesIn(item, [...place, key]));
  return [place, ...inner];
}

/** A copy with another value at one place, where that place is still there. */
function replaced(value: unknown, [first, ...rest]: Place, other: unknown): unknown {
  if (first === undefined) return other;
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) => (i === first ? replaced(item, rest, other) : item));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === first ? replaced(item, rest, other) : (item as unknown),
    ]),
  );
}
