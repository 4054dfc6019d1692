import { parseIpAddress } from "../../net/address.ts";
import { validateIp } from "../machinery/address.validation.ts";
import { duplicate, forbidden, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { validateLabels, validateNonNegative } from "../machinery/metadata.validation.ts";
import {
  validateDnsLabel,
  validateDnsSubdomain,
  validateOneOf,
  validateOneOfIfSet,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import { validateContainer } from "./container.validation.ts";
import { RESTART_POLICIES } from "./pod.ts";
import type { Pod, PodSpec } from "./pod.ts";
import type { Toleration } from "./taint.ts";
import type { Volume } from "./volume.ts";
import { validateVolumes } from "./volume.validation.ts";

const DNS_POLICIES = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"] as const;
const TAINT_EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"] as const;
const MAX_DEADLINE_SECONDS = 2 ** 31 - 1;
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARS = 2048;
const SEARCH_DOMAIN_TEXT =
  "must be a domain name of at most 253 lower case letters, digits, '-', '_' and '.', whose parts start and end with a letter, digit or '_'";

/**
 * Checks a Pod that has its defaults. What concerns parts of Kubernetes that no Pod here can use (claims of
 * devices, cloud volumes, Windows) is accepted unread.
 */
export function validatePod({ spec }: Pod): readonly FieldError[] {
  const volumes = validateVolumes(spec.volumes ?? [], "spec.volumes");
  return [
    ...volumes.errors,
    ...validateContainers(spec, volumes.valid),
    ...validateOneOf(spec.restartPolicy, RESTART_POLICIES, "spec.restartPolicy"),
    ...validateOneOf(spec.dnsPolicy, DNS_POLICIES, "spec.dnsPolicy"),
    ...validateLabels(spec.nodeSelector ?? {}, "spec.nodeSelector"),
    ...validateNames(spec),
    ...validateSeconds(spec),
    ...validateTolerations(spec.tolerations ?? [], "spec.tolerations"),
    ...validateDnsConfig(spec),
    ...(spec.hostAliases ?? []).flatMap(({ ip, hostnames = [] }, i) => {
      const path = `spec.hostAliases[${String(i)}]`;
      return [
        ...(parseIpAddress(ip) === undefined ? validateIp(ip, `${path}.ip`) : []),
        ...hostnames.flatMap((name) => validateDnsSubdomain(name, `${path}.hostnames`)),
      ];
    }),
    ...(spec.readinessGates ?? []).flatMap(({ conditionType }, i) =>
      validateQualifiedName(conditionType, `spec.readinessGates[${String(i)}].conditionType`),
    ),
  ];
}

function validateContainers(
  spec: PodSpec,
  volumes: ReadonlyMap<string, Volume>,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  if (spec.containers.length === 0) errors.push(required("spec.containers"));
  for (const [kind, key, containers] of [
    ["regular", "containers", spec.containers],
    ["init", "initContainers", spec.initContainers ?? []],
  ] as const) {
    containers.forEach((container, i) => {
      const path = `spec.${key}[${String(i)}]`;
      errors.push(...validateContainer(container, path, { kind, volumes }));
      if (container.name !== "" && names.has(container.name)) {
        errors.push(duplicate(`${path}.name`, container.name));
      }
      names.add(container.name);
    });
  }
  if ((spec.ephemeralContainers ?? []).length > 0) {
    const text = "cannot be set on create";
    errors.push(forbidden("spec.ephemeralContainers", text));
  }
  return [...errors, ...validateHostPorts(spec)];
}

/** A port of the node can be taken only once. */
function validateHostPorts(spec: PodSpec): readonly FieldError[] {
  const seen = new Set<string>();
  return spec.containers.flatMap((container, i) =>
    (container.ports ?? []).flatMap(({ hostPort = 0, hostIP = "", protocol }, j) => {
      if (hostPort === 0) return [];
      const key = `${protocol}/${hostIP}/${String(hostPort)}`;
      const path = `spec.containers[${String(i)}].ports[${String(j)}].hostPort`;
      if (seen.has(key)) return [duplicate(path, key)];
      seen.add(key);
      return [];
    }),
  );
}

function validateNames(spec: PodSpec): readonly FieldError[] {
  const { nodeName, hostname, subdomain, serviceAccountName } = spec;
  return [
    ...(serviceAccountName
      ? validateDnsSubdomain(serviceAccountName, "spec.serviceAccountName")
      : []),
    ...(nodeName ? validateDnsSubdomain(nodeName, "spec.nodeName") : []),
    ...(hostname ? validateDnsLabel(hostname, "spec.hostname") : []),
    ...(subdomain ? validateDnsLabel(subdomain, "spec.subdomain") : []),
  ];
}

function validateSeconds(spec: PodSpec): readonly FieldError[] {
  const deadline = spec.activeDeadlineSeconds;
  const isOutOfRange = deadline !== undefined && (deadline < 1 || deadline > MAX_DEADLINE_SECONDS);
  const text = `must be between 1 and ${String(MAX_DEADLINE_SECONDS)}, inclusive`;
  return [
    ...(isOutOfRange ? [invalid("spec.activeDeadlineSeconds", deadline, text)] : []),
    ...validateNonNegative(
      spec.terminationGracePeriodSeconds,
      "spec.terminationGracePeriodSeconds",
    ),
  ];
}

function validateTolerations(
  tolerations: readonly Toleration[],
  path: string,
): readonly FieldError[] {
  return tolerations.flatMap((toleration, i) => {
    const at = `${path}[${String(i)}]`;
    const { key = "", operator = "Equal", value = "", effect = "" } = toleration;
    const errors: FieldError[] = [];
    if (key !== "") errors.push(...validateQualifiedName(key, `${at}.key`));
    if (key === "" && operator !== "Exists") {
      const text =
        'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalid(`${at}.operator`, operator, text));
    }
    if (toleration.tolerationSeconds !== undefined && effect !== "NoExecute") {
      const text = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      errors.push(invalid(`${at}.effect`, effect, text));
    }
    if (operator === "Exists" && value !== "") {
      const text = "value must be empty when `operator` is 'Exists'";
      errors.push(invalid(`${at}.operator`, toleration, text));
    }
    errors.push(...validateOneOf(operator, ["Equal", "Exists"], `${at}.operator`));
    if (effect !== "") errors.push(...validateOneOfIfSet(effect, TAINT_EFFECTS, `${at}.effect`));
    return errors;
  });
}

function validateDnsConfig({ dnsPolicy, dnsConfig }: PodSpec): readonly FieldError[] {
  const path = "spec.dnsConfig";
  const nameservers = dnsConfig?.nameservers ?? [];
  if (dnsPolicy === "None" && dnsConfig === undefined) {
    return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
  }
  const errors: FieldError[] = [];
  if (dnsPolicy === "None" && nameservers.length === 0) {
    const text = "must provide at least one DNS nameserver when `dnsPolicy` is None";
    errors.push(required(`${path}.nameservers`, text));
  }
  if (nameservers.length > MAX_NAMESERVERS) {
    const text = `must not have more than ${String(MAX_NAMESERVERS)} nameservers`;
    errors.push(invalid(`${path}.nameservers`, nameservers, text));
  }
  nameservers.forEach((address, i) => {
    if (parseIpAddress(address) === undefined) {
      errors.push(...validateIp(address, `${path}.nameservers[${String(i)}]`));
    }
  });
  return [...errors, ...validateDnsSearches(dnsConfig?.searches ?? [], `${path}.searches`)].concat(
    (dnsConfig?.options ?? []).flatMap(({ name = "" }, i) =>
      name === "" ? [required(`${path}.options[${String(i)}]`, "must not be empty")] : [],
    ),
  );
}

/** DNS-054, DNS-056: in a name that is searched with, underscores are right, and "." is the root. */
function validateDnsSearches(searches: readonly string[], path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (searches.length > MAX_SEARCHES) {
    const text = `must not have more than ${String(MAX_SEARCHES)} search paths`;
    errors.push(invalid(path, searches, text));
  }
  if (searches.join(" ").length > MAX_SEARCH_CHARS) {
    const text = `must not have more than ${String(MAX_SEARCH_CHARS)} characters (including spaces) in the search list`;
    errors.push(invalid(path, searches, text));
  }
  searches.forEach((search, i) => {
    const name = search.replace(/\.$/, "");
    if (search !== "." && !isSearchDomain(name)) {
      errors.push(invalid(`${path}[${String(i)}]`, search, SEARCH_DOMAIN_TEXT));
    }
  });
  return errors;
}

function isSearchDomain(name: string): boolean {
  return (
    name.length <= 253 &&
    /^[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?(?:\.[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?)*$/.test(name)
  );
}
