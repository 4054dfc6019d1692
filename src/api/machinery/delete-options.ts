import { typeFields } from "./metadata.ts";
import { boolean, field, int64, list, message, string } from "./schema.ts";
import type { ValueOf } from "./schema.ts";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

const preconditions = message(
  `${META}.Preconditions`,
  "What must hold of the object that is to be deleted.",
  {
    uid: field(1, string, { pointer: true, description: "The object's UID." }),
    resourceVersion: field(2, string, { pointer: true, description: "The object's version." }),
  },
);

/** The body of a DELETE; kubectl sends JSON or, from `drain`, protobuf. */
export const deleteOptions = message(`${META}.DeleteOptions`, "How to delete an object.", {
  ...typeFields,
  gracePeriodSeconds: field(1, int64, {
    pointer: true,
    description: "Seconds before the object goes; zero means at once.",
  }),
  preconditions: field(2, preconditions, {
    description: "If one does not hold, the answer is 409 Conflict.",
  }),
  orphanDependents: field(3, boolean, {
    pointer: true,
    description: "Deprecated; see propagationPolicy.",
  }),
  propagationPolicy: field(4, string, {
    pointer: true,
    enum: ["Orphan", "Background", "Foreground"],
    description: "What becomes of the objects that belong to this one.",
  }),
  dryRun: field(5, list(string), { description: "`All` runs all checks and stores nothing." }),
  ignoreStoreReadErrorWithClusterBreakingPotential: field(6, boolean, { pointer: true }),
});
export interface DeleteOptions extends ValueOf<typeof deleteOptions> {}
