import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Libc } from "../../src/kernel/libc.ts";
import { encodeSocketAddress } from "../../src/kernel/socket-address.ts";
import { SLOT_STRIDE, UdpBatch } from "../../src/kernel/udp-batch.ts";
import { openUdpSocket } from "../../src/kernel/udp-socket.ts";
import { checkAnswer, hasSameQuestion } from "./fuzz-answer.ts";
import { hostilePacket } from "./fuzz-packets.ts";
import type { Pick } from "./fuzz-pick.ts";
import { ip } from "./fake-upstream.ts";

/** What is always right to ask: whoever answers it lives. Its id starts with ff, that of no other packet does. */
export const CANARY = Buffer.from(
  "ffff0100000100000000000003776562076465" +
    "6661756c740373766307636c7573746572056c6f63616c0000010001",
  "hex",
);
/** Ids for hostile packets: below those of canaries. */
const IDS = 0xff00;
/** How many packets of one id an answer may be to: the hostile upstream makes some late. */
const ROUNDS = 6;
const BATCH = 24;
/** The Z bit, which nobody minds, but with which no answer is found compiled. */
const ODD = 0x40;
/** How many batches are sent before the first of them must have been answered. */
const AHEAD = 1;
/** How long a canary is waited for, and how often it is sent again: a full queue may lose packets. */
const WAIT_MS = 30;
const CANARY_TRIES = 300;
const BATCHES_A_TURN = 400;

export interface UdpFuzz {
  readonly libc: Libc;
  readonly port: number;
  readonly count: number;
  readonly pick: Pick;
  /** Called now and then with how many packets were sent. */
  readonly onProgress: (sent: number) => Promise<void>;
}

/**
 * Sends hostile packets over UDP, some batches ahead of the answers, looks at each answer beside its packet, and
 * asks a plain question after each batch. It takes the whole thread: sockets outside of Node's loop are several
 * times faster.
 * @returns how many answers came.
 */
export async function fuzzUdp({ libc, port, count, pick, onProgress }: UdpFuzz): Promise<number> {
  using socket = openUdpSocket(libc, {
    address: ip("127.0.0.1"),
    port: 0,
    reusePort: false,
    receiveBufferBytes: 4 * 1024 * 1024,
    receiveTimeoutMs: WAIT_MS,
  });
  const batch = new UdpBatch(libc, socket.fd);
  const received = new Uint8Array(batch.packets);
  const to = encodeSocketAddress(ip("127.0.0.1"), port);
  const packets: (Uint8Array | undefined)[] = Array.from({ length: IDS * ROUNDS });
  const canary = Buffer.from(CANARY);
  /** For the main thread and for one of its own in turn. */
  const canaryOf = (number: number): Uint8Array => {
    canary[1] = number & 0xff;
    canary[3] = number % 2 === 0 ? ODD : 0;
    return canary;
  };
  let answers = 0;
  let answeredBatch = 0;

  let sent = 0;
  const take = (sentBatches: number): number => {
    const taken = batch.receive();
    for (let slot = 0; slot < taken; slot++) {
      const answer = received.slice(slot * SLOT_STRIDE, slot * SLOT_STRIDE + batch.length(slot));
      const id = ((answer[0] ?? 0) << 8) | (answer[1] ?? 0);
      if (id >= IDS) {
        assert.ok(answer.subarray(-4).join() === "10,96,0,10", "a canary's answer is wrong");
        // Which of the last 256 batches its id means.
        answeredBatch = Math.max(answeredBatch, sentBatches - ((sentBatches - id) & 0xff));
      } else {
        answers += 1;
        check(packetOf(id, answer), answer);
      }
    }
    return taken;
  };
  /** The newest packet with this id whose question it is, or at least the newest. */
  const packetOf = (id: number, answer: Uint8Array): Uint8Array | undefined => {
    const newest = Math.floor((sent - 1 - id) / IDS);
    let first: Uint8Array | undefined;
    for (let round = newest; round > newest - ROUNDS && round >= 0; round--) {
      const packet = packets[(round * IDS + id) % packets.length];
      first ??= packet;
      if (packet !== undefined && hasSameQuestion(packet, answer)) return packet;
    }
    return first;
  };
  const waitFor = (wanted: number, sentBatches: number): void => {
    for (let tries = 0; answeredBatch < wanted; ) {
      if (take(sentBatches) > 0) continue;
      tries += 1;
      assert.ok(tries < CANARY_TRIES, "the server does not answer a plain question any more");
      socket.send(canaryOf(sentBatches), to);
    }
  };

  let batches = 0;
  while (sent < count) {
    for (let i = 0; i < BATCH && sent < count; i++, sent++) {
      const packet = hostilePacket(pick);
      const id = sent % IDS;
      if (packet.length > 0) packet[0] = id >> 8;
      if (packet.length > 1) packet[1] = id & 0xff;
      packets[sent % packets.length] = packet;
      socket.send(packet, to);
    }
    batches += 1;
    socket.send(canaryOf(batches), to);
    waitFor(batches - AHEAD, batches);
    if (batches % BATCHES_A_TURN === 0) {
      // The end of the server is an event.
      await nextTurn();
      await onProgress(sent);
    }
  }
  waitFor(batches, batches);
  return answers;
}

function check(packet: Uint8Array | undefined, answer: Uint8Array): void {
  try {
    assert.ok(packet, "an answer to nothing");
    checkAnswer(packet, answer, "udp");
  } catch (error) {
    const hex = [packet ?? new Uint8Array(), answer].map((each) =>
      Buffer.from(each).toString("hex"),
    );
    throw new Error(`${String(error)}\npacket ${String(hex[0])}\nanswer ${String(hex[1])}`, {
      cause: error,
    });
  }
}
