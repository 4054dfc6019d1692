import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cronJobKind } from "../../src/api/batch/cronjob.kind.ts";
import { jobKind } from "../../src/api/batch/job.kind.ts";
import { startCronJobController } from "../../src/controllers/cronjob.ts";
import { startControlPlane } from "./control-plane.ts";

const TIDY = { name: "tidy", namespace: "default" };

describe("the CronJob controller", () => {
  it("makes Jobs as they come due, one for each time, and takes away old ones", async () => {
    await using plane = await startControlPlane();
    const { client } = plane;
    await client.create(cronJobKind, {
      metadata: TIDY,
      spec: {
        schedule: "@every 1s",
        timeZone: "Europe/Berlin",
        successfulJobsHistoryLimit: 1,
        jobTemplate: {
          spec: {
            template: {
              spec: { restartPolicy: "Never" as const, containers: [{ name: "c", image: "i" }] },
            },
          },
        },
      },
    });
    const now = (): number => clock.ms;
    const clock = { ms: Date.now() + 61_000 };
    await using _loop = startCronJobController({ ...plane.deps, now });
    const [first] = await plane.until(jobKind, (jobs) => jobs.length === 1);
    assert.equal(first?.metadata.ownerReferences?.[0]?.name, "tidy");
    assert.match(
      first?.metadata.annotations?.["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "",
      /\+0[12]:00$/,
    );
    const [noted] = await plane.until(cronJobKind, ([one]) => one?.status?.active?.length === 1);
    assert.equal(noted?.status?.active?.[0]?.uid, first?.metadata.uid);
    assert.equal(plane.deps.informers.of(jobKind).list().length, 1);

    const complete = async (name: string): Promise<void> => {
      const status = {
        startTime: new Date(clock.ms).toISOString(),
        completionTime: new Date(clock.ms).toISOString(),
        conditions: [{ type: "Complete", status: "True" }],
      };
      const patch = { kind: "merge", body: { status } } as const;
      await client.patch(jobKind, { ...TIDY, name }, patch, { subresource: "status" });
    };
    await complete(first?.metadata.name ?? "");
    clock.ms += 61_000;
    const touch = { kind: "merge", body: { metadata: { labels: { touched: "1" } } } } as const;
    await client.patch(cronJobKind, TIDY, touch);
    const two = await plane.until(jobKind, (jobs) => jobs.length === 2);
    const second = two.find(({ metadata }) => metadata.uid !== first?.metadata.uid);
    await complete(second?.metadata.name ?? "");
    await plane.until(
      jobKind,
      (jobs) => !jobs.some(({ metadata }) => metadata.uid === first?.metadata.uid),
    );
    const [after] = await plane.until(
      cronJobKind,
      ([one]) => one?.status?.lastSuccessfulTime !== undefined,
    );
    assert.ok(after);
  });

  it("makes none while suspended", async () => {
    await using plane = await startControlPlane();
    const jobTemplate = {
      spec: {
        template: {
          spec: { restartPolicy: "Never" as const, containers: [{ name: "c", image: "i" }] },
        },
      },
    };
    const spec = { schedule: "@every 1s", suspend: true, jobTemplate };
    await plane.client.create(cronJobKind, { metadata: TIDY, spec });
    await using _loop = startCronJobController({ ...plane.deps, now: () => Date.now() + 61_000 });
    const other = { name: "other", namespace: "default" };
    await plane.client.create(cronJobKind, { metadata: other, spec: { ...spec, suspend: false } });
    const jobs = await plane.until(jobKind, (all) => all.length > 0);
    assert.deepEqual(
      jobs.map(({ metadata }) => metadata.ownerReferences?.[0]?.name),
      ["other"],
    );
  });
});
