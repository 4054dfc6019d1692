import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import type { KubernetesObject } from "../../src/api/machinery/metadata.ts";
import { configMap } from "../../src/api/v1/configmap.ts";

export interface TestConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}
/** What a client needs to know of a kind; temporary until the served kind's definition is there. */
export const configMapKind: KindDefinition<TestConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: configMap,
  columns: [],
  selectableFields: [],
  strategy: {
    defaults: (o) => o,
    prepareForCreate: (o) => o,
    prepareForUpdate: (o) => o,
    validateCreate: () => [],
    validateUpdate: () => [],
    nameProblems: () => [],
    createOnUpdate: false,
    unconditionalUpdate: true,
    generation: "none",
  },
};
