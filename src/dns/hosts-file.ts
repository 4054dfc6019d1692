import { readFile, stat } from "node:fs/promises";
import { HostsTable, parseHostLine } from "../core/dns/hosts-table.ts";
import type { HostsConfig } from "../core/dns/corefile/small-directives.ts";
import type { Logger } from "../telemetry/log.ts";

export interface HostsFile extends Disposable {
  readonly table: HostsTable;
}

/**
 * The table of a `hosts` directive. Its file is looked at from time to time and read again when it changed; as
 * long as it cannot be read, the last content stays.
 */
export async function followHosts(log: Logger, config: HostsConfig): Promise<HostsFile> {
  let table = new HostsTable(config.lines, config);
  let version = "";
  const { path } = config;
  const read = async (): Promise<void> => {
    if (path === undefined) return;
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const found = [mtimeMs, size, ino].join();
      if (found === version) return;
      const text = await readFile(path, "utf8");
      const lines = text.split("\n").flatMap((line) => parseHostLine(line) ?? []);
      version = found;
      table = new HostsTable([...config.lines, ...lines], config);
    } catch (error) {
      if (version !== "missing") log.warn("dns hosts file not readable", { path, error });
      version = "missing";
    }
  };
  await read();
  const timer =
    config.reloadMs > 0 && path !== undefined
      ? // It handles its failures itself.
        setInterval(() => void read(), config.reloadMs)
      : undefined;
  timer?.unref();
  return {
    get table() {
      return table;
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}
