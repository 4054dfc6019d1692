import { resourceAttributes } from "../core/authorization/attributes.ts";
import type { ResourceCall } from "./context.ts";

/**
 * For a write that is about to create what it would change: then the permission to change is not enough.
 * @throws StatusError 403.
 */
export function checkCreate({ context, user, route }: ResourceCall): void {
  const { group, version, plural: resource } = route.definition;
  const { namespace, name = "" } = route;
  const wanted = { verb: "create", group, version, resource, namespace, name };
  context.security.check(user, resourceAttributes(wanted));
}
