import type { Logger } from "../telemetry/log.ts";
import { startAllInOne } from "./all-in-one.ts";
import type { Cluster } from "./all-in-one.ts";
import { bundledImages } from "./bundled.ts";
import { parseClusterConfig } from "./config.ts";
import type { RawConfig } from "./config.ts";

export interface StartClusterOptions extends RawConfig {
  /** Gets what the cluster logs; default nowhere. */
  readonly log?: Logger | undefined;
  /** Ends a start that takes too long. */
  readonly signal?: AbortSignal | undefined;
}

export type { Cluster };

// What `cluster.client` is told which objects are meant by.
export { leaseKind } from "../api/coordination/lease.kind.ts";
export { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
export { configMapKind } from "../api/v1/configmap.kind.ts";
export { endpointsKind } from "../api/v1/endpoints.kind.ts";
export { eventKind } from "../api/v1/event.kind.ts";
export { namespaceKind } from "../api/v1/namespace.kind.ts";
export { nodeKind } from "../api/v1/node.kind.ts";
export { podKind } from "../api/v1/pod.kind.ts";
export { secretKind } from "../api/v1/secret.kind.ts";
export { serviceKind } from "../api/v1/service.kind.ts";
export {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
} from "../api/rbac/rbac.kinds.ts";
export { serviceAccountKind } from "../api/v1/serviceaccount.kind.ts";

/**
 * Starts Kubernetes Services in this process: API, EndpointSlices, DNS, load balancing, and Pods as local
 * processes. By default everything is temporary and every port is a free one, so that many run side by side.
 * @throws ConfigError, DataDirError, RangeCollisionError or ListenError with a message that says what to do;
 * Error when a manifest of `manifests` was refused.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<Cluster> {
  const { log, signal, ...settings } = options;
  const preset = settings.dataDir === undefined ? { ephemeral: true } : {};
  const config = parseClusterConfig(
    { ...preset, apiListen: "127.0.0.1:0", dnsListen: "127.0.0.1:0", ...settings },
    { dataDir: "", images: bundledImages() },
    (setting) => setting,
  );
  const running = await startAllInOne(config, {
    log: log ?? SILENT,
    signal: signal ?? new AbortController().signal,
  });
  if (running.applied.problems.length > 0) {
    await running[Symbol.asyncDispose]();
    throw new Error(`manifests were refused: ${running.applied.problems.join("; ")}`);
  }
  return running;
}

const SILENT: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => SILENT,
};
