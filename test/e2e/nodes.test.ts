import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { shellPod } from "./manifests.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";

describe("nodes under kubectl", { skip: missing("kubectl") }, () => {
  let home: Home;
  let up: Up;
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const get = (what: string, path: string) => up.kubectl(["get", what, "-o", `jsonpath={${path}}`]);
  const create = (manifest: string) => up.kubectl("create -f -", { stdin: manifest });

  it("are cordoned, drained and uncordoned", async () => {
    await create(shellPod("before", "exec sleep 1000"));
    await up.kubectl("wait --for=condition=Ready pod/before --timeout=20s");
    assert.match(await up.kubectl("cordon local"), /node\/local cordoned/);
    await eventually("the taint is there", async () =>
      (await get("node/local", ".spec.taints[*].key")).includes(UNSCHEDULABLE),
    );
    assert.match(await up.kubectl("get node local"), /Ready,SchedulingDisabled/);
    await create(shellPod("later", "exec sleep 1000"));
    const why = "0/1 nodes are available: 1 node(s) were unschedulable.";
    await eventually(
      "the Pod waits",
      async () =>
        (await get("pod/later", '.status.conditions[?(@.type=="PodScheduled")].message')) === why,
    );
    assert.match(await up.kubectl("drain local --force --timeout=30s"), /pod\/before evicted/);
    assert.equal(await get("pods", ".items[*].metadata.name"), "later");
    assert.match(await up.kubectl("uncordon local"), /node\/local uncordoned/);
    await up.kubectl("wait --for=condition=Ready pod/later --timeout=20s");
    assert.doesNotMatch(await get("node/local", ".spec.taints[*].key"), /unschedulable/);
  });

  it("are told of in events, in the order asked for", async () => {
    await eventually("the news is there", async () =>
      /Normal +Scheduled +Pod\/later +Successfully assigned default\/later to local/.test(
        await up.kubectl("events --for pod/later"),
      ),
    );
    const sorted = await up.kubectl("get events --sort-by=.lastTimestamp --no-headers");
    const order = sorted
      .split("\n")
      .flatMap((line) => /FailedScheduling|Scheduled/.exec(line) ?? []);
    assert.ok(order.indexOf("FailedScheduling") > order.indexOf("Scheduled"));
    assert.equal(order.at(-1), "Scheduled");
    assert.match(
      await up.kubectl("get events --field-selector reason=FailedScheduling --no-headers"),
      /Warning +FailedScheduling +pod\/later +0\/1 nodes are available: 1 node\(s\) were unschedulable\./,
    );
  });

  it("drive Pods off by a taint", async () => {
    await up.kubectl("taint node local broken=yes:NoExecute");
    await up.kubectl("wait --for=delete pod/later --timeout=20s");
    await eventually("the news is there", async () =>
      /TaintManagerEviction/.test(await up.kubectl("events --for pod/later")),
    );
    await up.kubectl("taint node local broken-");
  });
});
