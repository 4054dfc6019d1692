import type { Pod } from "../../api/v1/pod.ts";

export interface HostPort {
  readonly port: number;
  readonly protocol: string;
  /** "0.0.0.0" for all addresses of the node. */
  readonly hostIp: string;
}

/** The ports that the Pod takes on its node: `hostPort`, or with hostNetwork every container port. */
export function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  return [...(spec.initContainers ?? []), ...spec.containers].flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort = 0, containerPort, protocol, hostIP = "" }) => {
      const port = hostPort === 0 && spec.hostNetwork === true ? containerPort : hostPort;
      return port === 0 ? [] : [{ port, protocol, hostIp: hostIP === "" ? "0.0.0.0" : hostIP }];
    }),
  );
}

/** Both cannot be on one node. */
export function hostPortsConflict(a: readonly HostPort[], b: readonly HostPort[]): boolean {
  return a.some((one) =>
    b.some(
      (other) =>
        one.port === other.port &&
        one.protocol === other.protocol &&
        (one.hostIp === other.hostIp || one.hostIp === "0.0.0.0" || other.hostIp === "0.0.0.0"),
    ),
  );
}
