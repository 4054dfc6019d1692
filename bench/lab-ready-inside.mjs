// Inside a lab, for bench/lab-ready.mjs: asks an address from every node, by one process that enters each node's network
// namespace to open a socket. Lines in: {"wanted":"open"|"closed"}; lines out: when, by the clock that all processes
// of the machine share, each node's connection first came to that. By the C library's own calls, as Node's sockets would
// take most of a processor at this pace.
import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadLibc } from "../src/kernel/libc.ts";

const CLONE_NEWNET = 0x40000000;
const [AF_INET, SOCK_STREAM, SOL_SOCKET, SO_LINGER, SO_SNDTIMEO] = [2, 1, 1, 13, 21];
const [ECONNREFUSED, EPERM] = [111, 1];
const EVERY_MS = 2;

const [address, port, ...pids] = process.argv.slice(2);
const load = await loadLibc();
if (load.kind === "missing") throw new Error(load.reason);
const { libc } = load;
const setns = libc.func("int setns(int fd, int kind)");
const socket = libc.func("int socket(int domain, int type, int protocol)");
const setsockopt = libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t size)");
const connect = libc.func("int connect(int fd, const void *to, uint32_t size)");
const close = libc.func("int close(int fd)");
const nodes = pids.map((pid) => openSync(`/proc/${pid}/ns/net`, "r"));
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

const to = Buffer.alloc(16);
to.writeUInt16LE(AF_INET, 0);
to.writeUInt16BE(Number(port), 2);
to.set(address.split(".").map(Number), 4);
// Reset at the end, so that no port is kept for a while; and nothing blocks longer than a tenth of a second.
const linger = Buffer.from(Uint32Array.of(1, 0).buffer);
const timeout = Buffer.from(BigInt64Array.of(0n, 100_000n).buffer);

console.log(JSON.stringify({ nodes: nodes.length }));
for await (const line of createInterface({ input: process.stdin })) {
  const { wanted } = JSON.parse(line);
  const times = nodes.map(() => undefined);
  while (times.includes(undefined)) {
    const began = nowMs();
    for (const [i, fd] of nodes.entries()) if (times[i] === undefined && ask(fd) === wanted) times[i] = nowMs();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - (nowMs() - began))));
  }
  console.log(JSON.stringify({ wanted, times }));
}

function ask(node) {
  if (setns(node, CLONE_NEWNET) !== 0) throw new Error("cannot enter a node's network namespace");
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeout, timeout.length);
  const failed = connect(fd, to, to.length) !== 0;
  const code = failed ? libc.errno() : 0;
  close(fd);
  if (!failed) return "open";
  return code === ECONNREFUSED || code === EPERM ? "closed" : `error ${String(code)}`;
}
