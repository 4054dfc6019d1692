import type { WorkQueue, WorkQueueObserver } from "../async/work-queue.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface QueueMetrics extends WorkQueueObserver {
  /** Reads the queue at each scrape; dispose with the queue. */
  follow(queue: Pick<WorkQueue<string>, "depth" | "longestActiveMs" | "unfinishedMs">): Disposable;
}

/** Named as client-go's work queues, so that dashboards made for those show ours. */
export function createQueueMetrics(metrics: Metrics, name: string): QueueMetrics {
  const label = { name };
  const labels = ["name"] as const;
  const adds = metrics
    .counter("workqueue_adds_total", "Keys added to the queue.", labels)
    .with(label);
  const retries = metrics
    .counter("workqueue_retries_total", "Keys added again because their work failed.", labels)
    .with(label);
  const waited = metrics
    .histogram("workqueue_queue_duration_seconds", "Time a key waited in the queue.", labels)
    .with(label);
  const worked = metrics
    .histogram("workqueue_work_duration_seconds", "Time the work on a key took.", labels)
    .with(label);
  return {
    added: () => {
      adds.inc();
    },
    started: (ms) => {
      waited.observe(ms / 1000);
    },
    finished: (ms) => {
      worked.observe(ms / 1000);
    },
    retried: () => {
      retries.inc();
    },
    follow: (queue) => {
      const depth = metrics.onScrape(
        "workqueue_depth",
        "Keys that wait in the queue.",
        labels,
        () => [[label, queue.depth]],
      );
      const longest = metrics.onScrape(
        "workqueue_longest_running_processor_seconds",
        "How long the longest running work has been going on.",
        labels,
        () => [[label, queue.longestActiveMs / 1000]],
      );
      const unfinished = metrics.onScrape(
        "workqueue_unfinished_work_seconds",
        "How long all running work has been going on, in sum.",
        labels,
        () => [[label, queue.unfinishedMs / 1000]],
      );
      return {
        [Symbol.dispose]: () => {
          unfinished[Symbol.dispose]();
          depth[Symbol.dispose]();
          longest[Symbol.dispose]();
        },
      };
    },
  };
}
