import { dns1035LabelProblems, dnsSubdomainProblems } from "../../net/names.ts";
import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual } from "../machinery/json.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
} from "./customresourcedefinition.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { namesOf, parseJsonPath } from "./json-path.ts";
import { celRulesIn, validateStructuralSchema } from "./structural.validation.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = [
  "",
  "binary",
  "byte",
  "date",
  "date-time",
  "double",
  "float",
  "int32",
  "int64",
  "password",
];
const APPROVAL = "api-approved.kubernetes.io";
const MAX_SELECTABLE_FIELDS = 8;
const MAX_DEPRECATION_WARNING = 256;

/** In upstream's wording (apiextensions-apiserver `apis/apiextensions/validation`). */
export function validateDefinition(object: CustomResourceDefinition): readonly FieldError[] {
  const { spec, metadata } = object;
  const errors: FieldError[] = [];
  const wanted = `${spec.names.plural}.${spec.group}`;
  if (metadata.name !== wanted) {
    errors.push(
      invalid("metadata.name", metadata.name, `must be spec.names.plural+"."+spec.group`),
    );
  }
  return [...errors, ...validateApproval(object), ...validateSpec(spec)];
}

export function validateDefinitionUpdate(
  object: CustomResourceDefinition,
  old: CustomResourceDefinition,
): readonly FieldError[] {
  const { spec } = object;
  const isEstablished = conditionOf(old, "Established")?.status === "True";
  const immutable: readonly (readonly [string, string, string, boolean])[] = [
    ["spec.scope", spec.scope, old.spec.scope, isEstablished],
    ["spec.names.kind", spec.names.kind, old.spec.names.kind, isEstablished],
    ["spec.group", spec.group, old.spec.group, true],
    ["spec.names.plural", spec.names.plural, old.spec.names.plural, true],
  ];
  const names = spec.versions.map(({ name }) => name);
  return [
    ...validateDefinition(object),
    ...immutable
      .filter(([, value, before, isFixed]) => isFixed && value !== before)
      .map(([path, value]) => invalid(path, value, "field is immutable")),
    ...(object.status?.storedVersions ?? []).flatMap((name, i) =>
      names.includes(name)
        ? []
        : [
            invalid(
              `status.storedVersions[${String(i)}]`,
              name,
              "missing from spec.versions; " +
                `${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
            ),
          ],
    ),
  ];
}

export function validateDefinitionStatus(object: CustomResourceDefinition): readonly FieldError[] {
  const { status } = object;
  const storage = object.spec.versions.find((version) => version.storage)?.name ?? "";
  const stored = status?.storedVersions ?? [];
  const errors = status?.acceptedNames
    ? validateNames(status.acceptedNames, "status.acceptedNames")
    : [];
  if (stored.includes(storage)) return errors;
  const path = "status.storedVersions";
  return [...errors, invalid(path, stored, `must have the storage version ${storage}`)];
}

/** Texts for `Warning` headers. */
export function definitionWarnings({ spec }: CustomResourceDefinition): readonly string[] {
  const rules = spec.versions.reduce(
    (sum, version) => sum + celRulesIn(schemaOf(version) ?? {}),
    0,
  );
  if (rules === 0) return [];
  return [
    `x-kubernetes-validations: ${String(rules)} CEL rules are kept but not evaluated by this server: objects that they forbid will be accepted`,
  ];
}

export function conditionOf(object: CustomResourceDefinition, type: string) {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** The schema of a version as its static type. */
export function schemaOf(version: CustomResourceDefinitionVersion): JsonSchemaProps | undefined {
  // Decoded by the schema of schemas; the static type stops where it contains itself.
  return version.schema?.openAPIV3Schema as JsonSchemaProps | undefined;
}

/** Groups of the Kubernetes project itself need its approval. */
function validateApproval({ spec, metadata }: CustomResourceDefinition): readonly FieldError[] {
  const isProtected = /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(spec.group);
  const approval = metadata.annotations?.[APPROVAL] ?? "";
  const path = `metadata.annotations[${APPROVAL}]`;
  if (!isProtected || approval.startsWith("unapproved")) return [];
  if (approval === "") {
    const why = `protected groups must have approval annotation "${APPROVAL}", see https://github.com/kubernetes/enhancements/pull/1111`;
    return [required(path, why)];
  }
  if (/^https?:\/\/[^/\s]+/.test(approval)) return [];
  const why = `protected groups must have approval annotation "${APPROVAL}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`;
  return [invalid(path, approval, why)];
}

function validateSpec(spec: CustomResourceDefinitionSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const groupProblems = dnsSubdomainProblems(spec.group);
  if (spec.group === "") errors.push(required("spec.group"));
  else if (groupProblems.length > 0) {
    errors.push(invalid("spec.group", spec.group, groupProblems.join(",")));
  } else if (!spec.group.includes(".")) {
    errors.push(invalid("spec.group", spec.group, "should be a domain with at least one dot"));
  }
  if (spec.scope === "") errors.push(required("spec.scope"));
  else if (spec.scope !== "Namespaced" && spec.scope !== "Cluster") {
    errors.push(notSupported("spec.scope", spec.scope, ["Cluster", "Namespaced"]));
  }
  if (spec.preserveUnknownFields === true) {
    const why =
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
    errors.push(invalid("spec.preserveUnknownFields", true, why));
  }
  for (const name of ["plural", "singular", "kind", "listKind"] as const) {
    if ((spec.names[name] ?? "") === "") errors.push(required(`spec.names.${name}`));
  }
  return [
    ...errors,
    ...validateNames(spec.names, "spec.names"),
    ...validateVersions(spec.versions),
    ...validateSchemas(spec.versions),
    ...validateConversion(spec),
  ];
}

function validateNames(names: CustomResourceDefinitionNames, path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  const check = (at: string, value: string, isMixed: boolean) => {
    const problems =
      value === "" ? [] : dns1035LabelProblems(isMixed ? value.toLowerCase() : value);
    if (problems.length === 0) return;
    const prefix = isMixed ? "may have mixed case, but should otherwise match: " : "";
    errors.push(invalid(`${path}.${at}`, value, prefix + problems.join(",")));
  };
  check("plural", names.plural, false);
  check("singular", names.singular ?? "", false);
  check("kind", names.kind, true);
  check("listKind", names.listKind ?? "", true);
  for (const [i, name] of (names.shortNames ?? []).entries()) {
    check(`shortNames[${String(i)}]`, name, false);
  }
  for (const [i, name] of (names.categories ?? []).entries()) {
    check(`categories[${String(i)}]`, name, false);
  }
  if (names.kind !== "" && names.kind === names.listKind) {
    const why = "kind and listKind may not be the same";
    errors.push(invalid(`${path}.listKind`, names.listKind, why));
  }
  return errors;
}

function validateVersions(
  versions: readonly CustomResourceDefinitionVersion[],
): readonly FieldError[] {
  const errors = versions.flatMap((version, i) => {
    const path = `spec.versions[${String(i)}]`;
    const problems = dns1035LabelProblems(version.name);
    return [
      ...(problems.length === 0 ? [] : [invalid(`${path}.name`, version.name, problems.join(","))]),
      ...validateDeprecation(version, path),
      ...validateColumns(version.additionalPrinterColumns ?? [], path),
      ...validateSubresources(version, path),
      ...validateSelectableFields(version, path),
    ];
  });
  const names = versions.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    errors.push(invalid("spec.versions", names, "must contain unique version names"));
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    const why = "must have exactly one version marked as storage version";
    errors.push(invalid("spec.versions", names, why));
  }
  return errors;
}

function validateDeprecation(
  { deprecated = false, deprecationWarning }: CustomResourceDefinitionVersion,
  path: string,
): readonly FieldError[] {
  if (deprecationWarning === undefined) return [];
  const at = `${path}.deprecationWarning`;
  const errors: FieldError[] = [];
  if (!deprecated)
    errors.push(invalid(at, deprecationWarning, "can only be set for deprecated versions"));
  // A header line: no control characters, and not longer than a header of its kind should be.
  if (deprecationWarning.length > MAX_DEPRECATION_WARNING) {
    const why = `must be <= ${String(MAX_DEPRECATION_WARNING)} characters`;
    errors.push(invalid(at, deprecationWarning, why));
  }
  if (/\p{Cc}/u.test(deprecationWarning)) {
    const why = "must only contain printable UTF-8 characters";
    errors.push(invalid(at, deprecationWarning, why));
  }
  return errors;
}

function validateColumns(
  columns: readonly CustomResourceColumnDefinition[],
  path: string,
): readonly FieldError[] {
  return columns.flatMap((column, i) => {
    const at = `${path}.additionalPrinterColumns[${String(i)}]`;
    const errors: FieldError[] = [];
    if (column.name === "") errors.push(required(`${at}.name`));
    if (column.type === "") {
      errors.push(required(`${at}.type`, `must be one of ${COLUMN_TYPES.join(",")}`));
    } else if (!COLUMN_TYPES.includes(column.type)) {
      const why = `must be one of ${COLUMN_TYPES.join(",")}`;
      errors.push(invalid(`${at}.type`, column.type, why));
    }
    if (!COLUMN_FORMATS.includes(column.format ?? "")) {
      const why = `must be one of ${COLUMN_FORMATS.join(",")}`;
      errors.push(invalid(`${at}.format`, column.format, why));
    }
    return [...errors, ...validatePath(column.jsonPath, `${at}.jsonPath`)];
  });
}

function validatePath(text: string, at: string): readonly FieldError[] {
  if (text === "") return [required(at)];
  if (!text.startsWith(".") && !text.startsWith("[")) {
    return [invalid(at, text, "must be a json path starting with a dot")];
  }
  const parsed = parseJsonPath(text);
  return parsed.kind === "parsed"
    ? []
    : [invalid(at, text, `is an invalid json path: ${parsed.message}`)];
}

/** Paths that are written to, or compared as text: names only, below the given roots. */
function validateSimplePath(
  text: string,
  roots: readonly string[],
  at: string,
): readonly FieldError[] {
  if (text === "") return [required(at)];
  const parsed = parseJsonPath(text);
  const names = parsed.kind === "parsed" ? namesOf(parsed.path) : undefined;
  if (!text.startsWith(".") || names === undefined) {
    return [invalid(at, text, "should be a simple json path in dot notation without arrays")];
  }
  if (names.length > 1 && roots.includes(names[0] ?? "")) return [];
  const list = roots.map((root) => `.${root}`).join(" or ");
  return [invalid(at, text, `should be a json path under ${list}`)];
}

function validateSubresources(
  { subresources }: CustomResourceDefinitionVersion,
  path: string,
): readonly FieldError[] {
  const scale = subresources?.scale;
  if (scale === undefined) return [];
  const at = `${path}.subresources.scale`;
  const { specReplicasPath, statusReplicasPath, labelSelectorPath = "" } = scale;
  return [
    ...validateSimplePath(specReplicasPath, ["spec"], `${at}.specReplicasPath`),
    ...validateSimplePath(statusReplicasPath, ["status"], `${at}.statusReplicasPath`),
    ...(labelSelectorPath === ""
      ? []
      : validateSimplePath(labelSelectorPath, ["spec", "status"], `${at}.labelSelectorPath`)),
  ];
}

function validateSelectableFields(
  { selectableFields = [] }: CustomResourceDefinitionVersion,
  path: string,
): readonly FieldError[] {
  const at = `${path}.selectableFields`;
  const paths = selectableFields.map(({ jsonPath }) => jsonPath);
  return [
    ...paths.flatMap((text, i) =>
      validateSimplePath(text, ["spec", "status"], `${at}[${String(i)}].jsonPath`),
    ),
    ...(new Set(paths).size < paths.length
      ? [invalid(at, paths, "must not contain duplicate paths")]
      : []),
    ...(paths.length > MAX_SELECTABLE_FIELDS
      ? [invalid(at, "", `must have at most ${String(MAX_SELECTABLE_FIELDS)} items`)]
      : []),
  ];
}

/** A schema that all versions share is told of once, at the place where the old API had it, as upstream. */
function validateSchemas(
  versions: readonly CustomResourceDefinitionVersion[],
): readonly FieldError[] {
  const schemas = versions.map(schemaOf);
  const [first] = schemas;
  if (first !== undefined && schemas.every((schema) => deepEqual(schema, first))) {
    return validateStructuralSchema(first, "spec.validation.openAPIV3Schema");
  }
  return schemas.flatMap((schema, i) => {
    const path = `spec.versions[${String(i)}].schema.openAPIV3Schema`;
    return schema === undefined
      ? [required(path, "schemas are required")]
      : validateStructuralSchema(schema, path);
  });
}

function validateConversion({ conversion }: CustomResourceDefinitionSpec): readonly FieldError[] {
  const path = "spec.conversion.strategy";
  if (conversion === undefined) return [];
  switch (conversion.strategy) {
    case "None":
      return conversion.webhook === undefined
        ? []
        : [
            forbidden(
              "spec.conversion.webhook",
              "should not be set when strategy is not set to Webhook",
            ),
          ];
    case "Webhook":
      return [forbidden(path, "conversion webhooks are not supported by this server; use None")];
    case "":
      return [required(path)];
    default:
      return [notSupported(path, conversion.strategy, ["None", "Webhook"])];
  }
}
