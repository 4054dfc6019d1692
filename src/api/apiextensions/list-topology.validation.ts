import { forbidden, invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { JsonSchemaProps } from "./json-schema.ts";
import { schemaAt } from "./structural.ts";

/** Checks `x-kubernetes-list-type` and `x-kubernetes-list-map-keys` of one schema, in upstream's wording. */
export function validateListTopology(schema: JsonSchemaProps, path: string): readonly FieldError[] {
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const keysPath = `${path}.x-kubernetes-list-map-keys`;
  if (listType === undefined) {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    return keys.length === 0 ? [] : [required(`${path}.x-kubernetes-list-type`, why)];
  }
  const errors: FieldError[] = [];
  if (!["atomic", "set", "map"].includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ["atomic", "map", "set"]));
  }
  if (schema.type !== "array") {
    const why = "must be array if x-kubernetes-list-type is specified";
    errors.push(invalid(`${path}.type`, schema.type ?? "", why));
  }
  const items = schemaAt(schema.items);
  if (
    listType === "set" &&
    items?.type === "object" &&
    items["x-kubernetes-map-type"] !== "atomic"
  ) {
    const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    errors.push(
      invalid(`${path}.items.x-kubernetes-map-type`, items["x-kubernetes-map-type"] ?? "", why),
    );
  }
  if (listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    if (keys.length > 0) errors.push(invalid(`${path}.x-kubernetes-list-type`, listType, why));
    return errors;
  }
  if (keys.length === 0) {
    errors.push(required(keysPath, "must not be empty if x-kubernetes-list-type is map"));
  }
  if (items === undefined) {
    const why = "must have a schema if x-kubernetes-list-type is map";
    return [...errors, required(`${path}.items`, why)];
  }
  if (items.type !== "object") {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    errors.push(invalid(`${path}.items.type`, items.type ?? "", why));
  }
  return [...errors, ...keyErrors(keys, items, path)];
}

function keyErrors(
  keys: readonly string[],
  items: JsonSchemaProps,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  const keysPath = `${path}.x-kubernetes-list-map-keys`;
  if (new Set(keys).size < keys.length) {
    errors.push(invalid(keysPath, keys, "must not contain duplicate entries"));
  }
  for (const key of keys) {
    const property = Object.hasOwn(items.properties ?? {}, key)
      ? items.properties?.[key]
      : undefined;
    if (property === undefined) {
      errors.push(invalid(keysPath, keys, "entries must all be names of item properties"));
      continue;
    }
    const at = `${path}.items.properties[${key}]`;
    if (property.type === "object" || property.type === "array") {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      errors.push(invalid(`${at}.type`, property.type, why));
    }
    if (property.default === undefined && items.required?.includes(key) !== true) {
      const why =
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
      errors.push(required(`${at}.default`, why));
    }
    if (property.nullable === true) {
      const why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
      errors.push(forbidden(`${at}.nullable`, why));
    }
  }
  return errors;
}
