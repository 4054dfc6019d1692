import type { DeleteOptions } from "../api/machinery/delete-options.ts";
import { eviction } from "../api/policy/eviction.ts";
import type { Eviction } from "../api/policy/eviction.ts";
import { decodeBody } from "./body.ts";
import type { ResourceCall } from "./context.ts";
import { jsonResponse } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { placeObject } from "./object-identity.ts";
import { parseWriteQuery } from "./query.ts";

/** POST pods/NAME/eviction: a deletion, as no disruption budget is served that could forbid it. */
export async function evictPod(call: ResourceCall): Promise<ApiResponse> {
  const { context, request, route, query } = call;
  const { definition: kind, namespace, name = "" } = route;
  const write = parseWriteQuery(query);
  const type = { apiVersion: "policy/v1", kind: "Eviction", schema: eviction };
  const decoded = await decodeBody(request, type, write.fieldValidation);
  // Decoded by the schema of Eviction.
  const body = placeObject(kind, decoded.object, namespace, name) as unknown as Eviction;
  const options: DeleteOptions = { apiVersion: "v1", kind: "DeleteOptions", ...body.deleteOptions };
  const isDry = write.dryRun || (options.dryRun ?? []).includes("All");
  await context.deleter.delete(kind, { namespace, name }, options, isDry);
  return jsonResponse(201, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    code: 201,
  });
}
