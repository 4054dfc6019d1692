import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { includedPart } from "./negotiate.ts";
import { partialMetadata } from "./partial-metadata.ts";
import type { View } from "./view.ts";

/** metav1.Table, as `kubectl get` asks for it. */
export interface Table {
  readonly kind: "Table";
  readonly apiVersion: string;
  readonly metadata: object;
  readonly columnDefinitions: readonly object[];
  readonly rows: readonly object[];
}

/** Objects as rows of their kind's columns; `includeObject` of the query says how much of each comes along. */
export function renderTable(
  view: Omit<View, "form">,
  version: "v1" | "v1beta1",
  objects: readonly KubernetesObject[],
  metadata: object,
): Table {
  const { kind, nowMs, query } = view;
  const include = includedPart(query);
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: kind.columns.map(({ name, type, format = "", description, priority }) => ({
      name,
      type,
      format,
      description,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: kind.columns.map((column) => column.cell(object, nowMs)),
      ...(include === "None"
        ? {}
        : { object: include === "Object" ? object : partialMetadata(object, version) }),
    })),
  };
}
