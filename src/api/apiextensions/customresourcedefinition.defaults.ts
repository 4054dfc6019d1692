import type { CustomResourceDefinition } from "./customresourcedefinition.ts";
import { customResourceDefinition } from "./customresourcedefinition.ts";
import { withZeroValues } from "../machinery/zero-values.ts";

/** Names that follow from the kind, and conversion by apiVersion alone. */
export function defaultCustomResourceDefinition(
  object: CustomResourceDefinition,
): CustomResourceDefinition {
  const filled = withZeroValues(customResourceDefinition, object);
  const { spec } = filled;
  const { kind } = spec.names;
  const singular = spec.names.singular ?? kind.toLowerCase();
  const listKind = spec.names.listKind ?? (kind === "" ? "" : `${kind}List`);
  if (
    singular === spec.names.singular &&
    listKind === spec.names.listKind &&
    spec.conversion !== undefined
  ) {
    return filled;
  }
  return {
    ...filled,
    spec: {
      ...spec,
      conversion: spec.conversion ?? { strategy: "None" },
      names: { ...spec.names, singular, listKind },
    },
  };
}

/** Versions in which objects may lie in the store: all that ever were the one for storage. */
export function withStoredVersion(object: CustomResourceDefinition): CustomResourceDefinition {
  const storage = object.spec.versions.find((version) => version.storage)?.name;
  const storedVersions = object.status?.storedVersions ?? [];
  if (storage === undefined || storedVersions.includes(storage)) return object;
  return {
    ...object,
    status: { ...object.status, storedVersions: [...storedVersions, storage] },
  };
}
