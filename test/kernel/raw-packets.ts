import { loadLibc } from "../../src/kernel/libc.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;
const ACK = 0x10;

/** Sends whole IPv4 packets from the network namespace that the thread is in. @throws Error when it may not. */
export async function sendRaw(packets: readonly Uint8Array[]): Promise<void> {
  const load = await loadLibc();
  if (load.kind === "missing") throw new Error(load.reason);
  const open = load.libc.func("int socket(int domain, int type, int protocol)");
  const send = load.libc.func(
    "long sendto(int fd, const void *data, size_t length, int flags, const void *to, uint32_t size)",
  );
  const close = load.libc.func("int close(int fd)");
  const fd: unknown = open(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (typeof fd !== "number" || fd < 0) throw new Error("cannot open a raw socket");
  for (const packet of packets) {
    const to = new Uint8Array(16);
    new DataView(to.buffer).setUint16(0, AF_INET, true);
    to.set(packet.subarray(16, 20), 4);
    const sent: unknown = send(fd, packet, packet.length, 0, to, to.length);
    if (Number(sent) !== packet.length) throw new Error(`sent ${String(sent)}`);
  }
  close(fd);
}

/** A segment with ACK and without data. */
export function tcpSegment(
  from: { readonly address: string; readonly port: number },
  to: { readonly address: string; readonly port: number },
  sequence: number,
): Uint8Array {
  const tcp = new DataView(new ArrayBuffer(20));
  tcp.setUint16(0, from.port);
  tcp.setUint16(2, to.port);
  tcp.setUint32(4, sequence);
  tcp.setUint32(8, sequence);
  tcp.setUint8(12, 5 << 4);
  tcp.setUint8(13, ACK);
  tcp.setUint16(14, 1000);
  const pseudo = [...bytesOf(from.address), ...bytesOf(to.address), 0, 6, 0, 20];
  tcp.setUint16(16, checksum(Uint8Array.from([...pseudo, ...new Uint8Array(tcp.buffer)])));
  return ipv4(6, from.address, to.address, new Uint8Array(tcp.buffer));
}

/** What `ping` sends. */
export function echoRequest(from: string, to: string): Uint8Array {
  const icmp = Uint8Array.of(8, 0, 0, 0, 0x12, 0x34, 0, 1);
  new DataView(icmp.buffer).setUint16(2, checksum(icmp));
  return ipv4(1, from, to, icmp);
}

// The kernel fills in length and checksum.
function ipv4(protocol: number, from: string, to: string, payload: Uint8Array): Uint8Array {
  const header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, ...bytesOf(from), ...bytesOf(to)];
  return Uint8Array.from([...header, ...payload]);
}

function bytesOf(address: string): readonly number[] {
  return address.split(".").map(Number);
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of bytes.entries()) sum += i % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
