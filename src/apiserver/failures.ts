import type { FieldError } from "../api/machinery/field-error.ts";
import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { failure } from "../api/machinery/status.ts";
import type { StatusDetails, StatusError } from "../api/machinery/status.ts";

/** Texts, reasons and details as upstream's, since kubectl and client libraries tell failures apart by them. */

export function badRequest(message: string): StatusError {
  return failure(400, "BadRequest", message);
}

export function notFound(kind: KindDefinition, name: string): StatusError {
  return failure(404, "NotFound", `${resourceNameOf(kind)} "${name}" not found`, {
    name,
    ...groupOf(kind),
    kind: kind.plural,
  });
}

/** No such path, group, version or resource. */
export function unknownPath(): StatusError {
  return failure(404, "NotFound", "the server could not find the requested resource", {});
}

export function methodNotAllowed(): StatusError {
  return failure(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
    {},
  );
}

export function alreadyExists(kind: KindDefinition, name: string): StatusError {
  return failure(409, "AlreadyExists", `${resourceNameOf(kind)} "${name}" already exists`, {
    name,
    ...groupOf(kind),
    kind: kind.plural,
  });
}

const MODIFIED =
  "the object has been modified; please apply your changes to the latest version and try again";

export function conflict(kind: KindDefinition, name: string, why: string = MODIFIED): StatusError {
  return failure(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${resourceNameOf(kind)} "${name}": ${why}`,
    { name, ...groupOf(kind), kind: kind.plural },
  );
}

/** 403 for a request as a whole; without a resource it is one for a path. */
export function forbiddenRequest(
  resource: { readonly group: string; readonly plural: string; readonly name: string } | undefined,
  why: string,
): StatusError {
  if (resource === undefined) return failure(403, "Forbidden", `forbidden: ${why}`, {});
  const { group, plural, name } = resource;
  const what = `${resourceNameOf(resource)}${name === "" ? "" : ` ${JSON.stringify(name)}`}`;
  return failure(403, "Forbidden", `${what} is forbidden: ${why}`, {
    ...(name === "" ? {} : { name }),
    ...groupOf({ group }),
    kind: plural,
  });
}

export function forbidden(kind: KindDefinition, name: string, why: string): StatusError {
  return failure(403, "Forbidden", `${resourceNameOf(kind)} "${name}" is forbidden: ${why}`, {
    name,
    ...groupOf(kind),
    kind: kind.plural,
  });
}

/** Nobody reads more, and each may quote what was sent: else a body is answered with its square. */
const MAX_CAUSES = 100;

/** 422: field by field what is wrong with an object of this kind. */
export function invalidObject(
  kind: { readonly kind: string; readonly group: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const shown = errors.slice(0, MAX_CAUSES);
  const texts = shown.map((error) => `${error.field}: ${error.message}`);
  if (errors.length > shown.length) {
    texts.push(`and ${String(errors.length - shown.length)} more`);
  }
  const list = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  return failure(422, "Invalid", `${kindText(kind)} "${name}" is invalid: ${list ?? ""}`, {
    name,
    ...groupOf(kind),
    kind: kind.kind,
    causes: shown.map((error) => ({
      reason: error.type,
      message: error.message,
      field: error.field,
    })),
  });
}

export function internalError(message: string): StatusError {
  return failure(500, "InternalError", `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return failure(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  return failure(
    406,
    "NotAcceptable",
    `only the following media types are accepted: ${accepted.join(", ")}`,
  );
}

export function bodyTooLarge(maxBytes: number): StatusError {
  return failure(
    413,
    "RequestEntityTooLarge",
    `Request entity too large: limit is ${String(maxBytes)}`,
  );
}

/** 413 for a body that is short enough, but so finely divided that reading it would hold everybody up. */
export function tooManyValues(maxValues: number): StatusError {
  return failure(
    413,
    "RequestEntityTooLarge",
    `Request entity too large: limit is ${String(maxValues)} fields and list items; divide the object into several smaller ones`,
  );
}

/** 413 for YAML, which costs far more to read than JSON. */
export function yamlTooLarge(limit: string): StatusError {
  return failure(
    413,
    "RequestEntityTooLarge",
    `Request entity too large: limit for YAML is ${limit}; send the same object as JSON`,
  );
}

/** A watch or list from a version whose history is gone: the client lists again. */
export function expired(message: string): StatusError {
  return failure(410, "Expired", message);
}

export function tooOldVersion(wanted: number, oldest: number): StatusError {
  return expired(`too old resource version: ${String(wanted)} (${String(oldest)})`);
}

/** The caller has seen a newer state than this server has. */
export function versionFromFuture(wanted: number, current: number): StatusError {
  const message = `Too large resource version: ${String(wanted)}, current: ${String(current)}`;
  return failure(504, "Timeout", `Timeout: ${message}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

export function tooManyRequests(message: string): StatusError {
  return failure(429, "TooManyRequests", message, { retryAfterSeconds: 1 });
}

export function unauthorized(): StatusError {
  return failure(401, "Unauthorized", "Unauthorized");
}

function kindText(kind: { readonly kind: string; readonly group: string }): string {
  return kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
}

function groupOf(kind: { readonly group: string }): Pick<StatusDetails, "group"> {
  return kind.group === "" ? {} : { group: kind.group };
}
