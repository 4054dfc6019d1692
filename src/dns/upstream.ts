import { randomBytes, randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { reasonOf } from "../async/sleep.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { sameName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { EDNS_UDP_BYTES, RCODE, TCP_BYTES } from "../core/dns/message.ts";
import type { Message, Question } from "../core/dns/message.ts";
import { relevantPart } from "../core/dns/relevant.ts";
import { ipFamilyOf } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Port } from "../net/host-port.ts";

/** How TLS to an upstream is done (RFC 7858). */
export interface UpstreamTls {
  /** Name in the server's certificate; undefined: its address. */
  readonly serverName: string | undefined;
  /** PEM of the authorities to trust; undefined: the system's. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** A resolver that answers for names outside the cluster. */
export interface Upstream {
  readonly address: IpAddress;
  readonly port: Port;
  /** Asked over TLS, and never otherwise, when it is there. */
  readonly tls?: UpstreamTls | undefined;
}

export interface UpstreamQuestion extends Question {
  /** As the client asked, since the answers differ. */
  readonly dnssecOk: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** EDNS options as they are on the wire, for servers that know EDNS; default none. */
  readonly options?: Uint8Array | undefined;
}

export interface UpstreamAnswer {
  readonly message: Message;
  /** How long it was on the wire. */
  readonly bytes: number;
}

/** Connections over TCP and TLS: sends a message and gives the first one that `accept` takes for its answer. */
interface Streams {
  exchange(
    upstream: Upstream,
    query: Uint8Array,
    accept: (bytes: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
}

export interface AskOptions {
  readonly streams: Streams;
  /** Ask over TCP from the start. */
  readonly forceTcp?: boolean | undefined;
  /** Capital and small letters at random, which the answer must repeat: 0x20 makes it harder to forge. */
  readonly randomCase?: boolean | undefined;
  /** Default true: the server is to ask others for us. */
  readonly recursionDesired?: boolean | undefined;
}

/**
 * Asks one resolver: over UDP, and over TCP when the answer did not fit. A server that does not know EDNS is
 * asked again without (RFC 6891 section 6.2.2). Each question over UDP has an id and a source port of its own,
 * both random, and whatever does not come from the server's address and port and repeat id and question is
 * taken for forged and passed over (RFC 5452). Records that do not belong to the answer are left out.
 * @throws the signal's reason, or an Error with the socket's code when nobody is there.
 */
export async function askUpstream(
  upstream: Upstream,
  question: UpstreamQuestion,
  options: AskOptions,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const answer = await exchange(upstream, question, true, options, signal);
  const knowsNoEdns = answer.message.rcode === RCODE.FORMERR && answer.message.edns === undefined;
  const { message, bytes } = knowsNoEdns
    ? await exchange(upstream, question, false, options, signal)
    : answer;
  return { message: relevantPart(message), bytes };
}

async function exchange(
  upstream: Upstream,
  question: UpstreamQuestion,
  hasEdns: boolean,
  options: AskOptions,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const query = queryOf(question, hasEdns, options);
  const isExact = options.randomCase === true;
  if (options.forceTcp !== true && upstream.tls === undefined) {
    const answer = await exchangeUdp(upstream, query, isExact, signal);
    if (!answer.message.truncated) return answer;
  }
  let answer: UpstreamAnswer | undefined;
  const accept = (bytes: Uint8Array): boolean => {
    const message = answerTo(query, bytes, isExact);
    if (message !== undefined) answer = { message, bytes: bytes.length };
    return message !== undefined;
  };
  await options.streams.exchange(upstream, encodeMessage(query, TCP_BYTES), accept, signal);
  if (answer === undefined) throw new Error("a message that was not accepted came back");
  return answer;
}

function queryOf(question: UpstreamQuestion, hasEdns: boolean, options: AskOptions): Message {
  const { options: ednsOptions, dnssecOk } = question;
  const name = options.randomCase === true ? withRandomCase(question.name) : question.name;
  return {
    id: randomInt(0x1_0000),
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: options.recursionDesired ?? true,
    recursionAvailable: false,
    authenticData: question.authenticData,
    checkingDisabled: question.checkingDisabled,
    rcode: 0,
    question: { name, type: question.type, class: question.class },
    answers: [],
    authority: [],
    additional: [],
    edns: hasEdns
      ? {
          udpBytes: EDNS_UDP_BYTES,
          dnssecOk,
          version: 0,
          ...(ednsOptions === undefined ? {} : { options: ednsOptions }),
        }
      : undefined,
  };
}

function withRandomCase(name: DomainName): DomainName {
  const bits = randomBytes(32);
  let i = 0;
  return name.map((label) =>
    label.replaceAll(/[a-zA-Z]/g, (letter) => {
      const isCapital = ((bits[(i >> 3) & 31] ?? 0) & (1 << (i & 7))) !== 0;
      i += 1;
      return isCapital ? letter.toUpperCase() : letter.toLowerCase();
    }),
  );
}

function exchangeUdp(
  upstream: Upstream,
  query: Message,
  isExact: boolean,
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
      const message = answerTo(query, bytes, isExact);
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

/** The message in these bytes, if it answers the query; `isExact`: letter by letter. */
function answerTo(query: Message, bytes: Uint8Array, isExact: boolean): Message | undefined {
  if (((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) !== query.id) return undefined;
  const message = decodeMessage(bytes);
  if (message === undefined || !message.isResponse || message.opcode !== 0) return undefined;
  const asked = query.question;
  const answered = message.question;
  // Some servers leave the question out of an error; the id alone is then too little to go by.
  if (asked === undefined || answered === undefined) return undefined;
  const isSame =
    asked.type === answered.type &&
    asked.class === answered.class &&
    (isExact
      ? asked.name.join("\0") === answered.name.join("\0")
      : sameName(asked.name, answered.name));
  return isSame ? message : undefined;
}
