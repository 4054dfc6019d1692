import type { Metrics } from "../telemetry/metrics.ts";

/** What Prometheus's client libraries say of every process, by their names: memory, CPU, start. */
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
}
