// Load on a DNS server over UDP, by our own generator and by Debian's dnsperf, and what it costs the server.
import { execFile, spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { bundle, cpuMs } from "./measure.mjs";

const run = promisify(execFile);
export const hasDnsperf = spawnSync("dnsperf", ["-h"]).error === undefined;

/** @returns `(port, seconds)`: questions answered, milliseconds it took, and how often each code. */
export async function blasterOf(questionFile) {
  const program = await bundle("bench/dns-blast.mjs");
  return async (port, seconds) => {
    const { stdout } = await run(process.execPath, [program, port, seconds, questionFile].map(String));
    const { answers, ms, codes } = JSON.parse(stdout);
    return { answers, ms, codes };
  };
}

/** dnsperf with 8 sockets and as many questions under way as our generator has. */
export function dnsperfOf(questionFile) {
  return async (port, seconds) => {
    const options = ["-s", "127.0.0.1", "-p", port, "-d", questionFile, "-l", seconds, "-c", 8, "-q", 256, "-e"];
    const { stdout } = await run("dnsperf", options.map(String));
    const number = (label) => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(stdout)?.[1]);
    return { answers: number("Queries completed"), ms: number("Run time \\(s\\)") * 1000, codes: {} };
  };
}

/** @returns answers a second and microseconds of the server's CPU each. */
export async function sample(load, port, pid, seconds) {
  const before = treeCpuMs(pid);
  const { answers, ms, codes } = await load(port, seconds);
  return { perSecond: (answers / ms) * 1000, us: ((treeCpuMs(pid) - before) * 1000) / answers, codes };
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
