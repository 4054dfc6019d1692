import type { Column } from "../machinery/kind.ts";
import type { KubernetesObject, LabelSelector } from "../machinery/metadata.ts";
import type { PodTemplateSpec } from "../v1/pod-template.ts";

/** A column that is always shown. */
export function column<T extends KubernetesObject>(
  name: string,
  description: string,
  cell: (object: T) => string | number,
  type: "string" | "integer" = "integer",
): Column<T> {
  return { name, type, description, priority: 0, cell };
}

function wide<T extends KubernetesObject>(
  name: string,
  description: string,
  cell: (object: T) => string,
): Column<T> {
  return { name, type: "string", description, priority: 1, cell };
}

/** Names and images of the template's containers, with `-o wide`. */
export function containerColumns<T extends KubernetesObject>(
  templateOf: (object: T) => PodTemplateSpec | undefined,
): readonly Column<T>[] {
  const join = (object: T, key: "name" | "image"): string =>
    (templateOf(object)?.spec.containers ?? []).map((one) => one[key] ?? "").join(",");
  return [
    wide("Containers", "Names of the containers.", (object) => join(object, "name")),
    wide("Images", "Images of the containers.", (object) => join(object, "image")),
  ];
}

export function selectorColumn<T extends KubernetesObject>(
  selectorOf: (object: T) => LabelSelector | undefined,
): Column<T> {
  return wide("Selector", "Labels of the Pods.", (object) => {
    const selector = selectorOf(object);
    return selector === undefined ? "<none>" : formatSelector(selector) || "<none>";
  });
}

/** A selector as text, as `kubectl get -l` reads it: `a=1,b in (x,y),!c`. */
export function formatSelector(selector: LabelSelector): string {
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const others = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    switch (operator) {
      case "In":
        return `${key} in (${values.toSorted().join(",")})`;
      case "NotIn":
        return `${key} notin (${values.toSorted().join(",")})`;
      case "DoesNotExist":
        return `!${key}`;
      default:
        return key;
    }
  });
  return [...equal, ...others].toSorted().join(",");
}
