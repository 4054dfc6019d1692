// Inside a lab, for bench/lab-ready.mjs: asks an address from every node, by one process that enters each node's network
// namespace for the moment in which it opens a socket. Lines in: {"wanted":"open"|"closed"}; lines out: when, by the
// clock that all processes of the machine share, each node's connection first came to that.
import { openSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { loadLibc } from "../src/kernel/libc.ts";

const CLONE_NEWNET = 0x40000000;
const EVERY_MS = 2;

const [address, port, ...pids] = process.argv.slice(2);
const load = await loadLibc();
if (load.kind === "missing") throw new Error(load.reason);
const setns = load.libc.func("int setns(int fd, int kind)");
const home = openSync("/proc/self/ns/net", "r");
const nodes = pids.map((pid) => openSync(`/proc/${pid}/ns/net`, "r"));
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

console.log(JSON.stringify({ nodes: nodes.length }));
for await (const line of createInterface({ input: process.stdin })) {
  const { wanted } = JSON.parse(line);
  const times = await Promise.all(nodes.map((fd) => until(fd, wanted)));
  console.log(JSON.stringify({ wanted, times }));
}

async function until(fd, wanted) {
  for (;;) {
    const began = nowMs();
    const result = await ask(fd);
    if (result === wanted) return nowMs();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - (nowMs() - began))));
  }
}

function ask(fd) {
  enter(fd);
  const socket = connect({ host: address, port: Number(port), autoSelectFamily: false });
  return new Promise((resolve) => {
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end("open"));
    socket.once("error", () => end("closed"));
    // Node opens the socket a tick later; what is queued behind it is the way back.
    process.nextTick(() => enter(home));
  });
}

function enter(fd) {
  if (setns(fd, CLONE_NEWNET) !== 0) throw new Error("cannot enter a node's network namespace");
}
