import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { MessageFraming } from "../../src/dns/framing.ts";
import { hostilePacket, pickFrom } from "./fuzz-packets.ts";

export interface FuzzReport {
  readonly udpPackets: number;
  readonly tcpMessages: number;
  readonly answers: number;
  /** Of the server at the end. */
  readonly rssBytes: number;
}

/** What is always right to ask: whoever answers it lives. */
const CANARY = Buffer.from(
  "ffff0100000100000000000003776562076465" +
    "6661756c740373766307636c7573746572056c6f63616c0000010001",
  "hex",
);
const BATCH = 64;
const CANARY_TRIES = 50;
/** What no server with bounded buffers needs, whatever it is sent. */
const MAX_RSS_BYTES = 400 * 1024 * 1024;

/**
 * Sends hostile packets over UDP, and hostile streams over TCP, to a server in a process of its own, and looks
 * at every answer and, after each batch, whether the server still answers a plain question.
 * @throws AssertionError that names the seed when something is not as it must be.
 */
export async function fuzzDns(
  counts: { readonly udp: number; readonly tcp: number },
  seed: number,
  progress: (text: string) => void,
): Promise<FuzzReport> {
  const server = fork(join(import.meta.dirname, "fuzz-server.test-program.ts"), {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const crashed = new Promise<never>((_, reject) => {
    server.once("exit", (code, signal) => {
      reject(new Error(`the server ended: ${String(code ?? signal)}, seed ${String(seed)}`));
    });
  });
  crashed.catch(() => undefined);
  try {
    assert.ok(server.stdout);
    const [chunk] = (await Promise.race([once(server.stdout, "data"), crashed])) as [Buffer];
    const port = Number(chunk.toString());
    const work = async (): Promise<FuzzReport> => {
      const answers = await fuzzUdp(port, counts.udp, seed, progress);
      await fuzzTcp(port, counts.tcp, seed, progress);
      server.send("how much memory");
      const [{ rss }] = (await once(server, "message")) as [{ rss: number }];
      assert.ok(rss < MAX_RSS_BYTES, `the server has ${String(rss)} bytes, seed ${String(seed)}`);
      return { udpPackets: counts.udp, tcpMessages: counts.tcp, answers, rssBytes: rss };
    };
    return await Promise.race([work(), crashed]);
  } finally {
    server.removeAllListeners("exit");
    const gone = once(server, "exit");
    server.kill("SIGKILL");
    await gone;
  }
}

async function fuzzUdp(
  port: number,
  count: number,
  seed: number,
  progress: (text: string) => void,
): Promise<number> {
  const pick = pickFrom(seed);
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  let answers = 0;
  let onCanary: () => void = () => undefined;
  socket.on("message", (bytes) => {
    answers += 1;
    if (bytes[0] === 0xff && bytes[1] === 0xff) onCanary();
    else check(bytes, seed);
  });
  for (let sent = 0; sent < count; ) {
    for (let i = 0; i < BATCH && sent < count; i++, sent++) {
      const packet = hostilePacket(pick);
      // The canary's id is its own.
      if (packet[0] === 0xff) packet[0] = 0xfe;
      socket.send(packet);
    }
    await canary(socket, (listener) => {
      onCanary = listener;
    });
    if (sent % (BATCH * 10_000) === 0)
      progress(`${String(sent)} packets, ${String(answers)} answers`);
  }
  socket.close();
  return answers;
}

/** Asks until the answer comes: a full queue may lose packets, a living server does not lose fifty. */
async function canary(
  socket: ReturnType<typeof createSocket>,
  listen: (listener: () => void) => void,
): Promise<void> {
  for (let i = 0; i < CANARY_TRIES; i++) {
    const isAnswered = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => {
        resolve(false);
      }, 200);
      listen(() => {
        clearTimeout(timer);
        resolve(true);
      });
      socket.send(CANARY);
    });
    if (isAnswered) return;
  }
  assert.fail("the server does not answer a plain question any more");
}

/** Every answer is a whole message, marked as an answer, and no longer than the asker may be sent. */
function check(bytes: Uint8Array, seed: number): void {
  const text = `${Buffer.from(bytes).toString("hex")}, seed ${String(seed)}`;
  const message = decodeMessage(bytes);
  assert.ok(message, `malformed: ${text}`);
  assert.ok(message.isResponse, `no answer: ${text}`);
  const limit = message.edns === undefined ? 512 : 1232;
  assert.ok(bytes.length <= limit, `${String(bytes.length)} bytes: ${text}`);
}

async function fuzzTcp(
  port: number,
  count: number,
  seed: number,
  progress: (text: string) => void,
): Promise<void> {
  const pick = pickFrom(seed ^ 0x5555);
  for (let sent = 0; sent < count; ) {
    const socket = connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    const framing = new MessageFraming();
    let onCanary: (() => void) | undefined;
    socket.on("data", (chunk) => {
      framing.push(chunk);
      for (let next = framing.next(); next !== undefined; next = framing.next()) {
        assert.ok(decodeMessage(next)?.isResponse, `seed ${String(seed)}`);
        if (next[0] === 0xff && next[1] === 0xff) onCanary?.();
      }
    });
    // A server may close on what it does not like.
    socket.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => {
        resolve();
      });
    });
    for (let i = pick(40); i >= 0; i--, sent++) {
      const packet = hostilePacket(pick);
      if (packet[0] === 0xff) packet[0] = 0xfe;
      const framed = MessageFraming.frame(packet);
      if (pick(50) === 0) framed[pick(2)] = pick(256);
      for (let at = 0; at < framed.length; ) {
        const piece = 1 + pick(pick(4) === 0 ? 3 : 2000);
        socket.write(framed.subarray(at, at + piece));
        at += piece;
      }
    }
    const answered = new Promise<void>((resolve) => {
      onCanary = resolve;
    });
    socket.write(MessageFraming.frame(CANARY));
    // A wrong length before leaves the server waiting for more, or it has closed: then another connection tells.
    await Promise.race([answered, closed, timeout(300)]);
    socket.destroy();
    await closed;
    if (sent % 100_000 < 40) progress(`${String(sent)} messages over TCP`);
  }
  const socket = connect({ host: "127.0.0.1", port });
  socket.write(MessageFraming.frame(CANARY));
  const [chunk] = (await once(socket, "data")) as [Buffer];
  assert.ok(chunk.length > 2);
  socket.destroy();
}

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
