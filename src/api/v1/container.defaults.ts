import type { Container } from "./container.ts";
import type { EnvVar } from "./env.ts";
import type { HTTPGetAction, Lifecycle, Probe } from "./probe.ts";
import type { ResourceRequirements } from "./resources.ts";

/** Fills in what a container leaves out; ephemeral containers have the same fields. */
export function defaultContainer<T extends Omit<Container, never>>(container: T): T {
  return {
    ...container,
    ...(container.ports === undefined
      ? {}
      : { ports: container.ports.map((port) => ({ ...port, protocol: port.protocol || "TCP" })) }),
    ...(container.env === undefined ? {} : { env: container.env.map(defaultEnv) }),
    ...(container.resources === undefined
      ? {}
      : { resources: defaultResources(container.resources) }),
    ...defaultProbes(container),
    ...(container.lifecycle === undefined
      ? {}
      : { lifecycle: defaultLifecycle(container.lifecycle) }),
    ...(container.image
      ? { imagePullPolicy: container.imagePullPolicy ?? pullPolicyFor(container.image) }
      : {}),
    terminationMessagePath: container.terminationMessagePath ?? "/dev/termination-log",
    terminationMessagePolicy: container.terminationMessagePolicy ?? "File",
  };
}

/** What may change under its name is pulled each time. */
function pullPolicyFor(image: string): string {
  if (image.includes("@")) return "IfNotPresent";
  const tag = /:([^:/]+)$/.exec(image)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultEnv(variable: EnvVar): EnvVar {
  const fieldRef = variable.valueFrom?.fieldRef;
  if (fieldRef === undefined) return variable;
  const valueFrom = {
    ...variable.valueFrom,
    fieldRef: { ...fieldRef, apiVersion: fieldRef.apiVersion || "v1" },
  };
  return { ...variable, valueFrom };
}

/** What a container may use at most it also gets, unless it asks for less. */
function defaultResources(resources: ResourceRequirements): ResourceRequirements {
  if (resources.limits === undefined) return resources;
  return { ...resources, requests: { ...resources.limits, ...resources.requests } };
}

type Probes = Pick<Container, "livenessProbe" | "readinessProbe" | "startupProbe">;

function defaultProbes(container: Probes): Probes {
  return {
    ...(container.livenessProbe && { livenessProbe: defaultProbe(container.livenessProbe) }),
    ...(container.readinessProbe && { readinessProbe: defaultProbe(container.readinessProbe) }),
    ...(container.startupProbe && { startupProbe: defaultProbe(container.startupProbe) }),
  };
}

function defaultProbe(probe: Probe): Probe {
  return {
    ...defaultHandler(probe),
    ...(probe.grpc && { grpc: { ...probe.grpc, service: probe.grpc.service ?? "" } }),
    timeoutSeconds: probe.timeoutSeconds || 1,
    periodSeconds: probe.periodSeconds || 10,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  };
}

function defaultLifecycle(lifecycle: Lifecycle): Lifecycle {
  return {
    ...lifecycle,
    ...(lifecycle.postStart && { postStart: defaultHandler(lifecycle.postStart) }),
    ...(lifecycle.preStop && { preStop: defaultHandler(lifecycle.preStop) }),
  };
}

function defaultHandler<T extends { readonly httpGet?: HTTPGetAction | undefined }>(handler: T): T {
  const { httpGet } = handler;
  if (httpGet === undefined) return handler;
  const { path, scheme } = httpGet;
  return { ...handler, httpGet: { ...httpGet, path: path || "/", scheme: scheme || "HTTP" } };
}
