import { MessageWriter } from "../../src/kernel/netlink/message-writer.ts";
import { NetlinkSocket } from "../../src/kernel/netlink/netlink-socket.ts";
import type { Libc } from "../../src/kernel/libc.ts";
import { ipToBytes } from "../../src/net/address.ts";
import { ip } from "../../src/core/proxy/fixtures.test.ts";

// Numbers are those of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h.
const NEW = 1 << 8;
const REQUEST_CREATE = 1 | 0x400 | 0x200;
const SEEN_REPLY_ASSURED_CONFIRMED = 2 | 4 | 8;
const UDP = 17;
const TIMEOUT_SECONDS = 600;
const ENOMEM = 12;
const BATCH = 2_000;

/**
 * Makes the kernel of this network namespace remember so many flows that have answers, which it gives up for no
 * others; `from` tells those of several calls apart. @returns how many it took before it had no room.
 */
export function fillConntrack(libc: Libc, count: number, from: number): number {
  using socket = new NetlinkSocket(libc);
  let made = 0;
  for (let at = 0; at < count; at += BATCH) {
    const size = Math.min(BATCH, count - at);
    const w = new MessageWriter();
    for (let i = 0; i < size; i++) writeFlow(w, from + at + i);
    const { failures } = socket.request(w.bytes());
    const other = failures.find(({ errno }) => errno !== ENOMEM);
    if (other !== undefined) throw new Error(`conntrack says errno ${String(other.errno)}`);
    made += size - failures.length;
    if (failures.length > 0) return made;
  }
  return made;
}

function writeFlow(w: MessageWriter, n: number): void {
  const client = ipToBytes(ip(`100.64.${String((n >> 14) & 255)}.1`));
  const server = ipToBytes(ip("100.127.0.1"));
  const port = 1024 + (n & 0x3fff);
  const message = w.beginMessage(NEW, REQUEST_CREATE, n + 1);
  w.raw(Uint8Array.of(2, 0, 0, 0));
  writeTuple(w, 1, client, server, port, 53);
  writeTuple(w, 2, server, client, 53, port);
  w.u32be(3, SEEN_REPLY_ASSURED_CONFIRMED);
  w.u32be(7, TIMEOUT_SECONDS);
  w.endMessage(message);
}

function writeTuple(
  w: MessageWriter,
  type: number,
  source: Uint8Array,
  destination: Uint8Array,
  sourcePort: number,
  destinationPort: number,
): void {
  const tuple = w.begin(type);
  const addresses = w.begin(1);
  w.binary(1, source);
  w.binary(2, destination);
  w.end(addresses);
  const protocol = w.begin(2);
  w.u8(1, UDP);
  w.u16be(2, sourcePort);
  w.u16be(3, destinationPort);
  w.end(protocol);
  w.end(tuple);
}
