import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serviceKind } from "../../v1/service.kind.ts";
import { podKind } from "../../v1/pod.kind.ts";
import { readConfig } from "./config.ts";
import { THING, thingOf } from "./fixtures.test.ts";
import { shapeOf } from "./shape.ts";

describe("readConfig()", () => {
  for (const [spec, message] of [
    [{ nope: 1 }, ".spec.nope: field not declared in schema"],
    [{ inner: { nope: 1 } }, ".spec.inner.nope: field not declared in schema"],
    [{ whole: { nope: 1 } }, ".spec.whole.nope: field not declared in schema"],
    [{ replicas: "2" }, ".spec.replicas: expected numeric (int or float), got string"],
    [{ paused: "yes" }, ".spec.paused: expected boolean, got &{yes}"],
    [
      { labels: { a: 1 } },
      ".spec.labels.a: expected string, got &value.valueUnstructured{Value:1}",
    ],
    [{ labels: ["a"] }, ".spec.labels: expected map, got &{[a]}"],
    [{ args: { a: 1 } }, ".spec.args: expected list, got &{map[a:1]}"],
    [
      { ports: [{ port: 80 }, { port: 80, protocol: "TCP" }] },
      '.spec.ports: duplicate entries for key [port=80,protocol="TCP"]',
    ],
    [{ tags: ["a", "a"] }, '.spec.tags: duplicate entries for key [="a"]'],
    [
      { ports: [{ name: "x" }] },
      '.spec.ports: element 0: associative list with keys has an element that omits key field "port" (and doesn\'t have default value)',
    ],
    [
      { ports: [null] },
      ".spec.ports: element 0: associative list with keys may not have a null element",
    ],
    [
      { ports: ["x"] },
      ".spec.ports: element 0: associative list with keys may not have non-map elements",
    ],
    [
      { replicas: "2", paused: "x" },
      "errors:\n  .spec.replicas: expected numeric (int or float), got string\n  .spec.paused: expected boolean, got &{x}",
    ],
  ] as const) {
    it(`says ${JSON.stringify(message)}`, () =>
      assert.deepEqual(readConfig(THING, thingOf(spec)), { kind: "malformed", message }));
  }

  it("keeps nulls, zeros, and what is kept undeclared", () => {
    const value = thingOf({ replicas: 0, paused: null, tags: [], open: { any: [{ x: 1 }] } });
    assert.deepEqual(readConfig(THING, value), { kind: "config", value });
  });

  it("brings quantities into canonical form, so that 1000m does not differ from 1", () => {
    const pod = (cpu: string) => ({
      spec: { containers: [{ name: "a", resources: { requests: { cpu } } }] },
    });
    const shape = shapeOf(podKind.schema);
    assert.deepEqual(readConfig(shape, pod("1000m")), readConfig(shape, pod("1")));
  });

  it("takes a Service with a named and a numbered target port", () => {
    const spec = {
      ports: [
        { port: 1, targetPort: "x" },
        { port: 2, targetPort: 2 },
      ],
    };
    assert.equal(readConfig(shapeOf(serviceKind.schema), { spec }).kind, "config");
  });
});
