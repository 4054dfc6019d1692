import { tokenRequest } from "./authentication/token-request.ts";
import { scale } from "./autoscaling/scale.ts";
import type { SubresourceSchemas } from "./machinery/openapi-subresources.ts";
import { eviction } from "./policy/eviction.ts";
import { binding } from "./v1/binding.ts";

/** What goes over the wire at subresources that have a kind of their own, by that kind. */
export const SUBRESOURCE_SCHEMAS: SubresourceSchemas = {
  Binding: binding,
  Eviction: eviction,
  Scale: scale,
  TokenRequest: tokenRequest,
};
