import { HostsTable, parseHostLine } from "../core/dns/hosts-table.ts";
import type { HostsConfig } from "../core/dns/corefile/small-directives.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { followFile } from "./followed-file.ts";
import type { HostsSource } from "./server-block.ts";

export interface HostsFile extends HostsSource, Disposable {}

/**
 * The table of a `hosts` directive. Its file is looked at from time to time and read again when it changed; as
 * long as it cannot be read, the last content stays.
 */
export async function followHosts(
  log: Logger,
  metrics: Metrics,
  config: HostsConfig,
): Promise<HostsFile> {
  let table = new HostsTable(config.lines, config);
  const listeners = new Set<() => void>();
  const { path } = config;
  const entries = metrics.onScrape("coredns_hosts_entries", "Names in hosts files.", [], () => [
    [{}, table.size],
  ]);
  const read = metrics
    .gauge("coredns_hosts_reload_timestamp_seconds", "When a hosts file was last read.")
    .with();
  const following =
    path === undefined
      ? undefined
      : await followFile(log, path, config.reloadMs, (text) => {
          const lines = text.split("\n").flatMap((line) => parseHostLine(line) ?? []);
          table = new HostsTable([...config.lines, ...lines], config);
          read.set(Date.now() / 1000);
          for (const listener of listeners) listener();
        });
  return {
    get table() {
      return table;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return {
        [Symbol.dispose]: () => {
          listeners.delete(listener);
        },
      };
    },
    [Symbol.dispose]: () => {
      entries[Symbol.dispose]();
      following?.[Symbol.dispose]();
    },
  };
}
