import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dnsSubdomainProblems } from "../../net/names.ts";
import type { FieldError } from "./field-error.ts";
import type { ObjectMeta } from "./metadata.ts";
import { utf8Length, validateMetadata, validateMetadataUpdate } from "./metadata.validation.ts";
import { nameCheck } from "./name-formats.ts";

const rules = { namespaced: true, nameProblems: nameCheck(dnsSubdomainProblems) };
const meta = (fields: Partial<ObjectMeta> = {}): ObjectMeta => ({
  name: "web",
  namespace: "default",
  ...fields,
});
const owner = { apiVersion: "v1", kind: "Pod", name: "a", uid: "u", controller: true };
const texts = (errors: readonly FieldError[]): readonly string[] =>
  errors.map((error) => `${error.field}: ${error.message}`);

describe("validateMetadata()", () => {
  it("accepts what is right", () => {
    const good = [
      meta(),
      meta({ generateName: "web-" }),
      meta({
        labels: { "example.com/app": "web", tier: "" },
        annotations: { "Example.com/A": "x y" },
      }),
      meta({ finalizers: ["foregroundDeletion", "example.com/wait"], ownerReferences: [owner] }),
    ];
    for (const object of good) assert.deepEqual(texts(validateMetadata(object, rules)), []);
    const node = validateMetadata({ name: "n1" }, { ...rules, namespaced: false });
    assert.deepEqual(node, []);
  });

  const cases: readonly [ObjectMeta, ...string[]][] = [
    [meta({ name: "" }), "metadata.name: Required value: name or generateName is required"],
    [meta({ namespace: undefined }), "metadata.namespace: Required value"],
    [
      meta({ generation: -1 }),
      "metadata.generation: Invalid value: -1: must be greater than or equal to 0",
    ],
    [
      meta({ labels: { "": "x" } }),
      'metadata.labels: Invalid value: "": name part must be non-empty',
    ],
    [
      meta({ annotations: { big: "ü".repeat(131_072) } }),
      "metadata.annotations: Too long: may not be more than 262144 bytes",
    ],
    [
      meta({ ownerReferences: [{ ...owner, apiVersion: "", uid: "" }] }),
      'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
      'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    ],
    [
      meta({ finalizers: ["wait"] }),
      'metadata.finalizers: Invalid value: "wait": name is neither a standard finalizer name nor is it fully qualified',
    ],
    [
      meta({ finalizers: ["orphan", "foregroundDeletion"] }),
      'metadata.finalizers: Invalid value: []string{"orphan", "foregroundDeletion"}: finalizer orphan and foregroundDeletion cannot be both set',
    ],
  ];
  for (const [object, ...expected] of cases) {
    it(`refuses with ${expected[0] ?? ""}`, () => {
      const found = texts(validateMetadata(object, rules));
      assert.deepEqual(
        found.filter((text) => !text.includes("regex used")),
        expected,
      );
    });
  }

  it("refuses two controlling owners", () => {
    const [error, ...others] = validateMetadata(
      meta({ ownerReferences: [owner, { ...owner, name: "b" }] }),
      rules,
    );
    assert.equal(error?.field, "metadata.ownerReferences");
    assert.match(
      error.message,
      /Only one reference can have Controller set to true\. Found "true" in references for Pod\/a and Pod\/b$/,
    );
    assert.deepEqual(others, []);
  });

  it("refuses bad names, in names and prefixes, and a namespace where there is none", () => {
    const fields = (object: ObjectMeta, namespaced = true): readonly string[] =>
      validateMetadata(object, { ...rules, namespaced }).map((error) => error.field);
    assert.deepEqual(fields(meta({ name: "Web" })), ["metadata.name"]);
    assert.deepEqual(fields(meta({ generateName: "Web-" })), ["metadata.generateName"]);
    assert.deepEqual(fields(meta({ namespace: "a.b" })), ["metadata.namespace"]);
    assert.deepEqual(fields(meta(), false), ["metadata.namespace"]);
  });
});

describe("validateMetadataUpdate()", () => {
  const old = meta({ uid: "u1", creationTimestamp: "2026-01-02T03:04:05Z", generation: 3 });

  it("accepts changed labels, and leaves out what the server fills in", () => {
    assert.deepEqual(validateMetadataUpdate(meta({ labels: { a: "b" } }), old), []);
  });

  it("refuses changes of what is fixed", () => {
    const next = {
      ...old,
      name: "other",
      uid: "u2",
      creationTimestamp: "2026-01-02T03:04:06Z",
      deletionTimestamp: "2026-01-02T03:04:06Z",
      generation: 2,
    };
    assert.deepEqual(texts(validateMetadataUpdate(next, old)), [
      'metadata.name: Invalid value: "other": field is immutable',
      'metadata.uid: Invalid value: "u2": field is immutable',
      'metadata.creationTimestamp: Invalid value: "2026-01-02T03:04:06Z": field is immutable',
      'metadata.deletionTimestamp: Invalid value: "2026-01-02T03:04:06Z": field is immutable',
      "metadata.generation: Invalid value: 2: must not be decremented",
    ]);
  });

  it("refuses new finalizers while the object is being deleted", () => {
    const dying = { ...old, deletionTimestamp: "2026-01-02T03:04:05Z", finalizers: ["a.b/c"] };
    const next = { ...dying, finalizers: ["a.b/c", "a.b/d"] };
    assert.deepEqual(texts(validateMetadataUpdate(next, dying)), [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/d"}',
    ]);
    assert.deepEqual(validateMetadataUpdate({ ...dying, finalizers: [] }, dying), []);
  });
});

describe("utf8Length()", () => {
  it("counts bytes", () => {
    assert.equal(utf8Length("aü€😀"), 1 + 2 + 3 + 4);
  });
});
