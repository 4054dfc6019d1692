import type { ResourceCall } from "./context.ts";
import type { ApiResponse } from "./exchange.ts";
import { negotiateForm } from "./negotiate.ts";
import { itemResponse } from "./representation.ts";
import type { Written } from "./writer.ts";

/** The answer to a create or an update: the object as it is now. */
export function writtenResponse(
  call: ResourceCall,
  written: Written,
  bodyWarnings: readonly string[],
): ApiResponse {
  const { context, request, route, query } = call;
  const form = negotiateForm(request.headers["accept"]);
  const view = { form, kind: route.definition, nowMs: context.now(), query };
  const warnings = [...bodyWarnings, ...written.warnings];
  return itemResponse(
    request,
    view,
    written.created ? 201 : 200,
    written.item,
    warnings.length === 0 ? {} : { warning: warnings.map(warningValue).join(", ") },
  );
}

/** The answer with one more `Warning` header. */
export function withWarning(response: ApiResponse, text: string): ApiResponse {
  const warning = response.headers["warning"];
  const values = [...(warning === undefined ? [] : [warning]), warningValue(text)];
  return { ...response, headers: { ...response.headers, warning: values.join(", ") } };
}

/** One value of a `Warning` header (RFC 7234 5.5); characters that a header may not carry become "?". */
function warningValue(text: string): string {
  const quoted = text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&");
  return `299 - "${quoted}"`;
}
