import { withZeroValues } from "../machinery/zero-values.ts";
import { defaultContainer } from "./container.defaults.ts";
import type { Container } from "./container.ts";
import { pod as schema } from "./pod.ts";
import type { Pod, PodSpec } from "./pod.ts";
import { defaultVolume } from "./volume.defaults.ts";

const DEFAULT_GRACE_SECONDS = 30;

/** Fills in what a Pod leaves out. Source: upstream `apis/core/v1/defaults.go`. */
export function defaultPod(object: Pod): Pod {
  const pod = withZeroValues(schema, object);
  return { ...pod, spec: defaultSpec(pod.spec) };
}

function defaultSpec(spec: PodSpec): PodSpec {
  const account = spec.serviceAccountName || spec.serviceAccount || undefined;
  const each = (containers: readonly Container[]): readonly Container[] =>
    containers.map((container) =>
      defaultHostPorts(defaultContainer(container), spec.hostNetwork === true),
    );
  return {
    ...spec,
    containers: each(spec.containers),
    ...(spec.initContainers === undefined ? {} : { initContainers: each(spec.initContainers) }),
    ...(spec.ephemeralContainers === undefined
      ? {}
      : { ephemeralContainers: spec.ephemeralContainers.map(defaultContainer) }),
    ...(spec.volumes === undefined ? {} : { volumes: spec.volumes.map(defaultVolume) }),
    // The old name of the field stays in step with the new one.
    ...(account === undefined ? {} : { serviceAccountName: account, serviceAccount: account }),
    restartPolicy: spec.restartPolicy ?? "Always",
    dnsPolicy: spec.dnsPolicy ?? "ClusterFirst",
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
    schedulerName: spec.schedulerName ?? "default-scheduler",
    securityContext: spec.securityContext ?? {},
    enableServiceLinks: spec.enableServiceLinks ?? true,
  };
}

/** On the node's own network a container's port is the node's. */
function defaultHostPorts(container: Container, hostNetwork: boolean): Container {
  if (!hostNetwork || container.ports === undefined) return container;
  const ports = container.ports.map((port) => ({
    ...port,
    hostPort: port.hostPort || port.containerPort,
  }));
  return { ...container, ports };
}
