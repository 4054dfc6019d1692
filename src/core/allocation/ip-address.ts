import { IP_ALLOCATOR, IP_FAMILY_LABEL, MANAGED_BY_LABEL } from "../../api/networking/ipaddress.ts";
import type { IPAddress, ParentReference } from "../../api/networking/ipaddress.ts";
import type { ObjectRef } from "../../api/machinery/object-key.ts";
import { ipFamilyOf } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";

/** The object that says who holds a cluster IP (ALLOC-010, ALLOC-011). */
export function ipAddressOf(
  ip: IpAddress,
  service: ObjectRef,
): Pick<IPAddress, "metadata" | "spec"> {
  const { namespace = "", name } = service;
  return {
    metadata: {
      name: ip,
      labels: { [IP_FAMILY_LABEL]: ipFamilyOf(ip), [MANAGED_BY_LABEL]: IP_ALLOCATOR },
    },
    spec: { parentRef: { resource: "services", namespace, name } },
  };
}

/** Made by the allocation of Services, and so to be taken away with them. */
export function isAllocated({ metadata }: Pick<IPAddress, "metadata">): boolean {
  return metadata.labels?.[MANAGED_BY_LABEL] === IP_ALLOCATOR;
}

/** The Service that the address is for; undefined: it is for something else. */
export function serviceOfAddress({ spec }: IPAddress): ObjectRef | undefined {
  const { parentRef } = spec;
  if (parentRef === undefined || !isService(parentRef)) return undefined;
  return { namespace: parentRef.namespace ?? "", name: parentRef.name ?? "" };
}

export function belongsTo(address: IPAddress, service: ObjectRef): boolean {
  const parent = serviceOfAddress(address);
  return parent?.name === service.name && parent.namespace === service.namespace;
}

function isService({ group = "", resource = "" }: ParentReference): boolean {
  return group === "" && resource === "services";
}
