import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, message, microTime, present, string, time } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";
import { objectReference } from "./reference.ts";

const V1 = "io.k8s.api.core.v1";

export const eventSource = message(`${V1}.EventSource`, "Who reported an event.", {
  component: field(1, string, { description: "The component." }),
  host: field(2, string, { description: "The node that it runs on." }),
});

const eventSeries = message(`${V1}.EventSeries`, "How an event went on.", {
  count: field(1, int32, { description: "How often it happened, up to the last report." }),
  lastObservedTime: field(2, microTime, { description: "When it last happened." }),
});

export const event = message(`${V1}.Event`, "Something that happened to an object.", {
  ...typeFields,
  metadata: present(1, objectMeta, { required: true, description: "What every object carries." }),
  involvedObject: present(2, objectReference, {
    required: true,
    description: "The object that it happened to.",
  }),
  reason: field(3, string, { description: "Why, in one CamelCase word." }),
  message: field(4, string, { description: "A sentence for people." }),
  source: field(5, eventSource, { description: "Who reported it." }),
  firstTimestamp: field(6, time, { description: "When it first happened." }),
  lastTimestamp: field(7, time, { description: "When it last happened." }),
  count: field(8, int32, { description: "How often it happened." }),
  type: field(9, string, { description: "Normal or Warning." }),
  eventTime: field(10, microTime, { description: "When it was first observed." }),
  series: field(11, eventSeries, { description: "How it went on." }),
  action: field(12, string, { description: "What was done or failed." }),
  related: field(13, objectReference, { description: "A second object that had a part in it." }),
  reportingComponent: field(14, string, { description: "The controller that reported it." }),
  reportingInstance: field(15, string, { description: "Which instance of the controller." }),
});
export interface Event extends ValueOf<typeof event> {}
