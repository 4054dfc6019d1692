import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { eventKind as coreEventKind } from "../v1/event.kind.ts";
import type { Event as CoreEvent } from "../v1/event.ts";
import { fromCoreEvent, toCoreEvent } from "./event.conversion.ts";
import { event } from "./event.ts";
import type { Event } from "./event.ts";
import { OBJECT_REFERENCE_FIELDS } from "../v1/reference.ts";

const TYPES: readonly (string | undefined)[] = ["Normal", "Warning"];
const UNSET = "needs to be unset";

/** Names of fields in v1, by which the checks that both versions share go. */
const NAMES: Readonly<Record<string, string>> = {
  reportingComponent: "reportingController",
  message: "note",
};

/** Source of rules and texts: upstream `pkg/apis/core/validation/events.go`. */
function validateCreate(object: Event): readonly FieldError[] {
  const { deprecatedCount = 0, deprecatedFirstTimestamp, deprecatedLastTimestamp } = object;
  const old = [
    ["firstTimestamp", deprecatedFirstTimestamp !== undefined],
    ["lastTimestamp", deprecatedLastTimestamp !== undefined],
    ["count", deprecatedCount !== 0],
    ["source", Object.keys(object.deprecatedSource ?? {}).length > 0],
  ] as const;
  return [
    ...(object.eventTime === undefined ? [required("eventTime")] : []),
    ...shared(object),
    ...(TYPES.includes(object.type)
      ? []
      : [invalid("type", "", `has invalid value: ${object.type ?? ""}`)]),
    ...old.flatMap(([name, isSet]) => (isSet ? [invalid(name, "", UNSET)] : [])),
  ];
}

function shared(object: Event): readonly FieldError[] {
  return coreEventKind.strategy.validateCreate(toCoreEvent(object)).map((error) => ({
    ...error,
    field: NAMES[error.field] ?? error.field,
  }));
}

/** As v1 shows it. */
const columns = coreEventKind.columns.map((column) => ({
  ...column,
  cell: (object: Event, nowMs: number) => column.cell(toCoreEvent(object), nowMs),
}));

export const eventKind: KindDefinition<Event> = {
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: event,
  columns,
  selectableFields: [
    ...OBJECT_REFERENCE_FIELDS.map((key) => ({
      path: `regarding.${key}`,
      value: (object: Event) => object.regarding?.[key] ?? "",
    })),
    { path: "reason", value: (object) => object.reason ?? "" },
    { path: "reportingController", value: (object) => object.reportingController ?? "" },
    { path: "type", value: (object) => object.type ?? "" },
  ],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(event, object),
    validateCreate,
    // An Event that was made by v1 need not be what this version asks of new ones.
    validateUpdate: shared,
    createOnUpdate: true,
  },
  storedAs: {
    group: coreEventKind.group,
    plural: coreEventKind.plural,
    // Only Events of the one and of the other version come here: they have one place in the store.
    toStored: (object: KubernetesObject) => toCoreEvent(object as Event),
    fromStored: (object: KubernetesObject) => fromCoreEvent(object as CoreEvent),
  },
};
