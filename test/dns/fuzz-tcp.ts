import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { MessageFraming } from "../../src/dns/framing.ts";
import { checkAnswer } from "./fuzz-answer.ts";
import { hostilePacket } from "./fuzz-packets.ts";
import type { Pick } from "./fuzz-packets.ts";
import { CANARY } from "./fuzz-udp.ts";

/** Connections at once. */
const CONNECTIONS = 8;
/** A wrong length leaves the server waiting for more: then a plain question is not seen as one. */
const PATIENCE_MS = 200;

/**
 * Sends hostile messages in streams: in pieces, with wrong lengths, and with plain questions behind them. The
 * server may close a stream that it does not like, but answers a plain question on a new one.
 */
export async function fuzzTcp(
  port: number,
  count: number,
  pick: Pick,
  onProgress: (sent: number) => Promise<void>,
): Promise<void> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    for (let streams = 1; sent < count; streams++) {
      sent += await oneStream(port, pick);
      if (streams % 50 === 0) await onProgress(sent);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const socket = connect({ host: "127.0.0.1", port });
  socket.write(MessageFraming.frame(CANARY));
  const [chunk] = (await once(socket, "data")) as [Buffer];
  assert.equal(chunk.subarray(-4).join(), "10,96,0,10");
  socket.destroy();
}

async function oneStream(port: number, pick: Pick): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  const framing = new MessageFraming();
  const packets = new Map<number, Uint8Array>();
  let isInStep = true;
  let onCanary: (() => void) | undefined;
  let failure: unknown;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      resolve();
    });
  });
  socket.on("data", (chunk) => {
    framing.push(chunk);
    for (let next = framing.next(); next !== undefined; next = framing.next()) {
      try {
        const id = ((next[0] ?? 0) << 8) | (next[1] ?? 0);
        const packet = packets.get(id);
        if (id === 0xffff) onCanary?.();
        else if (isInStep && packet !== undefined) checkAnswer(packet, next, "tcp");
        else assert.ok(decodeMessage(next)?.isResponse, "malformed, or no answer");
      } catch (error) {
        failure ??= new Error(`${String(error)}\nanswer ${Buffer.from(next).toString("hex")}`);
      }
    }
  });
  // The server may close.
  socket.on("error", () => undefined);
  let count = 0;
  for (let left = pick(40); left >= 0; left--, count++) {
    const packet = hostilePacket(pick);
    if (packet.length > 1) {
      packet[0] = 0;
      packet[1] = count;
      packets.set(count, packet);
    }
    const framed = MessageFraming.frame(packet);
    if (pick(50) === 0) {
      framed[pick(2)] = pick(256);
      isInStep = false;
    }
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
  await Promise.race([answered, closed, sleep(PATIENCE_MS)]);
  socket.destroy();
  await closed;
  if (failure !== undefined) throw failure instanceof Error ? failure : new Error("failed");
  return count;
}
