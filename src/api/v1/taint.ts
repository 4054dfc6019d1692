import { field, int64, message, present, string, time } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

export const taint = message(`${V1}.Taint`, "Keeps Pods off a node that do not tolerate it.", {
  key: present(1, string, { required: true }),
  value: field(2, string),
  effect: present(3, string, { required: true }),
  timeAdded: field(4, time),
});
export interface Taint extends ValueOf<typeof taint> {}

export const toleration = message(`${V1}.Toleration`, "Lets a Pod stay in spite of a taint.", {
  key: field(1, string),
  operator: field(2, string),
  value: field(3, string),
  effect: field(4, string),
  tolerationSeconds: field(5, int64, { pointer: true }),
});
export interface Toleration extends ValueOf<typeof toleration> {}
