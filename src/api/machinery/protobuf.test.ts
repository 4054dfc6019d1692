import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { endpointSlice } from "../discovery/endpointslice.ts";
import { configMap } from "../v1/configmap.ts";
import { namespace } from "../v1/namespace.ts";
import { node } from "../v1/node.ts";
import { pod } from "../v1/pod.ts";
import { secret } from "../v1/secret.ts";
import { service } from "../v1/service.ts";
import { serviceAccount } from "../v1/serviceaccount.ts";
import { decodeObject } from "./decode.ts";
import { deleteOptions } from "./delete-options.ts";
import { isJsonObject } from "./json.ts";
import { resolved } from "./json-fields.ts";
import { decodeProtobuf } from "./protobuf.ts";
import { MAX_JSON_VALUES } from "./json-text.ts";
import { encodeProtobuf } from "./protobuf-encode.ts";
import { openEnvelope, sealEnvelope } from "./protobuf-envelope.ts";
import {
  boolean,
  bytes,
  double,
  field,
  inline,
  int32,
  int64,
  intOrString,
  json,
  lazy,
  list,
  map,
  message,
  microTime,
  quantity,
  string,
  time,
} from "./schema.ts";
import type { MessageType, SchemaType } from "./schema.ts";

interface Capture {
  readonly command: string;
  readonly schema: MessageType;
  readonly hex: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly object: unknown;
}

// What kubectl 1.32.4 sent.
const CAPTURES: readonly Capture[] = [
  {
    command: "create service clusterip x --tcp=80:8080",
    schema: service,
    apiVersion: "v1",
    kind: "Service",
    hex:
      "6b3873000a0d0a02763112075365727669636512630a1b0a017812001a0022002a00320038004200" +
      "5a080a0361707012017812400a1b0a0738302d38303830120354435018502207080010903f1a0028" +
      "0012080a036170701201781a002209436c757374657249503a00420052005a00600068001a020a00" +
      "1a002200",
    object: {
      metadata: { name: "x", labels: { app: "x" } },
      spec: {
        ports: [{ name: "80-8080", protocol: "TCP", port: 80, targetPort: 8080 }],
        selector: { app: "x" },
        type: "ClusterIP",
      },
      status: { loadBalancer: {} },
    },
  },
  {
    command: "create service nodeport np --tcp=80:http --node-port=30080",
    schema: service,
    apiVersion: "v1",
    kind: "Service",
    hex:
      "6b3873000a0d0a027631120753657276696365126a0a1d0a026e7012001a0022002a003200380042" +
      "005a090a0361707012026e7012450a200a0738302d6874747012035443501850220a080110001a04" +
      "687474702880eb0112090a0361707012026e701a0022084e6f6465506f72743a00420052005a0060" +
      "0068001a020a001a002200",
    object: {
      metadata: { name: "np", labels: { app: "np" } },
      spec: {
        ports: [
          { name: "80-http", protocol: "TCP", port: 80, targetPort: "http", nodePort: 30080 },
        ],
        selector: { app: "np" },
        type: "NodePort",
      },
      status: { loadBalancer: {} },
    },
  },
  {
    command: "create service externalname en --external-name=example.com --tcp=80",
    schema: service,
    apiVersion: "v1",
    kind: "Service",
    hex:
      "6b3873000a0d0a027631120753657276696365126e0a1d0a02656e12001a0022002a003200380042" +
      "005a090a036170701202656e12490a150a023830120354435018502206080010501a00280012090a" +
      "036170701202656e1a00220c45787465726e616c4e616d653a004200520b6578616d706c652e636f" +
      "6d5a00600068001a020a001a002200",
    object: {
      metadata: { name: "en", labels: { app: "en" } },
      spec: {
        ports: [{ name: "80", protocol: "TCP", port: 80, targetPort: 80 }],
        selector: { app: "en" },
        type: "ExternalName",
        externalName: "example.com",
      },
      status: { loadBalancer: {} },
    },
  },
  {
    command: "create namespace team-a",
    schema: namespace,
    apiVersion: "v1",
    kind: "Namespace",
    hex:
      "6b3873000a0f0a02763112094e616d657370616365121e0a160a067465616d2d6112001a0022002a" +
      "0032003800420012001a020a001a002200",
    object: { metadata: { name: "team-a" }, spec: {}, status: {} },
  },
  {
    command: "create configmap cm --from-literal=a=b --from-literal=c=",
    schema: configMap,
    apiVersion: "v1",
    kind: "ConfigMap",
    hex:
      "6b3873000a0f0a0276311209436f6e6669674d617012230a120a02636d12001a0022002a00320038" +
      "00420012060a016112016212050a016312001a002200",
    object: { metadata: { name: "cm" }, data: { a: "b", c: "" } },
  },
  {
    command: "create secret generic s --from-literal=user=admin --from-literal=bin=é",
    schema: secret,
    apiVersion: "v1",
    kind: "Secret",
    hex:
      "6b3873000a0c0a027631120653656372657412300a110a017312001a0022002a0032003800420012" +
      "0a0a0362696e1203c3a901120d0a0475736572120561646d696e1a001a002200",
    object: { metadata: { name: "s" }, data: { bin: "w6kB", user: "YWRtaW4=" } },
  },
  {
    command: "create serviceaccount robot",
    schema: serviceAccount,
    apiVersion: "v1",
    kind: "ServiceAccount",
    hex:
      "6b3873000a140a027631120e536572766963654163636f756e7412170a150a05726f626f7412001a" +
      "0022002a003200380042001a002200",
    object: { metadata: { name: "robot" } },
  },
  {
    command: "drain n1 --disable-eviction --grace-period=5",
    schema: deleteOptions,
    apiVersion: "v1",
    kind: "DeleteOptions",
    hex: "6b3873000a130a027631120d44656c6574654f7074696f6e73120208051a002200",
    object: { gracePeriodSeconds: 5 },
  },
];

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function hexOf(body: Uint8Array): string {
  return Buffer.from(body).toString("hex");
}

/** The whole way of a body: protobuf to JSON to the canonical form. */
function canonical(schema: MessageType, body: Uint8Array): unknown {
  const decoded = decodeProtobuf(schema, body);
  assert.equal(decoded.kind, "decoded", JSON.stringify(decoded));
  const object = decodeObject(schema, decoded.kind === "decoded" ? decoded.value : undefined);
  assert.equal(object.kind, "decoded", JSON.stringify(object));
  assert.deepEqual(object.kind === "decoded" && object.unknownFields, []);
  return object.kind === "decoded" ? object.object : undefined;
}

describe("decodeProtobuf() of what kubectl sends", () => {
  for (const { command, schema, hex, apiVersion, kind, object } of CAPTURES) {
    it(`reads kubectl ${command}`, () => {
      const envelope = openEnvelope(bytesOf(hex));
      assert.ok(envelope.kind === "opened");
      assert.deepEqual([envelope.apiVersion, envelope.objectKind], [apiVersion, kind]);
      assert.deepEqual(canonical(schema, envelope.raw), object);
    });
  }
});

const embedded = message("test.v1.Embedded", "", { inner: field(1, string) });
const self: MessageType = message("test.v1.Self", "", {
  name: field(1, string),
  next: field(
    2,
    lazy((): MessageType => self),
  ),
});
const all = message("test.v1.All", "", {
  text: field(1, string),
  flag: field(2, boolean, { pointer: true }),
  small: field(3, int32, { pointer: true }),
  big: field(4, int64, { pointer: true }),
  ratio: field(5, double),
  blob: field(6, bytes),
  amount: field(7, quantity),
  target: field(8, intOrString),
  when: field(9, time),
  exactly: field(10, microTime),
  raw: field(11, json),
  texts: field(12, list(string)),
  numbers: field(13, list(int32)),
  labels: field(14, map(string)),
  limits: field(15, map(quantity)),
  embedded: inline(16, embedded),
  self: field(17, self),
});

// Computed by hand from the encoding rules.
const BYTES: readonly (readonly [string, string, unknown])[] = [
  ["a string", "0a 03 61 c3a9", { text: "aé" }],
  ["the zero of a pointer", "10 00 18 00", { flag: false, small: 0 }],
  ["a negative int32 in ten bytes", "18 ffffffffffffffffff01", { small: -1 }],
  ["a large int64", "20 80808080808080 10", { big: 2 ** 53 }],
  ["the least int64", "20 808080808080808080 01", { big: -(2 ** 63) }],
  ["a double", "29 000000000000f83f", { ratio: 1.5 }],
  ["bytes", "32 02 ff00", { blob: "/wA=" }],
  ["a quantity", "3a 06 0a 04 3530306d", { amount: "500m" }],
  ["a number as intOrString", "42 06 08 00 10 50 1a 00", { target: 80 }],
  ["a name as intOrString", "42 09 08 01 10 00 1a 03 776562", { target: "web" }],
  ["a time", "4a 08 08 80c08ec906 10 00", { when: "2025-11-24T00:00:00Z" }],
  [
    "a time with microseconds",
    "52 0a 08 80c08ec906 10 c0843d",
    { exactly: "2025-11-24T00:00:00.001000Z" },
  ],
  ["a raw value", "5a 09 0a 07 7b2261223a317d", { raw: { a: 1 } }],
  ["lists", "62 01 61 62 01 62 68 01 68 02", { texts: ["a", "b"], numbers: [1, 2] }],
  ["a map", "72 06 0a 01 61 12 01 62", { labels: { a: "b" } }],
  ["a map of messages", "7a 08 0a 01 61 12 03 0a 01 31", { limits: { a: "1" } }],
  ["an inline message", "8201 03 0a 01 78", { inner: "x" }],
  ["a message in itself", "8a01 05 0a 01 61 12 00", { self: { name: "a", next: {} } }],
];

describe("decodeProtobuf()", () => {
  for (const [claim, hex, object] of BYTES) {
    it(`reads ${claim}`, () => {
      assert.deepEqual(canonical(all, bytesOf(hex.replaceAll(" ", ""))), object);
    });
  }

  const TOLERATED: readonly (readonly [string, string, unknown])[] = [
    ["drops zeros that Go writes", "0a 00 4a 00 5a 00", {}],
    ["reads packed numbers", "6a 03 01 02 03", { numbers: [1, 2, 3] }],
    ["takes the last of several", "0a 01 61 0a 01 62", { text: "b" }],
    [
      "takes a missing map key and value for zeros",
      "72 00 7a 00",
      { labels: { "": "" }, limits: { "": "0" } },
    ],
    [
      "skips fields that it does not know",
      "f806 01 f206 02 0000 f506 00000000 f106 0000000000000000",
      {},
    ],
    [
      "keeps a map key called __proto__",
      "72 0e 0a 09 5f5f70726f746f5f5f 12 01 62",
      { labels: JSON.parse('{"__proto__":"b"}') },
    ],
  ];
  for (const [claim, hex, object] of TOLERATED) {
    it(claim, () => {
      assert.deepEqual(canonical(all, bytesOf(hex.replaceAll(" ", ""))), object);
    });
  }

  const MALFORMED: readonly (readonly [string, string, string])[] = [
    ["a value that ends early", "0a 05 61", "proto: unexpected EOF"],
    ["a tag without a value", "0a", "proto: unexpected EOF"],
    ["an endless varint", "20 ffffffffffffffffffff 01", "proto: integer overflow"],
    ["a length beyond everything", "0a ffffffffffffff7f", "proto: unexpected EOF"],
    ["a negative length", "0a ffffffffffffffffff01", "proto: unexpected EOF"],
    ["the wrong form", "0d 00000000", "proto: wrong wireType = 5 for field text"],
    ["a group", "f306", "proto: illegal wire type 3"],
    ["tag zero", "00 00", "proto: illegal tag 0"],
    ["a raw value that is no JSON", "5a 03 0a 01 7b", "proto: raw value is no JSON: "],
    ["a time that no calendar has", "4a 07 08 ffffffffff7f", "proto: time out of range"],
  ];
  for (const [claim, hex, text] of MALFORMED) {
    it(`refuses ${claim}`, () => {
      const decoded = decodeProtobuf(all, bytesOf(hex.replaceAll(" ", "")));
      assert.equal(decoded.kind, "malformed");
      assert.ok(
        decoded.kind === "malformed" && decoded.message.startsWith(text),
        JSON.stringify(decoded),
      );
    });
  }

  it("refuses a message nested without end", () => {
    let nested = new Uint8Array();
    for (let i = 0; i < 200; i++) nested = new Uint8Array(encodeSelf(nested));
    assert.deepEqual(decodeProtobuf(self, nested), {
      kind: "malformed",
      message: "proto: exceeded max depth",
    });
  });

  it("answers, and does not throw, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
        decodeProtobuf(all, body);
        openEnvelope(Uint8Array.from([0x6b, 0x38, 0x73, 0x00, ...body]));
      }),
    );
  });
});

/** `next` around a message of at most 16 kB. */
function encodeSelf(inner: Uint8Array): number[] {
  const length =
    inner.length < 128 ? [inner.length] : [(inner.length & 0x7f) | 0x80, inner.length >> 7];
  return [0x12, ...length, ...inner];
}

describe("encodeProtobuf()", () => {
  for (const [claim, hex, object] of BYTES) {
    it(`writes ${claim}`, () => {
      assert.ok(isJsonObject(object));
      assert.equal(
        hexOf(encodeProtobuf(all, object))
          .replace(/^820100/, "")
          .replaceAll("820100", ""),
        hex.replaceAll(" ", ""),
      );
    });
  }

  const KINDS = { all, service, endpointSlice, pod, node, secret, configMap };
  for (const [name, schema] of Object.entries(KINDS)) {
    it(`loses nothing of any ${name}`, () => {
      fc.assert(
        fc.property(valueOf(schema, 0), (value) => {
          const before = decodeObject(schema, value);
          assert.equal(before.kind, "decoded");
          const object = before.kind === "decoded" ? before.object : {};
          assert.deepEqual(canonical(schema, encodeProtobuf(schema, object)), object);
        }),
        { numRuns: 50 },
      );
    });
  }
});

describe("sealEnvelope()", () => {
  it("is undone by openEnvelope()", () => {
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "é" },
      data: { a: "b" },
    };
    const envelope = openEnvelope(sealEnvelope(configMap, object));
    assert.equal(envelope.kind, "opened");
    assert.ok(envelope.kind === "opened");
    assert.deepEqual([envelope.apiVersion, envelope.objectKind], ["v1", "ConfigMap"]);
    assert.deepEqual(canonical(configMap, envelope.raw), {
      metadata: { name: "é" },
      data: { a: "b" },
    });
  });
});

describe("openEnvelope()", () => {
  it("refuses bodies without the magic bytes", () => {
    const text =
      "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    for (const hex of ["", "6b3873", "7b7d"]) {
      assert.deepEqual(openEnvelope(bytesOf(hex)), { kind: "malformed", message: text });
    }
  });

  it("refuses a body that is cut off, and content that is no protobuf", () => {
    assert.equal(openEnvelope(bytesOf("6b387300" + "0a0d0a02")).kind, "malformed");
    assert.equal(
      openEnvelope(bytesOf("6b387300" + "22106170706c69636174696f6e2f6a736f6e")).kind,
      "malformed",
    );
  });
});

/** Values of a type in canonical form but for zeros; nothing empty, which protobuf cannot tell from absent. */
function valueOf(type: SchemaType, depth: number): fc.Arbitrary<unknown> {
  const actual = resolved(type);
  switch (actual.kind) {
    case "list":
      return fc.array(valueOf(actual.element, depth + 1), { minLength: 1, maxLength: 2 });
    case "map":
      return fc.dictionary(fc.string(), valueOf(actual.value, depth + 1), {
        minKeys: 1,
        maxKeys: 2,
        noNullPrototype: true,
      });
    case "message": {
      const members: Record<string, fc.Arbitrary<unknown>> = {};
      for (const [name, member] of Object.entries(actual.fields)) {
        // The type of an object is in the envelope.
        if (member.tag === 0 || depth > 6) continue;
        const value = valueOf(member.type, depth + 1);
        if (member.inline !== true) members[name] = value;
        else members[`...${name}`] = value;
      }
      return fc.record(members, { requiredKeys: [], noNullPrototype: true }).map(flatten);
    }
    case "scalar":
      break;
  }
  switch (actual.scalar) {
    case "string":
      return fc.string({ unit: "grapheme" });
    case "boolean":
      return fc.boolean();
    case "int32":
      return fc.integer();
    case "int64":
      return fc.maxSafeInteger();
    case "double":
      return fc.integer();
    case "bytes":
      return fc.uint8Array({ minLength: 1 }).map((b) => Buffer.from(b).toString("base64"));
    case "quantity":
      return fc.constantFrom("1", "500m", "2Gi", "3e6");
    case "intOrString":
      return fc.oneof(fc.nat(65535), fc.string());
    case "time":
      return fc.constantFrom(
        "2026-01-02T03:04:05Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:01Z",
      );
    case "microTime":
      return fc.constantFrom("2026-01-02T03:04:05.000001Z", "1969-12-31T23:59:59.999999Z");
    case "json":
      // As it is after it has been JSON text once, which has no -0.
      return fc
        .dictionary(fc.string(), fc.jsonValue(), { minKeys: 1, noNullPrototype: true })
        .map((value): unknown => JSON.parse(JSON.stringify(value)));
  }
}

/** Puts the fields of inline messages beside the others. */
function flatten(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (name.startsWith("...")) Object.assign(result, member);
    else result[name] = member;
  }
  return result;
}

describe("decodeProtobuf() of finely divided messages", () => {
  it("stops at as many fields as JSON may have", () => {
    const pairs = (count: number) =>
      Uint8Array.from({ length: count * 2 }, (_, i) => (i % 2 === 0 ? 0x12 : 0));
    assert.equal(decodeProtobuf(configMap, pairs(MAX_JSON_VALUES)).kind, "decoded");
    assert.deepEqual(decodeProtobuf(configMap, pairs(MAX_JSON_VALUES + 1)), { kind: "tooMany" });
  });
});
