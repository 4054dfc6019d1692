import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { utf8Length } from "../machinery/metadata.validation.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { configMap } from "./configmap.ts";
import type { ConfigMap } from "./configmap.ts";
import {
  base64Length,
  validateDataKeys,
  validateDataSize,
  validateImmutable,
} from "./data.validation.ts";

function validate({ data = {}, binaryData = {} }: ConfigMap): readonly FieldError[] {
  const twice = Object.keys(data).filter((key) => Object.hasOwn(binaryData, key));
  const bytes =
    Object.values(data).reduce((sum, text) => sum + utf8Length(text), 0) +
    Object.values(binaryData).reduce((sum, text) => sum + base64Length(text), 0);
  return [
    ...validateDataKeys(data, "data"),
    ...twice.map((key) => invalid(`data[${key}]`, key, "duplicate of key present in binaryData")),
    ...validateDataKeys(binaryData, "binaryData"),
    ...validateDataSize(bytes, ""),
  ];
}

export const configMapKind: KindDefinition<ConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  schema: configMap,
  columns: [
    NAME_COLUMN,
    {
      name: "Data",
      type: "string",
      description: "Number of keys.",
      priority: 0,
      cell: ({ data = {}, binaryData = {} }) =>
        Object.keys(data).length + Object.keys(binaryData).length,
    },
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(configMap, object),
    validateCreate: validate,
    validateUpdate: (object, old) => [
      ...validateImmutable(object, old, ["data", "binaryData"]),
      ...validate(object),
    ],
  },
};
