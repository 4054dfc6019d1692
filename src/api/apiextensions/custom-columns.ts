import { AGE_COLUMN, NAME_COLUMN, formatSince } from "../machinery/cells.ts";
import type { Cell, Column, SelectableField } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { parseTimestamp } from "../machinery/time.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinitionVersion,
} from "./customresourcedefinition.ts";
import { firstAt, parseJsonPath } from "./json-path.ts";
import type { JsonPath } from "./json-path.ts";

/** Columns of tables: the name, and what the definition adds, or else the age (upstream `tableconvertor`). */
export function columnsOf(
  definitions: readonly CustomResourceColumnDefinition[] = [],
): readonly Column<KubernetesObject>[] {
  if (definitions.length === 0) return [NAME_COLUMN, AGE_COLUMN];
  return [
    NAME_COLUMN,
    ...definitions.map((definition): Column<KubernetesObject> => {
      const path = pathOf(definition.jsonPath);
      const { type } = definition;
      return {
        name: definition.name,
        // Validated to be one of these.
        type: type as Column<KubernetesObject>["type"],
        ...(definition.format === undefined ? {} : { format: definition.format }),
        description:
          definition.description ??
          `Custom resource definition column (in JSONPath format): ${definition.jsonPath}`,
        priority: definition.priority ?? 0,
        cell: (object, nowMs) => cellOf(type, firstAt(path, object), nowMs),
      };
    }),
  ];
}

function cellOf(type: string, value: unknown, nowMs: number): Cell {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      if (typeof value !== "string") return null;
      return parseTimestamp(value) === undefined ? "<invalid>" : formatSince(value, nowMs);
    default:
      return null;
  }
}

/** What field selectors may name: the paths without their first dot. */
export function selectableFieldsOf(
  fields: CustomResourceDefinitionVersion["selectableFields"] = [],
): readonly SelectableField<KubernetesObject>[] {
  return fields.map(({ jsonPath }) => {
    const path = pathOf(jsonPath);
    return {
      path: jsonPath.replace(/^\./, ""),
      value: (object) => {
        const value = firstAt(path, object);
        return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
          ? String(value)
          : "";
      },
    };
  });
}

/** Of a validated definition; one that cannot be read leads nowhere. */
function pathOf(text: string): JsonPath {
  const parsed = parseJsonPath(text);
  return parsed.kind === "parsed" ? parsed.path : [{ kind: "index", index: 0 }];
}
