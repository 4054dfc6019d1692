import { dnsSubdomainProblems } from "../../net/names.ts";
import type { KubernetesObject, ObjectMeta } from "./metadata.ts";
import { nameCheck } from "./name-formats.ts";

interface WithStatus extends KubernetesObject {
  readonly status?: unknown;
}

/** Updates of the main resource do not reach the status. */
export function keepStatus<T extends WithStatus>(object: T, old: T): T {
  const { status, ...rest } = object;
  void status; // Taken out, so that an absent old status leaves no key behind.
  // T without its status, and with the status of another T, is a T.
  return (old.status === undefined ? rest : { ...rest, status: old.status }) as T;
}

/** Updates of /status reach only the status and the metadata, of which ownerReferences are kept. */
export function keepAllButStatus<T extends WithStatus>(object: T, old: T): T {
  const { ownerReferences, ...rest } = object.metadata;
  void ownerReferences; // Owners are a matter of the main resource.
  const metadata: ObjectMeta =
    old.metadata.ownerReferences === undefined
      ? rest
      : { ...rest, ownerReferences: old.metadata.ownerReferences };
  return { ...old, metadata, status: object.status };
}

/** What most kinds say of themselves: no preparation, names as of DNS subdomains, PUT does not create. */
export const PLAIN_STRATEGY = {
  prepareForCreate: <T>(object: T): T => object,
  prepareForUpdate: <T>(object: T): T => object,
  nameProblems: nameCheck(dnsSubdomainProblems),
  createOnUpdate: false,
  unconditionalUpdate: true,
  generation: "none",
} as const;
