import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, message, microTime, present, string, time } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { eventSource } from "../v1/event.ts";
import { objectReference } from "../v1/reference.ts";

const EVENTS = "io.k8s.api.events.v1";

const eventSeries = message(`${EVENTS}.EventSeries`, "How an event went on.", {
  count: present(1, int32, { required: true, description: "How often, up to the last report." }),
  lastObservedTime: field(2, microTime, { required: true, description: "When it last happened." }),
});

/** What `v1` Event is, by the names of the newer API. */
export const event = message(`${EVENTS}.Event`, "Something that happened to an object.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  eventTime: field(2, microTime, { required: true, description: "When it was first observed." }),
  series: field(3, eventSeries, { description: "How it went on." }),
  reportingController: field(4, string, { description: "The controller that reported it." }),
  reportingInstance: field(5, string, { description: "Which instance of the controller." }),
  action: field(6, string, { description: "What was done or failed." }),
  reason: field(7, string, { description: "Why, in one CamelCase word." }),
  regarding: field(8, objectReference, { description: "The object that it happened to." }),
  related: field(9, objectReference, { description: "A second object that had a part in it." }),
  note: field(10, string, { description: "A sentence for people." }),
  type: field(11, string, { description: "Normal or Warning." }),
  deprecatedSource: field(12, eventSource, { description: "Who reported it, as v1 has it." }),
  deprecatedFirstTimestamp: field(13, time, { description: "As v1 has it." }),
  deprecatedLastTimestamp: field(14, time, { description: "As v1 has it." }),
  deprecatedCount: field(15, int32, { description: "As v1 has it." }),
});
export interface Event extends ValueOf<typeof event> {}
