import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { reasonOf } from "../async/sleep.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { sameName } from "../core/dns/domain-name.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { EDNS_UDP_BYTES, RCODE, TCP_BYTES } from "../core/dns/message.ts";
import type { Message, Question } from "../core/dns/message.ts";
import { ipFamilyOf } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Port } from "../net/host-port.ts";
import { MessageFraming } from "./framing.ts";

/** A resolver that answers for names outside the cluster. */
export interface Upstream {
  readonly address: IpAddress;
  readonly port: Port;
}

export interface UpstreamQuestion extends Question {
  /** As the client asked, since the answers differ. */
  readonly dnssecOk: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
}

export interface UpstreamAnswer {
  readonly message: Message;
  /** How long it was on the wire. */
  readonly bytes: number;
}

/**
 * Asks one resolver: over UDP, and over TCP when the answer did not fit. A server that does not know EDNS is
 * asked again without (RFC 6891 section 6.2.2). Each question has an id and a source port of its own, both
 * random, and whatever does not repeat id and question is taken for forged and passed over (RFC 5452).
 * @throws the signal's reason, or an Error with the socket's code when nobody is there.
 */
export async function askUpstream(
  upstream: Upstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const answer = await exchange(upstream, question, true, signal);
  const knowsNoEdns = answer.message.rcode === RCODE.FORMERR && answer.message.edns === undefined;
  return knowsNoEdns ? exchange(upstream, question, false, signal) : answer;
}

async function exchange(
  upstream: Upstream,
  question: UpstreamQuestion,
  hasEdns: boolean,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const query = queryOf(question, hasEdns);
  const answer = await exchangeUdp(upstream, query, signal);
  return answer.message.truncated ? exchangeTcp(upstream, query, signal) : answer;
}

function queryOf(question: UpstreamQuestion, hasEdns: boolean): Message {
  return {
    id: randomInt(0x1_0000),
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: question.authenticData,
    checkingDisabled: question.checkingDisabled,
    rcode: 0,
    question: { name: question.name, type: question.type, class: question.class },
    answers: [],
    authority: [],
    additional: [],
    edns: hasEdns
      ? { udpBytes: EDNS_UDP_BYTES, dnssecOk: question.dnssecOk, version: 0 }
      : undefined,
  };
}

function exchangeUdp(
  upstream: Upstream,
  query: Message,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(ipFamilyOf(upstream.address) === "IPv6" ? "udp6" : "udp4");
    const finish = (settle: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
      // What still comes, such as a second ICMP error, is of no interest, but must not be uncaught.
      socket.on("error", () => undefined);
      socket.close();
      settle();
    };
    const fail = (error: Error): void => {
      finish(() => {
        reject(error);
      });
    };
    const onAbort = (): void => {
      fail(reasonOf(signal));
    };
    socket.on("error", fail);
    socket.on("message", (bytes) => {
      const message = answerTo(query, bytes);
      if (message === undefined) return;
      finish(() => {
        resolve({ message, bytes: bytes.length });
      });
    });
    socket.once("connect", () => {
      socket.send(encodeMessage(query, TCP_BYTES));
    });
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    // Connected: the kernel drops what others send, and says when nobody listens there.
    else socket.connect(upstream.port, upstream.address);
  });
}

function exchangeTcp(
  upstream: Upstream,
  query: Message,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: upstream.address, port: upstream.port });
    const framing = new MessageFraming();
    const finish = (settle: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
      settle();
    };
    const fail = (error: Error): void => {
      finish(() => {
        reject(error);
      });
    };
    const onAbort = (): void => {
      fail(reasonOf(signal));
    };
    socket.on("error", fail);
    socket.once("close", () => {
      fail(new Error(`${upstream.address} closed the connection without an answer`));
    });
    socket.on("data", (chunk) => {
      framing.push(chunk);
      const bytes = framing.next();
      if (bytes === undefined) return;
      const message = answerTo(query, bytes);
      if (message === undefined) {
        fail(new Error(`${upstream.address} answered something else over TCP`));
        return;
      }
      finish(() => {
        resolve({ message, bytes: bytes.length });
      });
    });
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    else socket.write(MessageFraming.frame(encodeMessage(query, TCP_BYTES)));
  });
}

/** The message in these bytes, if it answers the query. */
function answerTo(query: Message, bytes: Uint8Array): Message | undefined {
  const message = decodeMessage(bytes);
  if (message === undefined || !message.isResponse || message.id !== query.id) return undefined;
  const asked = query.question;
  const answered = message.question;
  // Some servers leave the question out of an error; the id alone is then too little to go by.
  if (asked === undefined || answered === undefined) return undefined;
  const isSame =
    asked.type === answered.type &&
    asked.class === answered.class &&
    sameName(asked.name, answered.name);
  return isSame ? message : undefined;
}
