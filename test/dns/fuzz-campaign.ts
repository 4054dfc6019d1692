import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { loadLibc } from "../../src/kernel/libc.ts";
import { pickFrom } from "./fuzz-pick.ts";
import type { Pick } from "./fuzz-pick.ts";
import { fuzzStreams } from "./fuzz-tcp.ts";
import { fuzzUdp } from "./fuzz-udp.ts";

export interface FuzzReport {
  readonly udpPackets: number;
  /** How many of these, and of the plain questions among them, got to the server: a full queue loses some. */
  readonly seen: number;
  readonly answers: number;
  readonly tcpMessages: number;
  readonly tlsMessages: number;
  /** The most that the server had. */
  readonly maxRssMib: number;
}

export interface FuzzCounts {
  readonly udp: number;
  readonly tcp: number;
  readonly tls: number;
  /** Whether the server answers UDP in a thread of its own, from compiled answers, or in its main one. */
  readonly threads: boolean;
}

/** What the server under fuzz says of itself. */
export interface FuzzState {
  readonly rss: number;
  readonly seen: number;
}

/** A handshake that is not gone on with is left after this. */
const HANDSHAKE_MS = 20;

/** What no server with bounded buffers needs, whatever it is sent. */
const MAX_RSS_BYTES = 400 * 1024 * 1024;

/**
 * Sends hostile packets over UDP, and hostile streams over TCP and TLS, to a server in a process of its own, and looks
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
    const [port = 0, tlsPort = 0] = chunk.toString().split(" ").map(Number);
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
    const watched = async (): Promise<void> => {
      await look();
    };
    const openTcp = (): Socket => connect({ host: "127.0.0.1", port });
    await fuzzStreams(openTcp, counts.tcp, pickFrom(seed ^ 0x5555), watched);
    // Who the server is, is another test's matter.
    const openTls = (): Socket =>
      connectTls({ host: "127.0.0.1", port: tlsPort, rejectUnauthorized: false });
    await fuzzStreams(openTls, counts.tls, pickFrom(seed ^ 0x3333), watched);
    await fuzzHandshakes(tlsPort, pickFrom(seed ^ 0x7777), Math.ceil(counts.tls / 20));
    await fuzzStreams(openTls, 1, pickFrom(seed), watched);
    await look();
    return {
      udpPackets: counts.udp,
      seen,
      answers,
      tcpMessages: counts.tcp,
      tlsMessages: counts.tls,
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

/** Bytes in place of a handshake, and one that nobody goes on with: the server lets go of them. */
async function fuzzHandshakes(port: number, pick: Pick, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => undefined);
    socket.resume();
    // The head of a handshake's record, whose length may be anything.
    const head = pick(2) === 0 ? [22, 3, pick(5), pick(256), pick(256), pick(4)] : [];
    const rest = Array.from({ length: pick(300) }, () => pick(256));
    await new Promise<void>((resolve) => {
      socket.once("close", () => {
        resolve();
      });
      socket.write(Uint8Array.from([...head, ...rest]), () => {
        // Some leave at once, some when the server has.
        if (pick(4) !== 0) socket.destroy();
        else setTimeout(() => socket.destroy(), HANDSHAKE_MS).unref();
      });
    });
  }
}

function mib(bytes: number): string {
  return (bytes / (1024 * 1024)).toFixed(0);
}
