import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCron } from "../../api/batch/cron-schedule.ts";
import { cronJobKind } from "../../api/batch/cronjob.kind.ts";
import type { CronJob, CronJobStatus } from "../../api/batch/cronjob.ts";
import type { Job } from "../../api/batch/job.ts";
import { planCronJob, started } from "./cronjob.ts";
import type { CronJobPlan } from "./cronjob.ts";
import { msOf } from "./pods.ts";

function cronJob(spec: Partial<CronJob["spec"]> = {}, status: CronJobStatus = {}): CronJob {
  const object = {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: {
      name: "tidy",
      namespace: "ns",
      uid: "cj",
      creationTimestamp: "2026-01-01T00:00:30Z",
    },
    spec: {
      schedule: "*/10 * * * *",
      jobTemplate: {
        metadata: { labels: { app: "tidy" }, annotations: { note: "a" } },
        spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c" }] } } },
      },
      ...spec,
    },
    status,
  };
  // Tests leave out what defaults fill in.
  return cronJobKind.strategy.defaults(object as unknown as CronJob);
}

function job(minute: number, end?: "Complete" | "Failed"): Job {
  const time = `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;
  const name = `tidy-${String((msOf(time) ?? 0) / 60_000)}`;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: "ns", uid: name, creationTimestamp: time, resourceVersion: "7" },
    spec: { template: { spec: { containers: [] } } },
    status: {
      startTime: time,
      ...(end === undefined ? {} : { conditions: [{ type: end, status: "True" }] }),
      ...(end === "Complete" ? { completionTime: time } : {}),
    },
  };
}

function plan(object: CronJob, now: string, jobs: readonly Job[] = []): CronJobPlan {
  const parsed = parseCron(object.spec.schedule);
  if (parsed.kind === "malformed") throw new Error(parsed.message);
  const nowMs = msOf(`2026-01-01T${now}Z`) ?? 0;
  return planCronJob({
    cronJob: object,
    schedule: parsed.schedule,
    offsetAt: () => 0,
    jobs,
    nowMs,
  });
}

const reasons = ({ news }: CronJobPlan): readonly string[] => news.map(({ reason }) => reason);

describe("planCronJob()", () => {
  it("waits for the first time after its creation", () => {
    const { start, againAfterMs } = plan(cronJob(), "00:09:00");
    assert.deepEqual([start, againAfterMs], [undefined, 60_000]);
  });

  it("makes the Job that is due, named by the minute, from the template", () => {
    const { start, status } = plan(cronJob(), "00:10:01");
    const { metadata, spec } = start?.draft ?? { metadata: {} };
    assert.equal(metadata.name, job(10).metadata.name);
    assert.deepEqual(metadata.labels, { app: "tidy" });
    assert.deepEqual(metadata.annotations, {
      note: "a",
      "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:10:00Z",
    });
    assert.equal(metadata.ownerReferences?.[0]?.uid, "cj");
    assert.equal(spec?.template?.spec?.restartPolicy, "Never");
    const after = started(status, job(10), start?.dueMs ?? 0);
    assert.equal(after.lastScheduleTime, "2026-01-01T00:10:00Z");
    assert.deepEqual(
      after.active?.map(({ uid }) => uid),
      [job(10).metadata.uid],
    );
    assert.equal(plan(cronJob({}, after), "00:10:02", [job(10)]).start, undefined);
    assert.equal(plan(cronJob({}, after), "00:10:02", []).start, undefined);
  });

  it("makes up for the last of many times that it missed, even of a year of minutes", () => {
    const object = cronJob({ schedule: "* * * * *" });
    const old = {
      ...object,
      metadata: { ...object.metadata, creationTimestamp: "2025-01-01T00:00:00Z" },
    };
    assert.equal(plan(old, "00:31:40").start?.dueMs, msOf("2026-01-01T00:31:00Z"));
    const yearly = { ...old, spec: { ...old.spec, schedule: "0 0 2 1 *" } };
    assert.equal(plan(yearly, "00:31:40").start?.dueMs, msOf("2025-01-02T00:00:00Z"));
  });

  it("warns when more than a hundred times were missed", () => {
    const reasons = (time: string): readonly string[] => {
      const { news } = plan(cronJob({ schedule: "* * * * *" }), time);
      return news.map(({ type, reason }) => `${type} ${reason}`);
    };
    assert.deepEqual(reasons("01:40:30"), []);
    assert.deepEqual(reasons("01:41:30"), ["Warning TooManyMissedTimes"]);
  });

  it("leaves out what is later than startingDeadlineSeconds", () => {
    const late = cronJob({ startingDeadlineSeconds: 30 });
    assert.equal(plan(late, "00:10:40").start, undefined);
    assert.ok(plan(late, "00:10:20").start);
  });

  it("does nothing while suspended", () => {
    const { start, againAfterMs } = plan(cronJob({ suspend: true }), "00:10:01");
    assert.deepEqual([start, againAfterMs], [undefined, undefined]);
  });

  it("follows concurrencyPolicy while the Job before still runs", () => {
    const running = [job(10)];
    assert.ok(plan(cronJob(), "00:20:01", running).start);
    const forbidden = plan(cronJob({ concurrencyPolicy: "Forbid" }), "00:20:01", running);
    assert.deepEqual([forbidden.start, reasons(forbidden)], [undefined, ["JobAlreadyActive"]]);
    const replaced = plan(cronJob({ concurrencyPolicy: "Replace" }), "00:20:01", running);
    assert.ok(replaced.start);
    assert.deepEqual([replaced.replace, replaced.status.active], [running, []]);
    const ended = plan(cronJob({ concurrencyPolicy: "Forbid" }), "00:20:01", [job(10, "Failed")]);
    assert.ok(ended.start);
  });

  it("keeps the newest of the ended Jobs, by outcome", () => {
    const jobs = [
      job(1, "Complete"),
      job(2, "Failed"),
      job(3, "Complete"),
      job(4, "Failed"),
      job(5),
    ];
    const object = cronJob({ successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 1 });
    const discarded = plan(object, "00:06:00", jobs).discard.map(({ metadata }) => metadata.name);
    assert.deepEqual(
      discarded,
      [1, 3, 2].map((minute) => job(minute).metadata.name),
    );
    assert.deepEqual(plan(cronJob(), "00:06:00", jobs.slice(0, 3)).discard, []);
  });

  it("tells of Jobs that ended or went away, and notes the last success", () => {
    const active = [job(10), job(20), job(30)].map(({ metadata: { name, uid } }) => ({
      name,
      uid,
    }));
    const status = { active, lastScheduleTime: "2026-01-01T00:30:00Z" };
    const seen = plan(cronJob({}, status), "00:31:00", [job(10, "Complete"), job(30)]);
    assert.deepEqual(reasons(seen), ["SawCompletedJob", "MissingJob"]);
    assert.deepEqual(seen.status.active, active.slice(2));
    assert.equal(seen.status.lastSuccessfulTime, "2026-01-01T00:10:00Z");
  });
});
