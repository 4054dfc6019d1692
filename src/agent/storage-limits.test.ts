import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Pod } from "../api/v1/pod.ts";
import { SILENT } from "../../test/apiserver/test-server.ts";
import { eventually } from "../../test/e2e/tools.ts";
import { storageLimitsOf } from "./storage-limits-of.ts";
import { diskUsage, StorageLimits } from "./storage-limits.ts";

const signal = new AbortController().signal;
const KIB = 1024;

describe("limits of ephemeral storage", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "portolan-usage-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("count what lies below, a file of several names once, and no link's target", async () => {
    const empty = await diskUsage(dir, signal);
    await mkdir(join(dir, "deep/er"), { recursive: true });
    await writeFile(join(dir, "deep/er/file"), Buffer.alloc(256 * KIB, 1));
    await link(join(dir, "deep/er/file"), join(dir, "again"));
    await symlink(process.execPath, join(dir, "far"));
    const full = await diskUsage(dir, signal);
    assert.ok(full - empty >= 256 * KIB && full - empty < 384 * KIB, `${full} ${empty}`);
    assert.equal(await diskUsage(join(dir, "none"), signal), 0);
  });

  it("tell once of a Pod that has more than it may, and of no other", async () => {
    const told: string[] = [];
    const exceeded = (uid: string, message: string): void => {
      told.push(`${uid}: ${message}`);
    };
    await using limits = new StorageLimits({ log: SILENT, exceeded });
    for (const name of ["a", "b", "c"]) await mkdir(join(dir, name));
    await writeFile(join(dir, "a/file"), Buffer.alloc(64 * KIB, 1));
    await writeFile(join(dir, "b/file"), Buffer.alloc(64 * KIB, 1));
    const watch = (uid: string, names: readonly string[], limit: string): void => {
      const dirs = names.map((name) => join(dir, name));
      limits.watch(uid, names.join(), { dirs, limit, message: `${names.join()} of ${limit}` });
    };
    watch("unlimited", ["a"], "0");
    watch("within", ["a"], "10Mi");
    watch("gone", ["b"], "1Ki");
    limits.forget("gone");
    watch("over", ["b"], "100Ki");
    watch("over", ["c"], "32Ki");
    watch("over", ["a", "b"], "100Ki");
    await eventually("it is told", () => told.length > 0);
    assert.deepEqual(told, ["over: a,b of 100Ki"]);
  });

  it("are each container's of its logs, and their sum of all that the Pod has on disk", () => {
    const resources = { limits: { "ephemeral-storage": "1Mi" } };
    const pod = (...containers: readonly object[]): Pod =>
      ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers } }) as Pod;
    const dirs = { logs: (name: string) => `/logs/${name}`, volumes: ["/v"] };
    assert.deepEqual(storageLimitsOf(pod({ name: "a" }), dirs), []);
    assert.deepEqual(storageLimitsOf(pod({ name: "a", resources }, { name: "b" }), dirs), [
      [
        "pod",
        {
          dirs: ["/logs/a", "/logs/b", "/v"],
          limit: 2 ** 20,
          message: "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        },
      ],
      [
        "container a",
        {
          dirs: ["/logs/a"],
          limit: "1Mi",
          message: 'Container a exceeded its local ephemeral storage limit "1Mi". ',
        },
      ],
    ]);
  });
});
