// Load on a DNS server over UDP, by our own generator and by Debian's dnsperf, and what it costs the server.
import { execFile, spawnSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { bundle, cpuMs } from "./measure.mjs";

const run = promisify(execFile);
const hasDnsperf = spawnSync("dnsperf", ["-h"]).error === undefined;

/**
 * What asks the questions of a file with a name and a type a line: our own generator, the way that bounds are held
 * against first, and dnsperf.
 * @returns of each a label, what it does, and `load(port, seconds)`: questions answered and lost, milliseconds it took,
 * and as far as it says so microseconds of its own CPU each, and how often each code.
 */
export async function loadsOf(questionFile) {
  const messages = `${questionFile}.messages`;
  const lines = readFileSync(questionFile, "latin1").trim().split("\n");
  writeFileSync(messages, Buffer.concat(lines.map((line, i) => withLength(question(i & 0xffff, ...line.split(" "))))));
  const native = `${questionFile}.blast`;
  const hasNative = spawnSync(process.env.CC ?? "cc", ["-O2", "-pthread", "-o", native, "bench/dns-blast.c"]).status === 0;
  const blast = (program, before, behind) => async (port, seconds) => {
    const { stdout } = await run(program, [...before, port, seconds, messages, ...behind].map(String));
    return JSON.parse(stdout);
  };
  const script = hasNative ? undefined : await bundle("bench/dns-blast.mjs");
  const own = hasNative
    ? [
        { label: "blast", what: "dns-blast.c, 8 questions of one length given to the kernel at a time (UDP_SEGMENT), a datagram each for the server", load: blast(native, [], [8]) },
        { label: "one by one", what: "dns-blast.c, each question a packet from the start", load: blast(native, [], [1]) },
      ]
    : [{ label: "blast", what: "dns-blast.mjs, for there is no C compiler", load: blast(process.execPath, [script], []) }];
  return hasDnsperf ? [...own, { label: "dnsperf", what: "Debian's", load: dnsperfOf(questionFile) }] : own;
}

const TYPES = { A: 1, SRV: 33, AAAA: 28 };

/** As resolvers ask: RD, and EDNS with 1232 bytes. */
export function question(id, name, type) {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, TYPES[type], 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])]);
}

function withLength(message) {
  return Buffer.concat([Buffer.of(message.length & 255, message.length >> 8), message]);
}

/** With 8 sockets and as many questions under way as our generator has. */
function dnsperfOf(questionFile) {
  return async (port, seconds) => {
    const options = ["-s", "127.0.0.1", "-p", port, "-d", questionFile, "-l", seconds, "-c", 8, "-q", 256, "-e"];
    const { stdout } = await run("dnsperf", options.map(String));
    const number = (label) => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(stdout)?.[1]);
    return { answers: number("Queries completed"), lost: number("Queries lost"), ms: number("Run time \\(s\\)") * 1000 };
  };
}

/** @returns answers a second, microseconds of the server's CPU each, and those of the generator where it says so. */
export async function sample(load, port, pid, seconds) {
  const before = treeCpuMs(pid);
  const { answers, lost, ms, us, codes } = await load(port, seconds);
  return { perSecond: (answers / ms) * 1000, us: ((treeCpuMs(pid) - before) * 1000) / answers, loadUs: us, lost, codes };
}

/** Of a process and all below it: NSD answers in children. */
function treeCpuMs(pid) {
  return tree(pid).reduce((sum, each) => sum + cpuMs(each), 0);
}

/** Resident memory, and that with shared pages divided among those who share them: megabytes of 10^6 bytes. */
export function memoryMb(pid) {
  const all = { rss: 0, pss: 0 };
  for (const each of tree(pid)) {
    const text = readFileSync(`/proc/${each}/smaps_rollup`, "utf8");
    all.rss += (Number(/^Rss:\s+(\d+)/m.exec(text)[1]) * 1024) / 1e6;
    all.pss += (Number(/^Pss:\s+(\d+)/m.exec(text)[1]) * 1024) / 1e6;
  }
  return all;
}

function tree(pid) {
  const children = readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1].split(" ")[1]) === pid;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
  return [pid, ...children.flatMap((child) => tree(Number(child)))];
}
