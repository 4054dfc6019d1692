import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serviceKind } from "../../v1/service.kind.ts";
import { thingOf, writingOf } from "./fixtures.test.ts";
import { encodeOwners, readOwners, storedOwners } from "./owners.ts";
import type { Owner } from "./owners.ts";
import { recordUpdate } from "./ownership.ts";
import { shapeOf } from "./shape.ts";

const LATER = "2026-01-02T00:00:00Z";

describe("recordUpdate()", () => {
  it("gives a creator what it brought, with the maps and lists around it, as upstream shows it", () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "a", namespace: "b", uid: "u", labels: { app: "x" } },
      spec: { ports: [{ port: 80, protocol: "TCP" }], selector: { app: "x" }, type: "ClusterIP" },
      status: { loadBalancer: {} },
    };
    const writing = writingOf("kubectl", { shape: shapeOf(serviceKind.schema), apiVersion: "v1" });
    const [owner] = recordUpdate(writing, undefined, service, []);
    assert.deepEqual(owner?.fields, {
      "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
      "f:spec": {
        "f:ports": {
          ".": {},
          'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:protocol": {} },
        },
        "f:selector": {},
        "f:type": {},
      },
    });
  });

  const created = recordUpdate(
    writingOf("a"),
    undefined,
    thingOf({ replicas: 1, paused: true }),
    [],
  );

  it("moves what a write changed to its writer, with the time", () => {
    const owners = recordUpdate(
      writingOf("b", { time: LATER }),
      thingOf({ replicas: 1, paused: true }),
      thingOf({ replicas: 2, paused: true }),
      created,
    );
    assert.deepEqual(
      owners.map(({ manager, time, fields }) => [manager, time, fields["f:spec"]]),
      [
        ["a", "2026-01-01T00:00:00Z", { "f:paused": {} }],
        ["b", LATER, { "f:replicas": {} }],
      ],
    );
  });

  it("joins what a writer changes to what it owns", () => {
    const owners = recordUpdate(
      writingOf("a", { time: LATER }),
      thingOf({ replicas: 1, paused: true }),
      thingOf({ replicas: 2, paused: true }),
      created,
    );
    assert.deepEqual(owners, [{ ...created[0], time: LATER }]);
  });

  it("gives the very same owners when nothing changes", () => {
    const same = thingOf({ replicas: 1, paused: true });
    assert.equal(recordUpdate(writingOf("b"), same, structuredClone(same), created), created);
  });

  it("gives nobody what identifies an object or is the server's", () => {
    const owners = recordUpdate(
      writingOf("b"),
      thingOf({}, { resourceVersion: "1", uid: "u" }),
      thingOf({}, { resourceVersion: "2", uid: "v", generation: 3 }),
      created,
    );
    assert.deepEqual(owners, created);
  });

  it("gives nobody what the write does not reach", () => {
    const before = thingOf({});
    const owners = recordUpdate(
      writingOf("b"),
      before,
      { ...before, status: { phase: "x" } },
      created,
    );
    assert.deepEqual(owners, created);
  });

  it("records nothing for an object that nobody owns anything of", () => {
    assert.deepEqual(recordUpdate(writingOf("b"), thingOf({}), thingOf({ replicas: 1 }), []), []);
  });

  it("tells updaters by subresource", () => {
    const owners = recordUpdate(
      writingOf("a", { subresource: "status", ignored: {} }),
      thingOf({ replicas: 1 }),
      { ...thingOf({ replicas: 1 }), status: { phase: "x" } },
      created,
    );
    assert.deepEqual(
      owners.map(({ subresource }) => subresource),
      ["", "status"],
    );
  });

  it("joins the oldest when an object has more than ten updaters", () => {
    let owners: readonly Owner[] = [];
    const labels: Record<string, string> = {};
    let object = thingOf({ labels });
    for (let i = 10; i < 25; i++) {
      labels[`l${String(i)}`] = "x";
      const next = thingOf({ labels: { ...labels } });
      const time = `2026-01-01T00:00:${String(i)}Z`;
      owners = recordUpdate(
        writingOf(`m${String(i)}`, { time }),
        i === 10 ? undefined : object,
        next,
        owners,
      );
      object = next;
    }
    const names = encodeOwners(owners)?.map(({ manager }) => manager);
    assert.equal(names?.length, 10);
    assert.equal(names[0], "ancient-changes");
    assert.equal(names[9], "m24");
  });
});

describe("managedFields", () => {
  const apply: Owner = {
    manager: "z",
    operation: "Apply",
    apiVersion: "v1",
    subresource: "",
    time: LATER,
    fields: { "f:b": {}, "f:a": {} },
  };
  const update: Owner = { ...apply, manager: "a", operation: "Update", subresource: "status" };

  it("come in upstream's order with their fields in order", () => {
    const entries = encodeOwners([update, apply, { ...update, manager: "0", time: undefined }]);
    assert.deepEqual(
      entries?.map(({ manager }) => manager),
      ["z", "0", "a"],
    );
    assert.equal(
      JSON.stringify(entries[2]),
      `{"manager":"a","operation":"Update","apiVersion":"v1","time":"${LATER}","fieldsType":"FieldsV1","fieldsV1":{"f:a":{},"f:b":{}},"subresource":"status"}`,
    );
  });

  it("are absent where there is no owner", () => assert.equal(encodeOwners([]), undefined));

  it("are read back as they were", () => {
    const entries = encodeOwners([apply, update]) ?? [];
    assert.deepEqual(storedOwners(entries), [apply, update]);
    assert.deepEqual(readOwners(entries), [apply, update]);
  });

  for (const bad of [
    { operation: "Delete" },
    { apiVersion: "" },
    { fieldsType: "FieldsV2" },
    { fieldsType: undefined },
    { fieldsV1: { x: {} } },
    { fieldsV1: "f:a" },
    { manager: "x".repeat(129) },
    { subresource: "x".repeat(257) },
  ]) {
    it(`are not read with ${JSON.stringify(bad)}`, () => {
      const [entry] = encodeOwners([apply]) ?? [];
      assert.equal(readOwners([{ ...entry, ...bad }]), undefined);
    });
  }
});
