import { NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { serviceImport } from "./serviceimport.ts";
import type { ServiceImport } from "./serviceimport.ts";

/**
 * ServiceImport as its clients know it. No server of ours has it built in: it comes with the
 * CustomResourceDefinition of whoever joins clusters (KEP-1645), and judges what is written by that.
 */
export const serviceImportKind: KindDefinition<ServiceImport> = {
  group: "multicluster.x-k8s.io",
  version: "v1alpha1",
  kind: "ServiceImport",
  plural: "serviceimports",
  singular: "serviceimport",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: serviceImport,
  columns: [NAME_COLUMN],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => object,
    validateCreate: () => [],
    validateUpdate: () => [],
  },
};
