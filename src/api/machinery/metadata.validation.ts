import { dnsLabelProblems } from "../../net/names.ts";
import { forbidden, invalid, required, tooLong } from "./field-error.ts";
import type { FieldError } from "./field-error.ts";
import { labelValueProblems, qualifiedNameProblems } from "./label-names.ts";
import type { ObjectMeta, OwnerReference } from "./metadata.ts";

/** What validation of metadata must know about a kind. */
export interface MetadataRules {
  readonly namespaced: boolean;
  /** As in `Strategy.nameProblems`. */
  nameProblems(name: string, isPrefix: boolean): readonly string[];
  /** As in `Strategy.plainFinalizers`. */
  readonly plainFinalizers?: boolean | undefined;
}

const MAX_ANNOTATION_BYTES = 256 * 1024;
/** Finalizers that need no domain. */
const STANDARD_FINALIZERS = ["kubernetes", "orphan", "foregroundDeletion"];

/**
 * Checks the metadata of a new object, in upstream's order and wording (apimachinery
 * `api/validation/objectmeta.go`).
 */
export function validateMetadata(meta: ObjectMeta, rules: MetadataRules): readonly FieldError[] {
  return [
    ...validateName(meta, rules),
    ...validateNamespace(meta, rules.namespaced),
    ...validateNonNegative(meta.generation, "metadata.generation"),
    ...validateCommon(meta, rules),
  ];
}

/**
 * Checks what of an object's metadata an update may change. What the server fills in itself (uid,
 * creationTimestamp, ...) may be absent from `meta`.
 */
export function validateMetadataUpdate(
  meta: ObjectMeta,
  old: ObjectMeta,
  rules: Pick<MetadataRules, "plainFinalizers"> = {},
): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    const added = (meta.finalizers ?? []).filter((name) => !old.finalizers?.includes(name));
    if (added.length > 0) {
      const list = added.map((name) => JSON.stringify(name)).join(", ");
      errors.push(
        forbidden(
          "metadata.finalizers",
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
        ),
      );
    }
  }
  const immutable = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
  ] as const;
  for (const key of immutable) {
    if (meta[key] !== undefined && meta[key] !== old[key]) {
      errors.push(invalid(`metadata.${key}`, meta[key], "field is immutable"));
    }
  }
  errors.push(...validateNonNegative(meta.generation, "metadata.generation"));
  if ((meta.generation ?? 0) < (old.generation ?? 0) && meta.generation !== undefined) {
    errors.push(invalid("metadata.generation", meta.generation, "must not be decremented"));
  }
  return [...errors, ...validateCommon(meta, rules)];
}

/** Checks labels, or a selector made of them, at `path`. */
export function validateLabels(
  labels: Readonly<Record<string, string>>,
  path: string,
): readonly FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalid(path, key, problem)),
    ...labelValueProblems(value).map((problem) => invalid(path, value, problem)),
  ]);
}

export function validateNonNegative(
  value: number | undefined,
  path: string,
): readonly FieldError[] {
  return value !== undefined && value < 0
    ? [invalid(path, value, "must be greater than or equal to 0")]
    : [];
}

function validateName(meta: ObjectMeta, rules: MetadataRules): readonly FieldError[] {
  const errors: FieldError[] = [];
  const prefix = meta.generateName ?? "";
  if (prefix !== "") {
    const problems = rules.nameProblems(prefix, true);
    errors.push(...problems.map((problem) => invalid("metadata.generateName", prefix, problem)));
  }
  if (meta.name === "") {
    errors.push(required("metadata.name", "name or generateName is required"));
  } else {
    const problems = rules.nameProblems(meta.name, false);
    errors.push(...problems.map((problem) => invalid("metadata.name", meta.name, problem)));
  }
  return errors;
}

function validateNamespace(meta: ObjectMeta, namespaced: boolean): readonly FieldError[] {
  const namespace = meta.namespace ?? "";
  if (!namespaced) {
    return namespace === "" ? [] : [forbidden("metadata.namespace", "not allowed on this type")];
  }
  if (namespace === "") return [required("metadata.namespace")];
  return dnsLabelProblems(namespace).map((problem) =>
    invalid("metadata.namespace", namespace, problem),
  );
}

function validateCommon(
  meta: ObjectMeta,
  { plainFinalizers = false }: Pick<MetadataRules, "plainFinalizers">,
): readonly FieldError[] {
  return [
    ...validateLabels(meta.labels ?? {}, "metadata.labels"),
    ...validateAnnotations(meta.annotations ?? {}),
    ...validateOwnerReferences(meta.ownerReferences ?? []),
    ...validateFinalizers(meta.finalizers ?? [], plainFinalizers),
  ];
}

function validateAnnotations(annotations: Readonly<Record<string, string>>): readonly FieldError[] {
  const path = "metadata.annotations";
  const errors = Object.keys(annotations).flatMap((key) =>
    qualifiedNameProblems(key.toLowerCase()).map((problem) => invalid(path, key, problem)),
  );
  const size = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + utf8Length(key) + utf8Length(value),
    0,
  );
  return size > MAX_ANNOTATION_BYTES ? [...errors, tooLong(path, MAX_ANNOTATION_BYTES)] : errors;
}

function validateOwnerReferences(owners: readonly OwnerReference[]): readonly FieldError[] {
  const path = "metadata.ownerReferences";
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const owner of owners) {
    const version = owner.apiVersion.split("/").at(-1) ?? "";
    if (version === "") {
      errors.push(invalid(`${path}.apiVersion`, version, "version must not be empty"));
    }
    for (const key of ["kind", "name", "uid"] as const) {
      if (owner[key] === "") errors.push(invalid(`${path}.${key}`, "", "must not be empty"));
    }
    if (owner.apiVersion === "v1" && owner.kind === "Event") {
      errors.push(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"));
    }
    if (owner.controller !== true) continue;
    if (controller === undefined) {
      controller = owner;
    } else {
      const names = `${controller.kind}/${controller.name} and ${owner.kind}/${owner.name}`;
      errors.push(
        invalid(
          path,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${names}`,
        ),
      );
    }
  }
  return errors;
}

function validateFinalizers(
  finalizers: readonly string[],
  isPlain: boolean,
): readonly FieldError[] {
  const path = "metadata.finalizers";
  const errors = finalizers.flatMap((name) => {
    const problems = qualifiedNameProblems(name);
    if (problems.length > 0) return problems.map((problem) => invalid(path, name, problem));
    return isPlain || name.includes("/") || STANDARD_FINALIZERS.includes(name)
      ? []
      : [
          invalid(
            path,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
          ),
        ];
  });
  const both = finalizers.includes("orphan") && finalizers.includes("foregroundDeletion");
  return both
    ? [
        ...errors,
        invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"),
      ]
    : errors;
}

/** Bytes of the text in UTF-8. */
export function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return length;
}
