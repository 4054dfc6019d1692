import { parseIpAddress } from "../../net/address.ts";
import { dnsSubdomainProblems } from "../../net/names.ts";
import { invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { deepEqual } from "../machinery/json.ts";
import { pathSegmentProblems } from "../machinery/name-formats.ts";
import type { IPAddress, ParentReference } from "./ipaddress.ts";

/** The name is the address in canonical text (ALLOC-013; upstream `ValidateIPAddressName`). */
export function ipAddressNameProblems(name: string): readonly string[] {
  const address = parseIpAddress(name);
  if (address === undefined) return [`ParseAddr(${JSON.stringify(name)}): unable to parse IP`];
  return address === name ? [] : ["must be a canonical format IP address"];
}

/** Checks an IPAddress (ALLOC-013; upstream `apis/networking/validation:ValidateIPAddress`). */
export function validateIpAddress({ spec }: IPAddress): readonly FieldError[] {
  const path = "spec.parentRef";
  const { parentRef } = spec;
  if (parentRef === undefined) return [required(path)];
  const { group = "" } = parentRef;
  return [
    // The empty group is that of Services.
    ...(group === ""
      ? []
      : dnsSubdomainProblems(group).map((problem) => invalid(`${path}.group`, group, problem))),
    ...validateSegment(parentRef, "resource", path),
    ...validateSegment(parentRef, "name", path),
    ...((parentRef.namespace ?? "") === "" ? [] : validateSegment(parentRef, "namespace", path)),
  ];
}

export function validateIpAddressUpdate(next: IPAddress, old: IPAddress): readonly FieldError[] {
  return deepEqual(next.spec.parentRef, old.spec.parentRef)
    ? []
    : [invalid("spec.parentRef", next.spec.parentRef, "field is immutable")];
}

function validateSegment(
  reference: ParentReference,
  key: "resource" | "name" | "namespace",
  path: string,
): readonly FieldError[] {
  const text = reference[key] ?? "";
  if (text === "") return [required(`${path}.${key}`)];
  return pathSegmentProblems(text).map((problem) => invalid(`${path}.${key}`, text, problem));
}
