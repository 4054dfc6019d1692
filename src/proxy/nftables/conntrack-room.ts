import { readFile, writeFile } from "node:fs/promises";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";

const DIRECTORY = "/proc/sys/net/netfilter";
const LOOK_MS = 10_000;
/** New connections are dropped when the table is full; this warns before. */
const FULL = 0.95;
/** CT-010: a client that has closed its half may still be read from for so long. */
const CLOSE_WAIT_SECONDS = 3600;

/** Follows how full the kernel's table of connections is. */
export function startConntrackRoom(deps: {
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Called when the table has become full, once until it has room again. */
  readonly onFull: (message: string) => void;
}): Disposable {
  const entries = deps.metrics
    .gauge("portolan_proxy_conntrack_entries", "Connections that the kernel remembers.")
    .with();
  const limit = deps.metrics
    .gauge("portolan_proxy_conntrack_entries_limit", "Connections that the kernel can remember.")
    .with();
  let wasFull = false;
  const look = async (): Promise<void> => {
    try {
      const count = await readNumber("nf_conntrack_count");
      const max = await readNumber("nf_conntrack_max");
      entries.set(count);
      limit.set(max);
      const isFull = count >= FULL * max;
      if (isFull && !wasFull) {
        deps.onFull(
          `the table of connections is full (${String(count)} of ${String(max)}), new connections are dropped; ` +
            "raise net.netfilter.nf_conntrack_max",
        );
      }
      wasFull = isFull;
    } catch (error) {
      deps.log.debug("the table of connections cannot be looked at", { error });
    }
  };
  // Failures are handled inside.
  void look();
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}

/** Settings of connection tracking that Services need; where they cannot be written, the log says so. */
export async function tuneConntrack(log: Logger): Promise<void> {
  const name = "nf_conntrack_tcp_timeout_close_wait";
  try {
    if ((await readNumber(name)) === CLOSE_WAIT_SECONDS) return;
    await writeFile(`${DIRECTORY}/${name}`, String(CLOSE_WAIT_SECONDS));
  } catch (error) {
    log.info("a setting of the kernel cannot be written", { name, error });
  }
}

async function readNumber(name: string): Promise<number> {
  return Number(await readFile(`${DIRECTORY}/${name}`, "utf8"));
}
