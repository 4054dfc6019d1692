import { ipFromBytes } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { readAttributes } from "../netlink/message-reader.ts";
import { MessageWriter } from "../netlink/message-writer.ts";
import type { NetlinkSocket } from "../netlink/netlink-socket.ts";

// Message and attribute numbers are those of linux/netfilter/nfnetlink_conntrack.h.
const SUBSYSTEM = 1 << 8;
const GET = SUBSYSTEM | 1;
const DELETE = SUBSYSTEM | 2;
const REQUEST = 1;
const DUMP = 0x300;

const TUPLE_ORIGINAL = 1;
const TUPLE_REPLY = 2;
const PROTOCOL_INFO = 4;
const ID = 12;
const ZONE = 18;
const FILTER = 25;
const FILTER_ORIGINAL_FLAGS = 1;
const FILTER_PROTOCOL = 1 << 3;
const TUPLE_IP = 1;
const TUPLE_PROTOCOL = 2;
const PROTOCOL_NUMBER = 1;
const PROTOCOL_SOURCE_PORT = 2;
const PROTOCOL_DESTINATION_PORT = 3;
const INFO_TCP = 1;
const TCP_STATE = 1;
/** LAST_ACK, TIME_WAIT and CLOSE: both ends have said that they are done. */
const TCP_ENDED = new Set<number | undefined>([6, 7, 8]);

/** A flow that the kernel remembers. */
export interface Flow {
  readonly protocol: number;
  readonly source: IpAddress;
  /** Where the client sent to. */
  readonly destination: IpAddress;
  readonly destinationPort: number;
  /** Who answers: the endpoint, where the destination was translated. */
  readonly replySource: IpAddress;
  readonly replySourcePort: number;
  /** A TCP connection that is over, and only remembered for late packets. */
  readonly hasEnded: boolean;
  /** What names it for {@link deleteFlows}. */
  readonly handle: FlowHandle;
}

export interface FlowHandle {
  readonly family: number;
  readonly original: Uint8Array;
  readonly zone: Uint8Array | undefined;
  readonly id: Uint8Array | undefined;
}

/** A request for the flows of one IP protocol in one family (2 is IPv4, 10 IPv6); older kernels give all. */
export function dumpRequest(family: 2 | 10, protocol: number): Uint8Array {
  const w = new MessageWriter();
  const message = w.beginMessage(GET, REQUEST | DUMP, 1);
  w.raw(Uint8Array.of(family, 0, 0, 0));
  const tuple = w.begin(TUPLE_ORIGINAL);
  const part = w.begin(TUPLE_PROTOCOL);
  w.u8(PROTOCOL_NUMBER, protocol);
  w.end(part);
  w.end(tuple);
  const filter = w.begin(FILTER);
  w.u32(FILTER_ORIGINAL_FLAGS, FILTER_PROTOCOL);
  w.end(filter);
  w.endMessage(message);
  return w.bytes();
}

/** A request to forget flows; the id makes sure that it is that flow, not a new one between the same ports. */
export function deleteRequest(flows: readonly FlowHandle[]): Uint8Array {
  const w = new MessageWriter();
  for (const { family, original, zone, id } of flows) {
    const message = w.beginMessage(DELETE, REQUEST, 1);
    w.raw(Uint8Array.of(family, 0, 0, 0));
    const tuple = w.begin(TUPLE_ORIGINAL);
    w.raw(original);
    w.end(tuple);
    if (zone !== undefined) w.binary(ZONE, zone);
    if (id !== undefined) w.binary(ID, id);
    w.endMessage(message);
  }
  return w.bytes();
}

/** Calls `each` for every flow of a protocol with ports. Costs as much as there are such flows. */
export function dumpFlows(
  socket: NetlinkSocket,
  family: 2 | 10,
  protocol: number,
  each: (flow: Flow) => void,
): void {
  socket.dump(dumpRequest(family, protocol), ({ body }) => {
    const flow = readFlow(body);
    if (flow?.protocol === protocol) each(flow);
  });
}

/** Forgets flows; those that are gone already are no failure. Their next packets are new connections. */
export function deleteFlows(socket: NetlinkSocket, flows: readonly FlowHandle[]): void {
  // In pieces that fit the socket's buffer.
  for (let at = 0; at < flows.length; at += 500) {
    socket.request(deleteRequest(flows.slice(at, at + 500)));
  }
}

/** @returns undefined for a flow without addresses or ports. */
export function readFlow(body: Uint8Array): Flow | undefined {
  const attributes = readAttributes(body, 4);
  const original = attributes.get(TUPLE_ORIGINAL);
  const sent = readTuple(original);
  const reply = readTuple(attributes.get(TUPLE_REPLY));
  if (original === undefined || sent === undefined || reply === undefined) return undefined;
  return {
    protocol: sent.protocol,
    source: sent.source,
    destination: sent.destination,
    destinationPort: sent.destinationPort,
    replySource: reply.source,
    replySourcePort: reply.sourcePort,
    hasEnded: hasEnded(attributes.get(PROTOCOL_INFO)),
    handle: {
      family: body[0] ?? 0,
      original: original.slice(),
      zone: attributes.get(ZONE)?.slice(),
      id: attributes.get(ID)?.slice(),
    },
  };
}

function hasEnded(info: Uint8Array | undefined): boolean {
  const tcp = info === undefined ? undefined : readAttributes(info).get(INFO_TCP);
  return tcp !== undefined && TCP_ENDED.has(readAttributes(tcp).get(TCP_STATE)?.[0]);
}

function readTuple(bytes: Uint8Array | undefined):
  | {
      readonly protocol: number;
      readonly source: IpAddress;
      readonly destination: IpAddress;
      readonly sourcePort: number;
      readonly destinationPort: number;
    }
  | undefined {
  if (bytes === undefined) return undefined;
  const parts = readAttributes(bytes);
  const addresses = readAttributes(parts.get(TUPLE_IP) ?? new Uint8Array());
  const protocol = readAttributes(parts.get(TUPLE_PROTOCOL) ?? new Uint8Array());
  const source = addresses.get(1) ?? addresses.get(3);
  const destination = addresses.get(2) ?? addresses.get(4);
  const number = protocol.get(PROTOCOL_NUMBER)?.[0];
  if (!isAddress(source) || !isAddress(destination) || number === undefined) return undefined;
  return {
    protocol: number,
    source: ipFromBytes(source),
    destination: ipFromBytes(destination),
    sourcePort: readPort(protocol.get(PROTOCOL_SOURCE_PORT)),
    destinationPort: readPort(protocol.get(PROTOCOL_DESTINATION_PORT)),
  };
}

function isAddress(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes?.length === 4 || bytes?.length === 16;
}

function readPort(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
}
