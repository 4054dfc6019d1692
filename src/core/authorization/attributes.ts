/** Who asks, as far as permissions go. */
export interface Subject {
  readonly name: string;
  readonly groups: readonly string[];
}

/** A request for a resource. */
export interface ResourceAttributes {
  readonly kind: "resource";
  /** get, list, watch, create, update, patch, delete, deletecollection, or a word of its own such as `bind`. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  /** Plural, e.g. `services`. */
  readonly resource: string;
  /** "" for the object itself. */
  readonly subresource: string;
  /** "" for kinds of the cluster, and for all namespaces. */
  readonly namespace: string;
  /** "" where the request names no single object. */
  readonly name: string;
  /** Fields that a list or watch is limited to one value of, by path. */
  readonly selects: ReadonlyMap<string, string>;
}

/** What a request wants to do. */
export type Attributes =
  | ResourceAttributes
  /** A path that is no resource; the verb is the method in lower case. */
  | { readonly kind: "path"; readonly verb: string; readonly path: string };

export type Decision =
  | { readonly kind: "allow"; readonly reason: string }
  /** Forbidden, whatever else might allow it. */
  | { readonly kind: "deny"; readonly reason: string }
  /** Not allowed as far as was looked at; the reason may be "". */
  | { readonly kind: "no-opinion"; readonly reason: string };

/** Members may do everything, whatever the roles say; so an administrator can always repair them. */
export const MASTERS_GROUP = "system:masters";

const ACCOUNT_PREFIX = "system:serviceaccount:";
const ACCOUNTS_GROUP = "system:serviceaccounts";

/** What a ServiceAccount is called among users. */
export function accountUserName(namespace: string, name: string): string {
  return `${ACCOUNT_PREFIX}${namespace}:${name}`;
}

/** The inverse of {@link accountUserName}. */
export function parseAccountUserName(
  text: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!text.startsWith(ACCOUNT_PREFIX)) return undefined;
  const [namespace = "", name = "", ...more] = text.slice(ACCOUNT_PREFIX.length).split(":");
  return namespace === "" || name === "" || more.length > 0 ? undefined : { namespace, name };
}

/** Groups of every ServiceAccount of a namespace. */
export function accountGroups(namespace: string): readonly string[] {
  return [ACCOUNTS_GROUP, `${ACCOUNTS_GROUP}:${namespace}`];
}

const NOTHING: ReadonlyMap<string, string> = new Map();

/** A question about a resource with the parts that most have none of left out. */
export function resourceAttributes(
  parts: Pick<ResourceAttributes, "verb" | "group" | "resource"> & Partial<ResourceAttributes>,
): ResourceAttributes {
  return {
    version: "v1",
    subresource: "",
    namespace: "",
    name: "",
    selects: NOTHING,
    ...parts,
    kind: "resource",
  };
}

/** What is missing, in upstream's words (`apiserver/pkg/endpoints/handlers/responsewriters`). */
export function describeDenial(user: Subject, attributes: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`;
  if (attributes.kind === "path") return `${who} path ${JSON.stringify(attributes.path)}`;
  const { group, namespace } = attributes;
  const where =
    namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  return `${who} resource ${JSON.stringify(resourceText(attributes))} in API group ${JSON.stringify(group)} ${where}`;
}

/** `pods` or `pods/log`. */
export function resourceText({
  resource,
  subresource,
}: Pick<ResourceAttributes, "resource" | "subresource">): string {
  return subresource === "" ? resource : `${resource}/${subresource}`;
}
