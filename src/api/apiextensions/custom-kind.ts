import type { JsonObject } from "../machinery/json.ts";
import type { KindDefinition, ScalePaths } from "../machinery/kind.ts";
import { apiVersionOf } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { PLAIN_STRATEGY, keepAllButStatus, keepStatus } from "../machinery/strategy.ts";
import { columnsOf, selectableFieldsOf } from "./custom-columns.ts";
import { messageOfKind, publishedSchema } from "./custom-schema.ts";
import { validateCustomValue } from "./custom-value.validation.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from "./customresourcedefinition.ts";
import { schemaOf } from "./customresourcedefinition.validation.ts";
import { asServed } from "./definition-status.ts";
import { namesOf, parseJsonPath } from "./json-path.ts";
import { shapeObject } from "./shape.ts";
import { structuralOf } from "./structural.ts";
import type { Structural } from "./structural.ts";
import { compareVersions } from "./version-priority.ts";

/** A version of a custom resource, and whether it is part of the API. */
export interface CustomVersion {
  readonly served: boolean;
  readonly definition: KindDefinition;
}

/**
 * The kinds that a definition adds, one for each version, the preferred one first. Schemas are made ready when
 * they are first needed, so that a kind that nobody uses costs next to nothing.
 */
export function customVersions(crd: CustomResourceDefinition): readonly CustomVersion[] {
  const storage = crd.spec.versions.find((version) => version.storage);
  if (storage === undefined) return [];
  const schemas = new Map(
    crd.spec.versions.map((version) => [
      version.name,
      once(() => structuralOf(schemaOf(version) ?? {})),
    ]),
  );
  return crd.spec.versions
    .toSorted((a, b) => compareVersions(a.name, b.name))
    .flatMap((version) => {
      const [own, stored] = [schemas.get(version.name), schemas.get(storage.name)];
      if (own === undefined || stored === undefined) return [];
      const definition = customKind(crd, version, own, { version: storage, schema: stored });
      return [{ served: version.served, definition }];
    });
}

/** The kind of a definition in the version that clients prefer; none while it is not served. */
export function servedKindOf(crd: CustomResourceDefinition): readonly KindDefinition[] {
  const served = asServed(crd);
  const versions = served === undefined ? [] : customVersions(served);
  return versions
    .filter((version) => version.served)
    .map(({ definition }) => definition)
    .slice(0, 1);
}

function customKind(
  crd: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: () => Structural,
  storage: {
    readonly version: CustomResourceDefinitionVersion;
    readonly schema: () => Structural;
  },
): KindDefinition {
  const { group, names, scope } = crd.spec;
  const id = { group, version: version.name, kind: names.kind };
  const isStorageVersion = version === storage.version;
  const stored = { group, version: storage.version.name };
  const message = once(() => messageOfKind(schemaName(id), schema()));
  return {
    ...id,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === "Namespaced",
    get schema() {
      return message();
    },
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: selectableFieldsOf(version.selectableFields),
    strategy: strategyOf(version, schema),
    deprecation: deprecationOf(crd, version),
    scale: scalePathsOf(version),
    custom: {
      decode: (value) => shapeObject(schema(), value),
      openApi: () => publishedSchema(schemaOf(version) ?? {}, id),
      toStored: (object) =>
        isStorageVersion ? object : convert(object, apiVersionOf(stored), storage.schema()),
      fromStored: (object) => convert(object, apiVersionOf(id), schema()),
      isStorageVersion,
      listKind: names.listKind ?? `${names.kind}List`,
    },
  };
}

/** Makes the value on the first call, and remembers it. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** `com.example.stable.v1.CronTab` for group stable.example.com: as upstream names schemas. */
function schemaName({ group, version, kind }: { group: string; version: string; kind: string }) {
  return `${group.split(".").toReversed().join(".")}.${version}.${kind}`;
}

/**
 * Conversion by strategy None: the apiVersion changes, fields that the other version lacks are pruned, and its
 * defaults filled in.
 */
function convert(
  object: KubernetesObject,
  apiVersion: string,
  schema: Structural,
): KubernetesObject {
  // An object of the API is a JSON object, and stays one with its kind and metadata.
  const shaped = shapeObject(schema, object as unknown as JsonObject);
  // Only defaults of a schema that has changed can be too large; the object is shown without them.
  if (shaped.kind === "malformed") return { ...object, apiVersion };
  return { ...(shaped.object as unknown as KubernetesObject), apiVersion };
}

function strategyOf(
  version: CustomResourceDefinitionVersion,
  schema: () => Structural,
): KindDefinition["strategy"] {
  const hasStatus = version.subresources?.status !== undefined;
  const validate = (object: KubernetesObject, old?: KubernetesObject) =>
    validateCustomValue(schema(), object, old === undefined ? {} : { old });
  const withoutStatus = (object: KubernetesObject): KubernetesObject => {
    const { status: _, ...rest } = object as KubernetesObject & { status?: unknown };
    return rest;
  };
  return {
    ...PLAIN_STRATEGY,
    // Decoding fills in defaults, and so does reading.
    defaults: (object) => object,
    prepareForCreate: (object) => (hasStatus ? withoutStatus(object) : object),
    prepareForUpdate: (object, old) => (hasStatus ? keepStatus(object, old) : object),
    ...(hasStatus
      ? {
          prepareForStatusUpdate: (object: KubernetesObject, old: KubernetesObject) =>
            keepAllButStatus(object, old),
          validateStatusUpdate: validate,
        }
      : {}),
    validateCreate: (object) => validate(object),
    validateUpdate: validate,
    plainFinalizers: true,
    createOnUpdate: false,
    // Upstream: custom resources take updates without a version only as patches do.
    unconditionalUpdate: false,
    generation: "content",
  };
}

function scalePathsOf({ subresources }: CustomResourceDefinitionVersion): ScalePaths | undefined {
  const scale = subresources?.scale;
  if (scale === undefined) return undefined;
  const names = (text: string) => {
    const parsed = parseJsonPath(text);
    return (parsed.kind === "parsed" ? namesOf(parsed.path) : undefined) ?? [];
  };
  const { labelSelectorPath = "" } = scale;
  return {
    specReplicas: names(scale.specReplicasPath),
    statusReplicas: names(scale.statusReplicasPath),
    labelSelector: labelSelectorPath === "" ? undefined : names(labelSelectorPath),
  };
}

/** The text of the warning: the definition's own, or one that names a newer version of at least this stability. */
function deprecationOf(
  crd: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
): string | undefined {
  if (version.deprecated !== true) return undefined;
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const { group, names } = crd.spec;
  const [newer] = crd.spec.versions
    .filter((one) => one.served && one.deprecated !== true)
    .filter((one) => compareVersions(one.name, version.name) < 0)
    .toSorted((a, b) => compareVersions(a.name, b.name));
  const text = `${group}/${version.name} ${names.kind} is deprecated`;
  return newer === undefined ? text : `${text}; use ${group}/${newer.name} ${names.kind}`;
}
