import { setOwn } from "../api/machinery/json.ts";
import {
  MASTERS_GROUP,
  accountGroups,
  parseAccountUserName,
  resourceAttributes,
} from "../core/authorization/attributes.ts";
import type { Authorizer } from "./authorizer.ts";
import type { User } from "./exchange.ts";
import { internalError } from "./failures.ts";

const PREFIX = "impersonate-";
const EXTRA_PREFIX = "impersonate-extra-";
const AUTHENTICATED = "system:authenticated";
const AUTHENTICATION = "authentication.k8s.io";

/**
 * The user as whom a request is to be taken: whom its Impersonate headers name, or whoever asks. Source:
 * upstream `apiserver/pkg/endpoints/filters/impersonation.go`.
 * @throws StatusError 403 when who asks may not impersonate one of them, 500 for headers without a user.
 */
export function impersonated(
  authorizer: Authorizer,
  asker: User,
  headers: Readonly<Record<string, string>>,
): User {
  const names = Object.keys(headers).filter(isImpersonation);
  if (names.length === 0) return asker;
  const name = headers["impersonate-user"] ?? "";
  if (name === "") {
    throw internalError(`requested ${names.join(", ")} without impersonating a user`);
  }
  const may = (group: string, resource: string, object: string, more: object = {}): void => {
    const attributes = { verb: "impersonate", group, resource, name: object, ...more };
    authorizer.check(asker, resourceAttributes(attributes));
  };
  const account = parseAccountUserName(name);
  if (account === undefined) may("", "users", name);
  else may("", "serviceaccounts", account.name, { namespace: account.namespace });
  const groups = valuesOf(headers["impersonate-group"]);
  for (const group of groups) may("", "groups", group);
  const uid = headers["impersonate-uid"];
  if (uid !== undefined) may(AUTHENTICATION, "uids", uid);
  const extra: Record<string, readonly string[]> = {};
  for (const header of names.filter((one) => one.startsWith(EXTRA_PREFIX))) {
    const key = decodeKey(header.slice(EXTRA_PREFIX.length));
    const values = valuesOf(headers[header]);
    for (const value of values) may(AUTHENTICATION, "userextras", value, { subresource: key });
    setOwn(extra, key, values);
  }
  const own = groups.length === 0 && account ? accountGroups(account.namespace) : groups;
  const isKnown = own.includes(AUTHENTICATED) || own.includes("system:unauthenticated");
  return {
    name,
    groups: isKnown || name === "system:anonymous" ? own : [...own, AUTHENTICATED],
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** Whether a header, in lower case, says whom to impersonate. */
export function isImpersonation(header: string): boolean {
  return header.startsWith(PREFIX);
}

/** A header that came several times was joined with a comma; each part is checked for itself. */
function valuesOf(header: string | undefined): readonly string[] {
  if (header === undefined) return [];
  return header
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "");
}

/** Keys are percent-encoded, since headers allow few characters; a key that is not is taken as it is. */
function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Only malformed percent-encoding throws.
    return text;
  }
}

/** Whether a user may do everything whatever the roles say. */
export function isMaster(user: User): boolean {
  return user.groups.includes(MASTERS_GROUP);
}
