import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { loadLibc } from "../../src/kernel/libc.ts";
import { pickFrom } from "./fuzz-packets.ts";
import { fuzzTcp } from "./fuzz-tcp.ts";
import { fuzzUdp } from "./fuzz-udp.ts";

export interface FuzzReport {
  readonly udpPackets: number;
  /** How many of these, and of the plain questions among them, got to the server: a full queue loses some. */
  readonly seen: number;
  readonly answers: number;
  readonly tcpMessages: number;
  /** The most that the server had. */
  readonly maxRssMib: number;
}

export interface FuzzCounts {
  readonly udp: number;
  readonly tcp: number;
  /** Whether the server answers UDP in a thread of its own, from compiled answers, or in its main one. */
  readonly threads: boolean;
}

/** What the server under fuzz says of itself. */
export interface FuzzState {
  readonly rss: number;
  readonly seen: number;
}

/** What no server with bounded buffers needs, whatever it is sent. */
const MAX_RSS_BYTES = 400 * 1024 * 1024;

/**
 * Sends hostile packets over UDP, and hostile streams over TCP, to a server in a process of its own, and looks
 * at every answer and, after each batch, whether the server still answers a plain question, and how much memory
 * it has.
 * @throws Error that names the seed when something is not as it must be.
 */
export async function fuzzDns(
  counts: FuzzCounts,
  seed: number,
  progress: (text: string) => void,
): Promise<FuzzReport> {
  const loaded = await loadLibc();
  if (loaded.kind === "missing") throw new Error(`the fuzzer cannot send: ${loaded.reason}`);
  const program = join(import.meta.dirname, "fuzz-server.test-program.ts");
  const server = fork(program, [counts.threads ? "threads" : "main"], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const crashed = new Promise<never>((_, reject) => {
    server.once("exit", (code, signal) => {
      reject(new Error(`the server ended: ${String(code ?? signal)}`));
    });
  });
  crashed.catch(() => undefined);
  let maxRss = 0;
  const look = async (): Promise<FuzzState> => {
    assert.ok(server.connected, "the server is gone");
    server.send("how are you");
    const [state] = (await once(server, "message")) as [FuzzState];
    maxRss = Math.max(maxRss, state.rss);
    assert.ok(state.rss < MAX_RSS_BYTES, `the server has ${String(state.rss)} bytes`);
    return state;
  };
  const work = async (): Promise<FuzzReport> => {
    assert.ok(server.stdout);
    const [chunk] = (await once(server.stdout, "data")) as [Buffer];
    const port = Number(chunk.toString());
    let lookedAt = 0;
    const answers = await fuzzUdp({
      libc: loaded.libc,
      port,
      count: counts.udp,
      pick: pickFrom(seed),
      onProgress: async (sent) => {
        if (sent - lookedAt < Math.max(100_000, counts.udp / 100)) return;
        lookedAt = sent;
        const state = await look();
        progress(`${String(sent)} packets, ${String(state.seen)} seen, ${mib(state.rss)} MiB`);
      },
    });
    const { seen } = await look();
    await fuzzTcp(port, counts.tcp, pickFrom(seed ^ 0x5555), async () => {
      await look();
    });
    await look();
    return {
      udpPackets: counts.udp,
      seen,
      answers,
      tcpMessages: counts.tcp,
      maxRssMib: Number(mib(maxRss)),
    };
  };
  try {
    return await Promise.race([work(), crashed]);
  } catch (error) {
    throw new Error(`seed ${String(seed)}: ${String(error)}`, { cause: error });
  } finally {
    server.removeAllListeners("exit");
    const gone = once(server, "exit");
    server.kill("SIGKILL");
    if (server.exitCode === null && server.signalCode === null) await gone;
  }
}

function mib(bytes: number): string {
  return (bytes / (1024 * 1024)).toFixed(0);
}
