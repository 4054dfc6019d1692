import { column } from "../apps/workload.columns.ts";
import { WORKLOAD_STRATEGY } from "../apps/workload.strategy.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { storedOnly } from "../machinery/stored-only.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { ingress, ingressClass } from "./ingress.ts";
import type { Ingress, IngressClass } from "./ingress.ts";
import { validateIngress, validateIngressClass } from "./ingress.validation.ts";

function hosts({ spec }: Ingress): string {
  const named = (spec.rules ?? []).flatMap(({ host = "" }) => (host === "" ? [] : [host]));
  const text = named.slice(0, 3).join(",");
  if (named.length === 0) return "*";
  return named.length > 3 ? `${text} + ${String(named.length - 3)} more...` : text;
}

function addresses({ status }: Ingress): string {
  return (status?.loadBalancer?.ingress ?? [])
    .flatMap(({ ip, hostname }) => ip ?? hostname ?? [])
    .join(",");
}

export const ingressKind: KindDefinition<Ingress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  plural: "ingresses",
  singular: "ingress",
  shortNames: ["ing"],
  categories: [],
  namespaced: true,
  schema: ingress,
  columns: [
    NAME_COLUMN,
    column("Class", "Its class.", ({ spec }) => spec.ingressClassName ?? "<none>", "string"),
    column("Hosts", "Hosts of its rules.", hosts, "string"),
    column("Address", "Where it is reached.", addresses, "string"),
    column(
      "Ports",
      "Its ports.",
      ({ spec }) => ((spec.tls ?? []).length > 0 ? "80, 443" : "80"),
      "string",
    ),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...WORKLOAD_STRATEGY,
    defaults: (object) => withZeroValues(ingress, object),
    validateCreate: validateIngress,
    validateUpdate: validateIngress,
    validateStatusUpdate: () => [],
    warnings: storedOnly(
      "Ingresses",
      "requests are not routed unless you run an ingress controller; a Service of type LoadBalancer is reached from outside",
    ),
  },
};

export const ingressClassKind: KindDefinition<IngressClass> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
  plural: "ingressclasses",
  singular: "ingressclass",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: ingressClass,
  columns: [
    NAME_COLUMN,
    column("Controller", "Who serves it.", ({ spec }) => spec.controller ?? "", "string"),
    column(
      "Parameters",
      "Its settings.",
      ({ spec: { parameters } }) => {
        if (parameters === undefined) return "<none>";
        const group = parameters.apiGroup === undefined ? "" : `.${parameters.apiGroup}`;
        return `${parameters.kind}${group}/${parameters.name}`;
      },
      "string",
    ),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    generation: "spec",
    defaults: (object) => withZeroValues(ingressClass, object),
    validateCreate: validateIngressClass,
    validateUpdate: validateIngressClass,
  },
};
