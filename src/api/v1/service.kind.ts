import type { IpFamily } from "../../net/address.ts";
import { dns1035LabelProblems } from "../../net/names.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { nameCheck } from "../machinery/name-formats.ts";
import { keepAllButStatus } from "../machinery/strategy.ts";
import { serviceColumns } from "./service.columns.ts";
import { defaultService } from "./service.defaults.ts";
import { prepareServiceForCreate, prepareServiceForUpdate } from "./service.strategy.ts";
import { completeStoredService } from "./service.stored.ts";
import { service } from "./service.ts";
import type { Service } from "./service.ts";
import { validateServiceStatus } from "./service-status.validation.ts";
import { validateServiceUpdate } from "./service-update.validation.ts";
import { validateService } from "./service.validation.ts";
import { serviceWarnings } from "./service.warnings.ts";

/**
 * Service as a server serves it.
 * @param primaryFamily the family of headless Services that were stored without one.
 */
export function serviceKindFor(primaryFamily: IpFamily): KindDefinition<Service> {
  return {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    shortNames: ["svc"],
    categories: ["all"],
    namespaced: true,
    schema: service,
    columns: serviceColumns,
    selectableFields: [
      { path: "spec.clusterIP", value: (object) => object.spec.clusterIP ?? "" },
      { path: "spec.type", value: (object) => object.spec.type },
    ],
    strategy: {
      defaults: defaultService,
      completeStored: (service) => completeStoredService(service, primaryFamily),
      prepareForCreate: prepareServiceForCreate,
      prepareForUpdate: prepareServiceForUpdate,
      prepareForStatusUpdate: keepAllButStatus,
      validateCreate: validateService,
      validateUpdate: validateServiceUpdate,
      validateStatusUpdate: validateServiceStatus,
      warnings: serviceWarnings,
      nameProblems: nameCheck(dns1035LabelProblems),
      createOnUpdate: true,
      unconditionalUpdate: true,
      generation: "none",
    },
  };
}

/** Service as clients know it. */
export const serviceKind: KindDefinition<Service> = serviceKindFor("IPv4");
