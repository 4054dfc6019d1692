import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { MessageFraming } from "../../src/dns/framing.ts";
import { checkAnswer } from "./fuzz-answer.ts";
import { hostilePacket } from "./fuzz-packets.ts";
import type { Pick } from "./fuzz-pick.ts";
import { CANARY } from "./fuzz-udp.ts";

/** Connections at once. */
const CONNECTIONS = 8;
/** A wrong length leaves the server waiting for more: then a plain question is not seen as one. */
const PATIENCE_MS = 200;

/** Questions in one piece: far more than the server has open at once. */
const PIPELINED = 1500;

/** Opens a connection to the server, over TCP or TLS. */
export type Open = () => Socket;

/**
 * Sends hostile messages in streams: in pieces, with wrong lengths, and with plain questions behind them. The
 * server may close a stream that it does not like, but answers a plain question on a new one, and all questions
 * of a stream in which there is nothing wrong, however many.
 */
export async function fuzzStreams(
  open: Open,
  count: number,
  pick: Pick,
  onProgress: (sent: number) => Promise<void>,
): Promise<void> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    for (let streams = 1; sent < count; streams++) {
      sent += pick(100) === 0 ? await longPipeline(open, pick) : await oneStream(open, pick);
      if (streams % 50 === 0) await onProgress(sent);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const socket = open();
  socket.write(MessageFraming.frame(CANARY));
  const [chunk] = (await once(socket, "data")) as [Buffer];
  assert.equal(chunk.subarray(-4).join(), "10,96,0,10");
  socket.destroy();
}

/** Plain questions one behind the other, whose sender closes its side, and still gets every answer. */
async function longPipeline(open: Open, pick: Pick): Promise<number> {
  const socket = open();
  const framing = new MessageFraming();
  let answers = 0;
  socket.on("data", (chunk) => {
    framing.push(chunk);
    for (let next = framing.next(); next !== undefined; next = framing.next()) {
      assert.equal(next.subarray(-4).join(), "10,96,0,10", "a plain question's answer is wrong");
      answers += 1;
    }
  });
  const count = 1 + pick(PIPELINED);
  const framed = MessageFraming.frame(CANARY);
  socket.end(Buffer.concat(Array.from({ length: count }, () => framed)));
  await once(socket, "close");
  assert.equal(answers, count, "questions of a pipeline are left without an answer");
  return count;
}

async function oneStream(open: Open, pick: Pick): Promise<number> {
  const socket = open();
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
        failure ??= new Error(
          `${String(error)}\nanswer ${Buffer.from(next.subarray(0, 400)).toString("hex")}`,
        );
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
    // Of no length: the server closes.
    const framed = pick(200) === 0 ? Uint8Array.of(0, 0) : MessageFraming.frame(packet);
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
