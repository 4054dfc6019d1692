import type { ConfigMap } from "../api/v1/configmap.ts";
import type { Container } from "../api/v1/container.ts";
import type { EnvFromSource, EnvVar } from "../api/v1/env.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Secret } from "../api/v1/secret.ts";
import type { Service } from "../api/v1/service.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import type { PodPlace } from "./downward.ts";
import { expandVariables } from "./expansion.ts";
import { serviceEnvironment } from "./service-env.ts";

/** ConfigMaps and Secrets of the Pod's namespace by name; what is missing does not exist. */
export interface EnvironmentSources {
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
}

export interface EnvironmentInput extends EnvironmentSources {
  readonly pod: Pod;
  readonly container: Container;
  readonly place: PodPlace;
  /** All Services known now; the caller has waited until they are known (ENV-010). */
  readonly services: readonly Service[];
  /** What every container gets, such as PATH; anything may override it. */
  readonly base: Readonly<Record<string, string>>;
}

export type Environment =
  | { readonly kind: "environment"; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: "invalid"; readonly message: string };

/** The ConfigMaps and Secrets that the container's environment is made from. */
export function environmentRefs(container: Container): {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
} {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const note = (names: Set<string>, ref: { readonly name?: string | undefined } | undefined) => {
    if (ref?.name !== undefined && ref.name !== "") names.add(ref.name);
  };
  for (const from of container.envFrom ?? []) {
    note(configMaps, from.configMapRef);
    note(secrets, from.secretRef);
  }
  for (const variable of container.env ?? []) {
    note(configMaps, variable.valueFrom?.configMapKeyRef);
    note(secrets, variable.valueFrom?.secretKeyRef);
  }
  return { configMaps, secrets };
}

/**
 * The container's environment. What is further right wins: base, HOSTNAME and POD_IP, Services (ENV-009),
 * envFrom, env. A value may use `$(NAME)` of variables above it. Read anew at each start (ENV-007).
 */
export function containerEnvironment(input: EnvironmentInput): Environment {
  const { pod, container, place, base } = input;
  const fixed: Record<string, string> = {
    ...base,
    HOSTNAME: hostnameOf(pod),
    POD_IP: place.podIps[0] ?? "",
    ...serviceEnvironment(
      input.services,
      pod.metadata.namespace ?? "",
      pod.spec.enableServiceLinks ?? true,
    ),
  };
  const own: Record<string, string> = {};
  for (const from of container.envFrom ?? []) {
    const data = sourceData(from, input, pod.metadata.namespace ?? "");
    if (data.kind === "invalid") return data;
    for (const [key, value] of Object.entries(data.variables))
      own[`${from.prefix ?? ""}${key}`] = value;
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, input, (name) => own[name] ?? fixed[name]);
    if (value.kind === "invalid") return value;
    if (value.text !== undefined) own[variable.name] = value.text;
  }
  return { kind: "environment", variables: { ...fixed, ...own } };
}

/** The Pod's host name: `spec.hostname`, else its name, cut to what a host name may have (63). */
export function hostnameOf(pod: Pod): string {
  const name = pod.spec.hostname ?? "";
  return (name === "" ? pod.metadata.name : name).slice(0, 63).replace(/[-.]+$/, "");
}

function sourceData(
  from: EnvFromSource,
  sources: EnvironmentSources,
  namespace: string,
): Environment {
  if (from.configMapRef !== undefined) {
    const { name = "", optional } = from.configMapRef;
    const configMap = sources.configMaps.get(name);
    if (configMap === undefined && optional !== true)
      return { kind: "invalid", message: `configmap "${name}" not found` };
    return { kind: "environment", variables: configMap?.data ?? {} };
  }
  if (from.secretRef !== undefined) {
    const { name = "", optional } = from.secretRef;
    const secret = sources.secrets.get(name);
    if (secret === undefined && optional !== true)
      return { kind: "invalid", message: `secret "${name}" not found` };
    const entries = Object.entries(secret?.data ?? {});
    return {
      kind: "environment",
      variables: Object.fromEntries(entries.map(([key, value]) => [key, fromBase64(value)])),
    };
  }
  return { kind: "invalid", message: `envFrom of namespace "${namespace}" names no source` };
}

type Value =
  | { readonly kind: "value"; readonly text: string | undefined }
  | { readonly kind: "invalid"; readonly message: string };

function valueOf(
  variable: EnvVar,
  input: EnvironmentInput,
  known: (name: string) => string | undefined,
): Value {
  const source = variable.valueFrom;
  if (source === undefined)
    return { kind: "value", text: expandVariables(variable.value ?? "", known) };
  if (source.fieldRef !== undefined) {
    const text = fieldValue(input.pod, input.place, source.fieldRef.fieldPath);
    return text === undefined
      ? { kind: "invalid", message: `unsupported fieldPath: ${source.fieldRef.fieldPath}` }
      : { kind: "value", text };
  }
  if (source.resourceFieldRef !== undefined) {
    const ref = source.resourceFieldRef;
    const text = resourceValue(input.pod, input.container, input.place, ref);
    return text === undefined
      ? { kind: "invalid", message: `unsupported container resource: ${ref.resource}` }
      : { kind: "value", text };
  }
  const namespace = input.pod.metadata.namespace ?? "";
  if (source.configMapKeyRef !== undefined) {
    const { name = "", key, optional } = source.configMapKeyRef;
    const data = input.configMaps.get(name)?.data;
    return keyed(`ConfigMap`, namespace, name, key, optional, input.configMaps.has(name), data);
  }
  if (source.secretKeyRef !== undefined) {
    const { name = "", key, optional } = source.secretKeyRef;
    const data = input.secrets.get(name)?.data;
    const found = keyed("Secret", namespace, name, key, optional, input.secrets.has(name), data);
    if (found.kind === "invalid" || found.text === undefined) return found;
    return { kind: "value", text: fromBase64(found.text) };
  }
  return { kind: "invalid", message: `env "${variable.name}": valueFrom names no source` };
}

/** @returns text undefined when the source or key is missing and may be: then the variable is not set. */
function keyed(
  kind: "ConfigMap" | "Secret",
  namespace: string,
  name: string,
  key: string,
  optional: boolean | undefined,
  exists: boolean,
  data: Readonly<Record<string, string>> | undefined,
): Value {
  const text = data?.[key];
  if (text !== undefined || optional === true) return { kind: "value", text };
  return exists
    ? { kind: "invalid", message: `couldn't find key ${key} in ${kind} ${namespace}/${name}` }
    : { kind: "invalid", message: `${kind.toLowerCase()} "${name}" not found` };
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}
