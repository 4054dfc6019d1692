import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateQualifiedName } from "../machinery/value.validation.ts";
import type { Event } from "./event.ts";

const MAX_INSTANCE_LENGTH = 128;
const MAX_NOTE_LENGTH = 1024;

/**
 * Checks an Event against the object that it is about. Events with eventTime are of the newer kind, and must say
 * who reported them.
 */
export function validateEvent(event: Event): readonly FieldError[] {
  const errors: FieldError[] = [];
  const isNew = event.eventTime !== undefined;
  const namespace = event.metadata.namespace ?? "";
  const involved = event.involvedObject.namespace ?? "";
  const allowed = involved === "" ? ["default", ...(isNew ? ["kube-system"] : [""])] : [involved];
  if (!allowed.includes(namespace)) {
    const text = "does not match event.namespace";
    errors.push(invalid("involvedObject.namespace", involved, text));
  }
  return isNew ? [...errors, ...validateReporter(event)] : errors;
}

function validateReporter(event: Event): readonly FieldError[] {
  const errors: FieldError[] = [];
  const { reportingComponent = "", reportingInstance = "", message = "" } = event;
  if (reportingComponent === "") errors.push(required("reportingComponent"));
  else errors.push(...validateQualifiedName(reportingComponent, "reportingComponent"));
  if (reportingInstance === "") {
    errors.push(required("reportingInstance"));
  } else if (reportingInstance.length > MAX_INSTANCE_LENGTH) {
    const text = `can have at most ${String(MAX_INSTANCE_LENGTH)} characters`;
    errors.push(invalid("reportingInstance", "", text));
  }
  for (const key of ["action", "reason"] as const) {
    const value = event[key] ?? "";
    if (value === "") errors.push(required(key));
    else if (value.length > MAX_INSTANCE_LENGTH) {
      const text = `can have at most ${String(MAX_INSTANCE_LENGTH)} characters`;
      errors.push(invalid(key, "", text));
    }
  }
  if (message.length > MAX_NOTE_LENGTH) {
    const text = `can have at most ${String(MAX_NOTE_LENGTH)} characters`;
    errors.push(invalid("message", "", text));
  }
  return errors;
}
