import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeObject } from "./decode.ts";
import {
  boolean,
  bytes,
  double,
  field,
  int32,
  int64,
  intOrString,
  json,
  lazy,
  list,
  map,
  message,
  microTime,
  present,
  quantity,
  string,
  time,
} from "./schema.ts";
import type { MessageType } from "./schema.ts";

const port = message("test.v1.Port", "", {
  name: field(1, string),
  port: present(2, int32, { required: true }),
  target: field(3, intOrString),
  nodePort: field(4, int32),
});

const handler = message("test.v1.Handler", "", { exec: field(1, map(string)) });

const tree: MessageType = message("test.v1.Tree", "", {
  leaf: field(1, string),
  children: field(2, list(lazy((): MessageType => tree))),
});

const spec = message("test.v1.Spec", "", {
  ports: field(1, list(port)),
  selector: field(2, map(string)),
  replicas: field(3, int32, { pointer: true }),
  limits: field(4, map(quantity)),
  paused: field(5, boolean),
  ratio: field(6, double),
  when: field(7, time),
  exactly: field(8, microTime),
  raw: field(9, json),
  data: field(10, map(bytes)),
  generation: field(11, int64),
  handler: field(12, handler, { inline: true }),
  restarts: present(13, int32),
  endpoints: present(14, list(string)),
  tree: field(15, tree),
  empty: field(16, message("test.v1.Empty", "", {})),
  open: field(17, message("test.v1.Open", "", { a: field(1, string) }, { preserveUnknown: true })),
});

const thing = message("test.v1.Thing", "", { kind: present(0, string), spec: field(1, spec) });

function decodeSpec(value: unknown): unknown {
  const decoded = decodeObject(thing, { kind: "Thing", spec: value });
  assert.equal(decoded.kind, "decoded", JSON.stringify(decoded));
  return decoded.kind === "decoded" ? decoded.object["spec"] : undefined;
}

describe("decodeObject()", () => {
  const CANONICAL: readonly (readonly [string, unknown, unknown])[] = [
    ["null is absence", { ports: null, selector: null, restarts: null }, {}],
    ["zeros are dropped", { ports: [], selector: {}, paused: false, generation: 0, ratio: 0 }, {}],
    ["the zero of a pointer stays", { replicas: 0 }, { replicas: 0 }],
    [
      "present numbers and lists stay",
      { restarts: 0, endpoints: [] },
      { restarts: 0, endpoints: [] },
    ],
    [
      "required zeros stay",
      { ports: [{ port: 0, nodePort: 0, name: "" }] },
      { ports: [{ port: 0 }] },
    ],
    ["an empty message stays", { empty: {}, ports: [{}] }, { empty: {}, ports: [{}] }],
    [
      "quantities become canonical",
      { limits: { cpu: "0.5", m: 1 } },
      { limits: { cpu: "500m", m: "1" } },
    ],
    [
      "times become UTC",
      { when: "2026-01-01T01:00:00.9+01:00", exactly: "2026-01-01T00:00:00Z" },
      { when: "2026-01-01T00:00:00Z", exactly: "2026-01-01T00:00:00.000000Z" },
    ],
    [
      "numbers and names are ports",
      { ports: [{ target: "web" }, { target: 80 }] },
      { ports: [{ target: "web" }, { target: 80 }] },
    ],
    ["raw values stay as they are", { raw: { a: [null, 0, ""] } }, { raw: { a: [null, 0, ""] } }],
    [
      "null elements are zero values",
      { ports: [null], selector: { a: null } },
      { ports: [{}], selector: { a: "" } },
    ],
    ["inline fields stand beside others", { exec: { a: "b" } }, { exec: { a: "b" } }],
    ["base64 loses its line breaks", { data: { a: "YW\nJj" } }, { data: { a: "YWJj" } }],
    [
      "messages can contain themselves",
      { tree: { children: [{ leaf: "x" }] } },
      { tree: { children: [{ leaf: "x" }] } },
    ],
    [
      "an open message keeps what it does not know",
      { open: { a: "", b: [0] } },
      { open: { b: [0] } },
    ],
  ];
  for (const [claim, given, expected] of CANONICAL) {
    it(claim, () => {
      assert.deepEqual(decodeSpec(given), expected);
    });
  }

  it("changes nothing in its argument", () => {
    const given = { spec: { ports: [{ name: "", zzz: 1 }], limits: { cpu: "0.5" } } };
    const before = structuredClone(given);
    decodeObject(thing, given);
    assert.deepEqual(given, before);
  });

  it("prunes undeclared fields and names them with their path", () => {
    const decoded = decodeObject(thing, {
      spec: { foo: 1, ports: [{ port: 1, prt: 2 }], handler: {}, tree: { children: [{ x: 1 }] } },
      constructor: 1,
    });
    assert.deepEqual(decoded, {
      kind: "decoded",
      object: { spec: { ports: [{ port: 1 }], tree: { children: [{}] } } },
      unknownFields: [
        'unknown field "spec.foo"',
        'unknown field "spec.ports[0].prt"',
        'unknown field "spec.handler"',
        'unknown field "spec.tree.children[0].x"',
        'unknown field "constructor"',
      ],
    });
  });

  it("names at most a hundred undeclared fields", () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${String(i)}`, 1]));
    const decoded = decodeObject(thing, many);
    assert.equal(decoded.kind === "decoded" && decoded.unknownFields.length, 100);
  });

  it("keeps map keys that JavaScript treats specially", () => {
    const text = '{"selector":{"__proto__":"a","constructor":"b"}}';
    assert.equal(JSON.stringify(decodeSpec(JSON.parse(text))), text);
  });

  const MALFORMED: readonly (readonly [unknown, string])[] = [
    [
      { ports: [{ port: "80" }] },
      "json: cannot unmarshal string into Go struct field Port.spec.ports.port of type int32",
    ],
    [
      { ports: [{ port: 80.5 }] },
      "json: cannot unmarshal number 80.5 into Go struct field Port.spec.ports.port of type int32",
    ],
    [
      { replicas: 3_000_000_000 },
      "json: cannot unmarshal number 3000000000 into Go struct field Spec.spec.replicas of type int32",
    ],
    [
      { ports: {} },
      "json: cannot unmarshal object into Go struct field Spec.spec.ports of type []v1.Port",
    ],
    [
      { ports: ["x"] },
      "json: cannot unmarshal string into Go struct field Spec.spec.ports of type v1.Port",
    ],
    [
      { selector: { a: 1 } },
      "json: cannot unmarshal number into Go struct field Spec.spec.selector of type string",
    ],
    [
      { selector: [] },
      "json: cannot unmarshal array into Go struct field Spec.spec.selector of type map[string]string",
    ],
    [
      { paused: "yes" },
      "json: cannot unmarshal string into Go struct field Spec.spec.paused of type bool",
    ],
    [
      { limits: { cpu: "a lot" } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [{ data: { a: "!" } }, "illegal base64 data at input byte 0"],
    [{ data: { a: "YWJ" } }, "illegal base64 data at input byte 3"],
    [
      { when: "now" },
      'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
    ],
    [7, "json: cannot unmarshal number into Go struct field Thing.spec of type v1.Spec"],
  ];
  for (const [given, text] of MALFORMED) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.deepEqual(decodeObject(thing, { spec: given }), { kind: "malformed", message: text });
    });
  }

  it("refuses what is no object at all", () => {
    assert.deepEqual(decodeObject(thing, []), {
      kind: "malformed",
      message: "json: cannot unmarshal array into Go value of type v1.Thing",
    });
  });

  it("leaves a decoded object as it is", () => {
    const specs = fc.record(
      {
        ports: fc.array(fc.record({ name: fc.string(), port: fc.nat(), nodePort: fc.nat(2) })),
        selector: fc.dictionary(fc.string(), fc.string()),
        replicas: fc.nat(2),
        paused: fc.boolean(),
        limits: fc.dictionary(fc.string(), fc.constantFrom("0.5", "1000m", "1Gi", 2)),
        when: fc.constantFrom(null, "2026-01-01T00:00:00+01:00"),
        raw: fc.jsonValue(),
        extra: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(specs, (given) => {
        const once = decodeSpec(given);
        assert.deepEqual(decodeSpec(once), once);
      }),
    );
  });

  it("never throws, whatever the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        decodeObject(thing, a);
        decodeObject(thing, { spec: { ports: a, limits: b, tree: { children: [b] } } });
      }),
    );
  });
});
