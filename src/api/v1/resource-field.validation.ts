import { invalid, notSupported, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { compareQuantities } from "../machinery/quantity.ts";
import type { EnvVarSource } from "./env.ts";

type ResourceFieldRef = NonNullable<EnvVarSource["resourceFieldRef"]>;

const RESOURCES: readonly string[] = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];

const BYTE_DIVISORS = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";

/** Divisors that are taken, and the resource's name in the message. */
const DIVISORS = {
  cpu: { list: "1m and 1", resource: "cpu" },
  memory: { list: BYTE_DIVISORS, resource: "memory" },
  "ephemeral-storage": { list: BYTE_DIVISORS, resource: "local ephemeral storage" },
  hugepages: { list: BYTE_DIVISORS, resource: "hugepages" },
} as const;

/**
 * Checks a reference to a container's resource. Source of rules and texts: upstream
 * `pkg/apis/core/validation/validation.go`, `validateContainerResourceFieldSelector`.
 * @param needsContainer in a volume, which is of no container, the reference names one.
 */
export function validateResourceField(
  ref: ResourceFieldRef,
  needsContainer: boolean,
  path: string,
): readonly FieldError[] {
  const { containerName, resource, divisor } = ref;
  const divisorErrors = validateDivisor(resource, divisor, path);
  if (needsContainer && !containerName) {
    return [required(`${path}.containerName`), ...divisorErrors];
  }
  if (resource === "") return [required(`${path}.resource`), ...divisorErrors];
  const isKnown = RESOURCES.includes(resource) || /^(limits|requests)\.hugepages-/.test(resource);
  return isKnown
    ? divisorErrors
    : [notSupported(`${path}.resource`, resource, RESOURCES), ...divisorErrors];
}

/** Zero is a divisor that was not given. */
function validateDivisor(
  resource: string,
  divisor: string | number | undefined,
  path: string,
): readonly FieldError[] {
  const [, name] =
    /^(?:limits|requests)\.(cpu|memory|ephemeral-storage|hugepages)/.exec(resource) ?? [];
  if (divisor === undefined || name === undefined) return [];
  // The expression has no other names.
  const known = DIVISORS[name as keyof typeof DIVISORS];
  const isEqual = (one: string): boolean => compareQuantities(divisor, one) === 0;
  if (["0", ...known.list.split(/, | and /)].some(isEqual)) return [];
  const text = `only divisor's values ${known.list} are supported with the ${known.resource} resource`;
  return [invalid(`${path}.divisor`, resource, text)];
}
