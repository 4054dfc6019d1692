import { parseIpAddress } from "../../net/address.ts";
import { validateIp } from "../machinery/address.validation.ts";
import { duplicate, invalid, required } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { envNameProblems, portNameProblems } from "../machinery/name-formats.ts";
import {
  validateDnsLabel,
  validateOneOf,
  validateOneOfIfSet,
  validatePortNumber,
  validateQualifiedName,
} from "../machinery/value.validation.ts";
import type { Container, ContainerPort } from "./container.ts";
import type { EnvVar, EnvVarSource } from "./env.ts";
import { validateLifecycle, validateProbes } from "./probe.validation.ts";
import { PROTOCOLS } from "./service.ts";
import { validateMounts } from "./volume-mount.validation.ts";
import type { Volume } from "./volume.ts";
import { validateResourceField } from "./resource-field.validation.ts";

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;
const MESSAGE_POLICIES = ["FallbackToLogsOnError", "File"] as const;
const RESTART_POLICIES = ["Always", "Never", "OnFailure"] as const;
/** Fields of a Pod that a variable may take its value from, beside single labels and annotations. */
const ENV_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
] as const;

/** What a container is checked against. */
export interface ContainerSurroundings {
  readonly kind: "regular" | "init";
  /** The Pod's volumes that are right, by name. */
  readonly volumes: ReadonlyMap<string, Volume>;
}

export function validateContainer(
  container: Container,
  path: string,
  surroundings: ContainerSurroundings,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (container.name === "") errors.push(required(`${path}.name`));
  else errors.push(...validateDnsLabel(container.name, `${path}.name`));
  errors.push(...validateImage(container, path));
  if (container.lifecycle !== undefined) {
    errors.push(...validateLifecycle(container.lifecycle, `${path}.lifecycle`));
  }
  errors.push(
    ...validateProbes(container, path, surroundings.kind === "init"),
    ...validateContainerPorts(container.ports ?? [], `${path}.ports`),
    ...(container.env ?? []).flatMap((variable, i) =>
      validateEnv(variable, `${path}.env[${String(i)}]`),
    ),
    ...validateEnvFrom(container, `${path}.envFrom`),
    ...validateMounts(container, surroundings.volumes, path),
    ...validateOneOfIfSet(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`),
    ...validateOneOfIfSet(
      container.terminationMessagePolicy,
      MESSAGE_POLICIES,
      `${path}.terminationMessagePolicy`,
    ),
    ...validateOneOfIfSet(container.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`),
    ...validateResourceNames(container, `${path}.resources`),
  );
  return errors;
}

/**
 * Upstream requires an image. Here Pods are local processes: a command is enough to run one, and only a container
 * that has neither is refused.
 */
function validateImage({ image = "", command = [] }: Container, path: string): FieldError[] {
  if (image === "") return command.length === 0 ? [required(`${path}.image`)] : [];
  return image === image.trim()
    ? []
    : [invalid(`${path}.image`, image, "must not have leading or trailing whitespace")];
}

function validateContainerPorts(
  ports: readonly ContainerPort[],
  path: string,
): readonly FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, i) => {
    const at = `${path}[${String(i)}]`;
    const errors: FieldError[] = [];
    const { name = "", hostPort = 0, hostIP = "" } = port;
    if (name !== "") {
      const problems = portNameProblems(name);
      errors.push(...problems.map((problem) => invalid(`${at}.name`, name, problem)));
      if (problems.length === 0 && names.has(name)) errors.push(duplicate(`${at}.name`, name));
      names.add(name);
    }
    if (port.containerPort === 0) errors.push(required(`${at}.containerPort`));
    else errors.push(...validatePortNumber(port.containerPort, `${at}.containerPort`));
    if (hostPort !== 0) errors.push(...validatePortNumber(hostPort, `${at}.hostPort`));
    if (hostIP !== "" && parseIpAddress(hostIP) === undefined) {
      errors.push(...validateIp(hostIP, `${at}.hostIP`));
    }
    return [...errors, ...validateOneOf(port.protocol, PROTOCOLS, `${at}.protocol`)];
  });
}

function validateEnv(variable: EnvVar, path: string): readonly FieldError[] {
  const errors: FieldError[] =
    variable.name === ""
      ? [required(`${path}.name`)]
      : envNameProblems(variable.name).map((problem) =>
          invalid(`${path}.name`, variable.name, problem),
        );
  if (variable.valueFrom === undefined) return errors;
  return [
    ...errors,
    ...validateEnvSource(variable.valueFrom, (variable.value ?? "") !== "", `${path}.valueFrom`),
  ];
}

function validateEnvSource(
  source: EnvVarSource,
  hasValue: boolean,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  const named = Object.entries(source).filter(([, value]) => value !== undefined);
  if (named.length === 0) {
    const text =
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    errors.push(invalid(path, "", text));
  } else if (named.length > 1) {
    errors.push(invalid(path, "", "may not have more than one field specified at a time"));
  } else if (hasValue) {
    errors.push(invalid(path, "", "may not be specified when `value` is not empty"));
  }
  const { fieldRef, configMapKeyRef, secretKeyRef, resourceFieldRef } = source;
  if (fieldRef !== undefined) {
    errors.push(...validateFieldPath(fieldRef.fieldPath, `${path}.fieldRef.fieldPath`));
  }
  if (resourceFieldRef !== undefined) {
    errors.push(...validateResourceField(resourceFieldRef, false, `${path}.resourceFieldRef`));
  }
  for (const [key, ref] of Object.entries({ configMapKeyRef, secretKeyRef })) {
    if (ref === undefined) continue;
    if ((ref.name ?? "") === "") errors.push(required(`${path}.${key}.name`));
    if (ref.key === "") errors.push(required(`${path}.${key}.key`));
  }
  return errors;
}

function validateFieldPath(text: string, path: string): readonly FieldError[] {
  if (text === "") return [required(path)];
  if (/^metadata\.(labels|annotations)\['[^']+'\]$/.test(text)) return [];
  return validateOneOf(text, ENV_FIELDS, path);
}

function validateEnvFrom({ envFrom = [] }: Container, path: string): readonly FieldError[] {
  return envFrom.flatMap(({ configMapRef, secretRef }, i) => {
    const at = `${path}[${String(i)}]`;
    if (configMapRef === undefined && secretRef === undefined) {
      return [invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")];
    }
    if (configMapRef !== undefined && secretRef !== undefined) {
      return [invalid(at, "", "may not have more than one field specified at a time")];
    }
    const key = configMapRef === undefined ? "secretRef" : "configMapRef";
    const name = (configMapRef ?? secretRef)?.name ?? "";
    return name === "" ? [required(`${at}.${key}.name`)] : [];
  });
}

function validateResourceNames({ resources }: Container, path: string): readonly FieldError[] {
  return (["limits", "requests"] as const).flatMap((key) =>
    Object.keys(resources?.[key] ?? {}).flatMap((name) =>
      validateQualifiedName(name, `${path}.${key}[${name}]`),
    ),
  );
}
