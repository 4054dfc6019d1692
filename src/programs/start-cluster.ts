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
