import { NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { ipAddress } from "./ipaddress.ts";
import type { IPAddress } from "./ipaddress.ts";
import {
  ipAddressNameProblems,
  validateIpAddress,
  validateIpAddressUpdate,
} from "./ipaddress.validation.ts";

/** `services/default/web`, or `gateways.example.com/edge` for an object of a cluster. */
function formatParent({ spec }: IPAddress): string {
  if (spec.parentRef === undefined) return "<none>";
  const { group = "", resource = "", namespace = "", name = "" } = spec.parentRef;
  const kind = `${resource}${group === "" ? "" : `.${group}`}`.toLowerCase();
  return [kind, ...(namespace === "" ? [] : [namespace]), name].join("/");
}

export const ipAddressKind: KindDefinition<IPAddress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  plural: "ipaddresses",
  singular: "ipaddress",
  shortNames: ["ip"],
  categories: [],
  namespaced: false,
  schema: ipAddress,
  columns: [
    NAME_COLUMN,
    {
      name: "ParentRef",
      type: "string",
      description: "The object that holds the address.",
      priority: 0,
      cell: formatParent,
    },
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(ipAddress, object),
    validateCreate: validateIpAddress,
    validateUpdate: validateIpAddressUpdate,
    // Of an address nothing can be left to a name generator.
    nameProblems: ipAddressNameProblems,
  },
};
