import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { eventColumns } from "./event.columns.ts";
import { event } from "./event.ts";
import type { Event } from "./event.ts";
import { validateEvent } from "./event.validation.ts";
import { OBJECT_REFERENCE_FIELDS } from "./reference.ts";

export const eventKind: KindDefinition<Event> = {
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: event,
  columns: eventColumns,
  selectableFields: [
    ...OBJECT_REFERENCE_FIELDS.map((key) => ({
      path: `involvedObject.${key}`,
      value: (object: Event) => object.involvedObject[key] ?? "",
    })),
    { path: "reason", value: (object) => object.reason ?? "" },
    { path: "reportingComponent", value: (object) => object.reportingComponent ?? "" },
    {
      path: "source",
      value: (object) => object.source?.component || (object.reportingComponent ?? ""),
    },
    { path: "type", value: (object) => object.type ?? "" },
  ],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(event, object),
    validateCreate: validateEvent,
    validateUpdate: validateEvent,
    createOnUpdate: true,
  },
};
