import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { MessageFraming } from "../../src/dns/framing.ts";
import { pickFrom } from "./fuzz-pick.ts";
import type { Pick } from "./fuzz-pick.ts";

/** What a forged answer says, and no right one: whoever believed it can be told. */
export const FORGED_ADDRESS = [6, 6, 6, 6] as const;
const RIGHT_ADDRESS = [192, 0, 2, 1] as const;
/** Answers go out together, so that a flood of questions does not become one of answers. */
const TICK_MS = 20;
const OTHER_NAME = wireName("victim.example.net");
/** A pointer to the question's name. */
const ASKED_NAME = [0xc0, 12];

interface Asked {
  readonly query: Buffer;
  readonly peer: RemoteInfo;
}

/**
 * A resolver that answers with garbage, not at all, too late, or rightly; and beside it somebody who forges
 * answers: with another id, from another port, to another question, as a question, or with records of names
 * that nobody asked for.
 */
export async function startHostileUpstream(): Promise<Disposable & { readonly port: number }> {
  const pick = pickFrom(4711);
  const socket = createSocket("udp4");
  const stranger = createSocket("udp4");
  const waiting: Asked[] = [];
  const timer = setInterval(() => {
    for (const asked of waiting.splice(0)) {
      for (const forged of forgeries(asked.query, pick)) {
        socket.send(forged, asked.peer.port, asked.peer.address);
      }
      const spoofed = answerTo(asked.query, [record(ASKED_NAME, FORGED_ADDRESS)]);
      stranger.send(spoofed, asked.peer.port, asked.peer.address, () => undefined);
      const answer = realAnswer(asked.query, pick);
      if (answer !== undefined) socket.send(answer, asked.peer.port, asked.peer.address);
    }
  }, TICK_MS);
  socket.on("message", (query, peer) => {
    if (endOfQuestion(query) !== undefined) waiting.push({ query, peer });
  });
  // Whoever asked may be gone, which the kernel says to either.
  socket.on("error", () => undefined);
  stranger.on("error", () => undefined);
  const streams = createServer((stream) => {
    stream.on("error", () => undefined);
    stream.on("data", (chunk) => {
      answerStream(stream, chunk, pick);
    });
  });
  const port = await bindBoth(streams, socket);
  return {
    port,
    [Symbol.dispose]: () => {
      clearInterval(timer);
      streams.close();
      socket.close();
      stranger.close();
    },
  };
}

/** One port for both: one that is free on TCP is hardly ever taken on UDP, but the other way round it often is. */
async function bindBoth(streams: Server, socket: UdpSocket): Promise<number> {
  for (;;) {
    streams.listen(0, "127.0.0.1");
    await once(streams, "listening");
    const bound = streams.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const listening = once(socket, "listening").then(
      () => true,
      () => false,
    );
    socket.bind(port, "127.0.0.1");
    if (await listening) return port;
    streams.close();
    await once(streams, "close");
  }
}

/** Over TCP: forgeries before the answer, garbage, a length that nothing follows, half an answer, or an end. */
function answerStream(stream: Socket, chunk: Buffer, pick: Pick): void {
  const query = chunk.subarray(2, 2 + (((chunk[0] ?? 0) << 8) | (chunk[1] ?? 0)));
  if (endOfQuestion(query) === undefined) return;
  const forged = forgeries(query, pick).map((each) => MessageFraming.frame(each));
  const right = MessageFraming.frame(answerTo(query, [record(ASKED_NAME, RIGHT_ADDRESS)]));
  switch (pick(6)) {
    case 0:
      stream.destroy();
      break;
    case 1:
      stream.write(Buffer.from(Array.from({ length: 1 + pick(300) }, () => pick(256))));
      break;
    case 2:
      stream.write(Uint8Array.of(0xff, 0xff, pick(256)));
      break;
    case 3:
      stream.end(right.subarray(0, pick(right.length)));
      break;
    default:
      stream.write(Buffer.concat([...forged, right, ...forged]));
  }
}

/** None of these is an answer to the query. */
function forgeries(query: Buffer, pick: Pick): readonly Buffer[] {
  const forged = answerTo(query, [record(ASKED_NAME, FORGED_ADDRESS)]);
  switch (pick(5)) {
    case 0: {
      // Another id.
      forged[pick(2)] = (forged[0] ?? 0) ^ 0x55 ^ (forged[1] ?? 0);
      return forged.subarray(0, 2).equals(query.subarray(0, 2)) ? [] : [forged];
    }
    case 1: {
      // Another name: its first letter; of another type.
      const at = pick(2) === 0 ? 13 : (endOfQuestion(query) ?? 0) - 3;
      const was = forged[at] ?? 0;
      forged[at] = was === 0x7a ? 0x79 : 0x7a;
      // A name's letter in the other case is the same name.
      return (was | 0x20) === ((forged[at] ?? 0) | 0x20) ? [] : [forged];
    }
    case 2:
      // A question, not an answer.
      forged[2] = (forged[2] ?? 0) & 0x7f;
      return [forged];
    case 3:
      return [forged.subarray(0, forged.length - 1 - pick(14))];
    default:
      return [];
  }
}

function realAnswer(query: Buffer, pick: Pick): Buffer | undefined {
  switch (pick(9)) {
    case 0:
      return undefined;
    case 6: {
      // Ask over TCP.
      const answer = answerTo(query, []);
      answer[2] = (answer[2] ?? 0) | 0x02;
      return answer;
    }
    case 1:
      // Records of a name that was not asked for, in each section.
      return answerTo(
        query,
        [record(ASKED_NAME, RIGHT_ADDRESS), record(OTHER_NAME, FORGED_ADDRESS)],
        [record(OTHER_NAME, FORGED_ADDRESS)],
        [record(OTHER_NAME, FORGED_ADDRESS)],
      );
    case 2:
    case 3: {
      const garbage = Buffer.from(Array.from({ length: pick(60) }, () => pick(256)));
      const answer = Buffer.concat([query, garbage]);
      answer[2] = 0x80 | pick(8);
      answer[3] = pick(256);
      for (const at of [7, 9, 11]) answer[at] = pick(3);
      if (pick(10) === 0) answer[pick(answer.length)] = pick(256);
      return answer;
    }
    case 4: {
      // Names that point to themselves or beyond the end.
      const loop = [0xc0, pick(80)];
      return answerTo(query, [
        record(loop, RIGHT_ADDRESS),
        cname(ASKED_NAME, [0xc0, 12 + pick(60)]),
      ]);
    }
    case 5: {
      // Far more than was asked for, and codes of all kinds.
      const many = Array.from({ length: pick(60) }, () => record(ASKED_NAME, RIGHT_ADDRESS));
      const answer = answerTo(query, many);
      answer[3] = 0x80 | pick(16);
      return answer;
    }
    default:
      return answerTo(query, [record(ASKED_NAME, RIGHT_ADDRESS)]);
  }
}

function answerTo(
  query: Buffer,
  answers: readonly Buffer[],
  authority: readonly Buffer[] = [],
  additional: readonly Buffer[] = [],
): Buffer {
  const head = Buffer.from(query.subarray(0, endOfQuestion(query)));
  head[2] = 0x81;
  head[3] = 0x80;
  head.writeUInt16BE(answers.length, 6);
  head.writeUInt16BE(authority.length, 8);
  head.writeUInt16BE(additional.length, 10);
  return Buffer.concat([head, ...answers, ...authority, ...additional]);
}

function record(owner: readonly number[], address: readonly number[]): Buffer {
  return Buffer.from([...owner, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address]);
}

function cname(owner: readonly number[], target: readonly number[]): Buffer {
  return Buffer.from([...owner, 0, 5, 0, 1, 0, 0, 0, 60, 0, target.length, ...target]);
}

/** @returns undefined when there is none, or its name is compressed. */
export function endOfQuestion(message: Uint8Array): number | undefined {
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length === 0) return at + 4 <= message.length ? at + 4 : undefined;
  }
}

function wireName(text: string): readonly number[] {
  return [...text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
}
