import { readFile, writeFile } from "node:fs/promises";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";

const DIRECTORY = "/proc/sys/net/netfilter";
/** A line of names, then a line for each CPU in hexadecimal numbers; of this network namespace. */
const STATISTICS = "/proc/net/stat/nf_conntrack";
const LOOK_MS = 2_000;
/** While it is full the news may not get through: an Event needs a connection, too. So it is told again. */
const TELL_AGAIN_MS = 60_000;
/** Warns before new connections are dropped. */
const NEARLY_FULL = 0.9;
/** Room is told of only when there is some, so that a table at the edge does not make news all the time. */
const HAS_ROOM = 0.8;
/** CT-010: a client that has closed its half may still be read from for so long. */
const CLOSE_WAIT_SECONDS = 3600;

type Level = "room" | "nearly" | "full";

export interface ConntrackNews {
  readonly type: "Warning" | "Normal";
  readonly reason: "ConntrackNearlyFull" | "ConntrackFull" | "ConntrackHasRoom";
  readonly message: string;
}

interface Usage {
  readonly count: number;
  /** 0 is no limit. */
  readonly max: number;
  /** Packets dropped since the last look. */
  readonly dropped: number;
}

/** What to call the kernel's table of connections, given what it was called at the last look. */
export function conntrackLevel(before: Level, { count, max, dropped }: Usage): Level {
  if (max === 0) return "room";
  const isNearlyFull = count >= NEARLY_FULL * max;
  // The kernel may drop one packet between two looks at which it just had room.
  if (count >= max || (dropped > 0 && isNearlyFull)) return "full";
  if (before === "room") return isNearlyFull ? "nearly" : "room";
  return count < HAS_ROOM * max ? "room" : before;
}

/** Follows how full the kernel's table of connections is. */
export function startConntrackRoom(deps: {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly onNews: (news: ConntrackNews) => void;
}): Disposable {
  const { metrics, log, onNews } = deps;
  const entries = metrics
    .gauge("portolan_proxy_conntrack_entries", "Connections that the kernel remembers.")
    .with();
  const limit = metrics
    .gauge("portolan_proxy_conntrack_entries_limit", "Connections that the kernel can remember.")
    .with();
  const drops = metrics
    .counter(
      "portolan_proxy_conntrack_dropped_packets_total",
      "Packets that the kernel dropped since the start as it could not remember their connection.",
    )
    .with();
  let level: Level = "room";
  let droppedBefore: number | undefined;
  let droppedWhileFull = 0;
  let toldMs = 0;
  const look = async (): Promise<void> => {
    const count = await readNumber("nf_conntrack_count");
    const max = await readNumber("nf_conntrack_max");
    const droppedNow = droppedOf(await readFile(STATISTICS, "utf8"));
    const dropped = Math.max(0, droppedNow - (droppedBefore ?? droppedNow));
    droppedBefore = droppedNow;
    entries.set(count);
    limit.set(max);
    drops.inc(dropped);
    const before = level;
    level = conntrackLevel(before, { count, max, dropped });
    droppedWhileFull = level === "full" ? droppedWhileFull + dropped : droppedWhileFull;
    const isOld = level === before && performance.now() - toldMs < TELL_AGAIN_MS;
    if (isOld || (level === before && level !== "full")) return;
    toldMs = performance.now();
    onNews(newsOf(level, `${String(count)} of ${String(max)}`, droppedWhileFull));
    if (level === "room") droppedWhileFull = 0;
  };
  const lookAgain = (): void => {
    look().catch((error: unknown) => {
      // Without the kernel's module there is no table, and nothing to say of it.
      log.debug("the table of connections cannot be looked at", { error });
    });
  };
  lookAgain();
  const timer = setInterval(lookAgain, LOOK_MS).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}

function newsOf(level: Level, usage: string, dropped: number): ConntrackNews {
  switch (level) {
    case "nearly":
      return {
        type: "Warning",
        reason: "ConntrackNearlyFull",
        message: `the table of connections is nearly full (${usage}): new ones will be dropped; raise net.netfilter.nf_conntrack_max`,
      };
    case "full":
      return {
        type: "Warning",
        reason: "ConntrackFull",
        message: `the table of connections is full (${usage}): new connections are dropped (${String(dropped)} packets so far), those that are open go on; raise net.netfilter.nf_conntrack_max`,
      };
    case "room":
      return {
        type: "Normal",
        reason: "ConntrackHasRoom",
        message: `the table of connections has room again (${usage}); ${String(dropped)} packets were dropped meanwhile`,
      };
  }
}

/** The sum over all CPUs of the packets that were dropped. */
function droppedOf(text: string): number {
  const [names = "", ...lines] = text.trim().split("\n");
  const column = names.trim().split(/\s+/).indexOf("drop");
  if (column === -1) return 0;
  return lines.reduce(
    (sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[column] ?? "0", 16),
    0,
  );
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
