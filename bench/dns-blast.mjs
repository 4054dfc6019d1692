// Asks a DNS server over UDP as fast as it answers, where there is no C compiler for dns-blast.c: bundled and started by
// dns-load.mjs. node dns-blast.mjs PORT SECONDS FILE: FILE has messages, each behind its length in two bytes, the lower
// first. Eight sockets have 32 questions under way each; many are sent and answers taken with one system call.
import { readFileSync } from "node:fs";
import { loadLibc } from "../src/kernel/libc.ts";
import { IOVEC_WORDS, MMSGHDR_WORDS, MessageHeaders } from "../src/kernel/message-headers.ts";
import { encodeSocketAddress } from "../src/kernel/socket-address.ts";
import { openUdpSocket } from "../src/kernel/udp-socket.ts";

const SOCKETS = 8;
const WINDOW = 32;
const SLOT = 2048;
const [port, seconds] = process.argv.slice(2, 4).map(Number);
const file = readFileSync(process.argv[4]);
const messages = [];
for (let at = 0; at < file.length; ) {
  const end = at + 2 + file.readUInt16LE(at);
  messages.push(file.subarray(at + 2, end));
  at = end;
}
const { libc } = await loadLibc();
const sendmmsg = libc.func("int sendmmsg(int fd, uintptr_t messages, uint count, int flags)");
const recvmmsg = libc.func("int recvmmsg(int fd, uintptr_t messages, uint count, int flags, uintptr_t timeout)");
const to = libc.allocate(16);
new Uint8Array(to.buffer).set(encodeSocketAddress("127.0.0.1", port));
const out = area(to.address, 16);
const answers = area(0n, 0);
const sockets = Array.from({ length: SOCKETS }, () =>
  openUdpSocket(libc, { address: "127.0.0.1", port: 0, reusePort: false, receiveBufferBytes: 1 << 20, receiveTimeoutMs: 50 }),
);
const counts = { answers: 0, lost: 0 };
const codes = new Uint32Array(16);
let next = 0;
for (const socket of sockets) ask(socket.fd, WINDOW);
const began = performance.now();
const cpuBefore = process.cpuUsage();
while (performance.now() - began < seconds * 1000) {
  for (const { fd } of sockets) {
    const count = recvmmsg(fd, answers.at, WINDOW, 0x1_0000, 0);
    for (let i = 0; i < count; i++) {
      codes[answers.bytes[i * SLOT + 3] & 15]++;
    }
    if (count > 0) counts.answers += count;
    else counts.lost += WINDOW;
    ask(fd, count > 0 ? count : WINDOW);
  }
}
const { user, system } = process.cpuUsage(cpuBefore);
const byCode = Object.fromEntries([...codes.entries()].filter(([, count]) => count > 0));
console.log(JSON.stringify({ ...counts, codes: byCode, ms: performance.now() - began, us: (user + system) / counts.answers }));
process.exit(0);

function ask(fd, count) {
  for (let i = 0; i < count; i++) {
    const message = messages[next];
    next = (next + 1) % messages.length;
    out.bytes.set(message, i * SLOT);
    out.headers.setBytes(i, message.length);
  }
  sendmmsg(fd, out.at, count, 0);
}

function area(name, nameBytes) {
  const packets = libc.allocate(WINDOW * SLOT);
  const iovecs = libc.allocate(4 * IOVEC_WORDS * WINDOW);
  const all = libc.allocate(4 * MMSGHDR_WORDS * WINDOW);
  const headers = new MessageHeaders(new Uint32Array(all.buffer), new Uint32Array(iovecs.buffer));
  for (let i = 0; i < WINDOW; i++) {
    const base = packets.address + BigInt(i * SLOT);
    headers.write(i, { name, nameBytes, base, baseBytes: SLOT }, iovecs.address);
  }
  return { at: all.address, bytes: new Uint8Array(packets.buffer), headers };
}
