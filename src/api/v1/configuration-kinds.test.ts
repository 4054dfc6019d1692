import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configMapKind } from "./configmap.kind.ts";
import type { ConfigMap } from "./configmap.ts";
import { secretKind } from "./secret.kind.ts";
import type { Secret } from "./secret.ts";
import { serviceAccountKind } from "./serviceaccount.kind.ts";

const metadata = { name: "a", namespace: "default" };
const configMap = (fields: Partial<ConfigMap>): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata,
  ...fields,
});
const secret = (fields: Partial<Secret>): Secret =>
  secretKind.strategy.defaults({ apiVersion: "v1", kind: "Secret", metadata, type: "", ...fields });

describe("configMapKind", () => {
  const { strategy, columns } = configMapKind;
  const texts = (object: ConfigMap): readonly string[] =>
    strategy.validateCreate(object).map((error) => `${error.field}: ${error.message}`);

  it("refuses keys that are no file names, keys given twice, and too much data", () => {
    assert.deepEqual(texts(configMap({ data: { "a.txt": "" }, binaryData: { b: "AA==" } })), []);
    assert.deepEqual(texts(configMap({ data: { ".": "" } })), [
      "data[.]: Invalid value: \".\": must not be '.'",
    ]);
    assert.deepEqual(texts(configMap({ data: { a: "" }, binaryData: { a: "" } })), [
      'data[a]: Invalid value: "a": duplicate of key present in binaryData',
    ]);
    const big = configMap({ data: { a: "x".repeat(1024 * 1024 - 1) }, binaryData: { b: "AAA=" } });
    assert.deepEqual(texts(big), [": Too long: may not be more than 1048576 bytes"]);
  });

  it("keeps the data of an immutable one", () => {
    const old = configMap({ data: { a: "1" }, immutable: true });
    const fields = (next: ConfigMap) =>
      strategy.validateUpdate(next, old).map((error) => error.field);
    assert.deepEqual(fields({ ...old, metadata: { ...metadata, labels: { x: "y" } } }), []);
    assert.deepEqual(fields(configMap({ data: { a: "2" } })), ["immutable", "data"]);
    const mutable = configMap({ data: { a: "1" } });
    assert.deepEqual(strategy.validateUpdate(old, mutable), []);
  });

  it("shows the number of keys", () => {
    const object = configMap({ data: { a: "", b: "" }, binaryData: { c: "" } });
    assert.equal(columns[1]?.cell(object, 0), 3);
  });
});

describe("secretKind", () => {
  const { strategy } = secretKind;
  const fields = (object: Secret): readonly string[] =>
    strategy.validateCreate(object).map((error) => error.field);

  it("is Opaque by default, and takes stringData into data", () => {
    const object = secret({ data: { a: "AA==", b: "AA==" }, stringData: { b: "ü", c: "" } });
    assert.deepEqual(object, {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      type: "Opaque",
      data: { a: "AA==", b: "w7w=", c: "" },
    });
  });

  it("requires the keys of its type", () => {
    assert.deepEqual(fields(secret({})), []);
    assert.deepEqual(fields(secret({ type: "__proto__" })), []);
    assert.deepEqual(fields(secret({ type: "constructor" })), []);
    const missing: Readonly<Record<string, readonly string[]>> = {
      "kubernetes.io/tls": ["data[tls.crt]", "data[tls.key]"],
      "kubernetes.io/ssh-auth": ["data[ssh-privatekey]"],
      "kubernetes.io/basic-auth": ["data[username]", "data[password]"],
      "kubernetes.io/service-account-token": [
        "metadata.annotations[kubernetes.io/service-account.name]",
      ],
    };
    for (const [type, expected] of Object.entries(missing)) {
      assert.deepEqual(fields(secret({ type })), expected, type);
    }
    const basic = secret({ type: "kubernetes.io/basic-auth", stringData: { password: "x" } });
    assert.deepEqual(fields(basic), []);
  });

  it("keeps its type, and its data when immutable", () => {
    const old = secret({ stringData: { a: "1" }, immutable: true });
    const next = secret({ type: "a.example/x", stringData: { a: "2" }, immutable: true });
    assert.deepEqual(
      strategy.validateUpdate(next, old).map((error) => `${error.field}: ${error.message}`),
      [
        'type: Invalid value: "a.example/x": field is immutable',
        "data: Forbidden: field is immutable when `immutable` is set",
      ],
    );
  });
});

describe("serviceAccountKind", () => {
  it("is printed with the number of its Secrets", () => {
    const object = { apiVersion: "v1", kind: "ServiceAccount", metadata, secrets: [{ name: "s" }] };
    assert.deepEqual(
      serviceAccountKind.columns.map((column) => column.cell(object, 0)),
      ["a", 1, "<unknown>"],
    );
  });
});
