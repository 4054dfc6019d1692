import { readFileSync, readdirSync } from "node:fs";
import type { Metrics } from "../telemetry/metrics.ts";

/** What Prometheus's client libraries say of every process, by their names: memory, CPU, start, files. */
export function addProcessMetrics(metrics: Metrics): void {
  const memory = metrics
    .gauge("process_resident_memory_bytes", "Memory that this process has in RAM.")
    .with();
  const cpu = metrics
    .counter("process_cpu_seconds_total", "CPU time of this process, user and system.")
    .with();
  metrics
    .gauge("process_start_time_seconds", "When this process started, in Unix time.")
    .with()
    .set((Date.now() - performance.now()) / 1000);
  let counted = 0;
  metrics.beforeRender(() => {
    memory.set(process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6;
    cpu.inc(seconds - counted);
    counted = seconds;
  });
  if (process.platform === "linux") addKernelMetrics(metrics);
}

/** What only the kernel knows of a process. Reading it takes no disk. */
function addKernelMetrics(metrics: Metrics): void {
  const address = metrics
    .gauge("process_virtual_memory_bytes", "Address space of this process.")
    .with();
  const open = metrics
    .gauge("process_open_fds", "Files and sockets that this process has open.")
    .with();
  const limits = readFileSync("/proc/self/limits", "utf8");
  metrics
    .gauge("process_max_fds", "Files and sockets that this process may have open.")
    .with()
    .set(Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.NaN));
  metrics.beforeRender(() => {
    const size = /^VmSize:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    address.set(Number(size ?? Number.NaN) * 1024);
    // One of them is the folder that is being read.
    open.set(readdirSync("/proc/self/fd").length - 1);
  });
}
