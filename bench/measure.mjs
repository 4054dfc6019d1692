// What the benches share: conditions of the run, percentiles, a started `portolan up`.
import { spawn } from "node:child_process";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";

export function conditions() {
  const load = loadavg().map((l) => l.toFixed(1)).join(" ");
  return `${cpus().length} x ${cpus()[0]?.model.trim()}, kernel ${release()}, Node ${process.version}, load ${load}, ${new Date().toISOString().slice(0, 10)}`;
}

/** The value at the p-th percentile (nearest rank), 0 < p <= 100. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)];
}

export const median = (values) => percentile(values, 50);

/** Starts `portolan up` and waits for its ready line; `spawnedAt` and `readyAt` are performance.now() times. */
export function startUp(args = []) {
  const own = ["--ephemeral", "--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0", "-o", "json"];
  return startProgram(["dist/portolan.js", "up", ...own, ...args]);
}

/** Bundles a program of this folder into dist/. @returns the bundle's path. */
export async function bundle(program) {
  const outfile = `dist/bench-${basename(program, ".mjs")}.js`;
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    packages: "external",
    logLevel: "warning",
  });
  return outfile;
}

/** Starts the API server alone over the data in `dir`: store, server and TLS listener, nothing else. */
export async function startApiOnly(dir, nodeArgs = [], args = []) {
  const outfile = await bundle("bench/api-only.mjs");
  return startProgram([...nodeArgs, outfile, dir, ...args]);
}

/** A temporary folder that goes when the bench ends. */
export function temporaryFolder() {
  const dir = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function startProgram(args) {
  const spawnedAt = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const ready = JSON.parse(line);
    return {
      ...ready,
      pid: child.pid,
      spawnedAt,
      readyAt: performance.now(),
      residentMb: () => residentMb(child.pid),
      async stop() {
        child.kill("SIGTERM");
        await exited;
      },
    };
  }
  throw new Error(`${args.join(" ")} ended before it was ready`);
}

export function residentMb(pid) {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kb) / 1024;
}

/** A process's user and system time so far, in milliseconds. */
export function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** What the disk itself takes: milliseconds of so many appends of 16 kB, each with fdatasync. */
export function flushTimes(dir, count = 200) {
  const file = openSync(join(dir, "flush"), "w");
  const bytes = Buffer.alloc(16_384, 1);
  const times = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    writeSync(file, bytes);
    fdatasyncSync(file);
    times.push(performance.now() - began);
  }
  closeSync(file);
  return times;
}
