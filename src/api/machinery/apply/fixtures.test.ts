import { boolean, field, int32, list, map, message, present, string } from "../schema.ts";
import { objectMeta, typeFields } from "../metadata.ts";
import { shapeOf } from "./shape.ts";
import type { Writing } from "./ownership.ts";

/** A kind with one field of each sort that apply tells apart. */
const port = message("t.Port", "", {
  name: field(1, string),
  port: present(2, int32, { required: true }),
  protocol: field(3, string, { default: "TCP" }),
});
const thing = message("t.Thing", "", {
  ...typeFields,
  metadata: present(1, objectMeta),
  spec: present(
    2,
    message("t.Spec", "", {
      replicas: field(1, int32),
      paused: field(2, boolean),
      ports: field(3, list(port, { listType: "map", mapKeys: ["port", "protocol"] })),
      args: field(4, list(string)),
      tags: field(5, list(string, { listType: "set" })),
      labels: field(6, map(string)),
      selector: field(7, map(string, "atomic")),
      inner: field(8, message("t.Inner", "", { a: field(1, string), b: field(2, string) })),
      whole: field(9, message("t.Whole", "", { a: field(1, string) }, { atomic: true })),
      open: field(10, message("t.Open", "", {}, { preserveUnknown: true })),
    }),
  ),
  status: field(3, message("t.Status", "", { phase: field(1, string) })),
});
export const THING = shapeOf(thing);

export const thingOf = (spec: object, metadata: object = {}) => ({
  apiVersion: "t/v1",
  kind: "Thing",
  metadata: { name: "a", ...metadata },
  spec,
});

export const writingOf = (manager: string, more: Partial<Writing> = {}): Writing => ({
  shape: THING,
  apiVersion: "t/v1",
  manager,
  subresource: "",
  ignored: { "f:status": {} },
  time: "2026-01-01T00:00:00Z",
  ...more,
});
