import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service } from "../../src/api/v1/service.ts";
import type { Started } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { inNamespace } from "./in-namespace.ts";
import { ProgramCluster, sampleOf } from "./program-cluster.ts";

/** Services that nothing happens to. */
const BYSTANDERS = 40;
const POD = (n: number): string => `10.244.0.${String(n)} ready @there`;

/** Elements written to the kernel. */
interface Elements {
  readonly added: number;
  readonly deleted: number;
}

interface Written extends Elements {
  readonly transactions: number;
  readonly rebuilds: number;
}

inNamespace(import.meta.url, () => {
  let cluster: ProgramCluster;
  let proxy: Started;
  let kept: Service;
  const vips = new Map<string, string>();

  before(async () => {
    cluster = await ProgramCluster.start();
    for (let n = 0; n < BYSTANDERS; n++) await expose(`same-${String(n)}`, [1, 2, 3]);
    kept = await expose("kept", [1]);
    for (const name of ["going", "growing", "shrinking", "moving", "renamed"]) {
      await expose(name, [1, 2, 3]);
    }
    proxy = await cluster.proxy();
  });

  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  async function expose(name: string, pods: readonly number[]): Promise<Service> {
    const made = await cluster.expose(name, pods.map(POD));
    vips.set(name, made.spec.clusterIP ?? "");
    return made;
  }

  function vipOf(name: string): string {
    return vips.get(name) ?? "";
  }

  async function written(): Promise<Written> {
    const text = await cluster.metrics();
    const prefix = "portolan_proxy_nftables_";
    return {
      added: sampleOf(text, `${prefix}elements_total{operation="add"}`),
      deleted: sampleOf(text, `${prefix}elements_total{operation="delete"}`),
      transactions: sampleOf(text, `${prefix}transactions_total`),
      rebuilds: sampleOf(text, `${prefix}rebuilds_total`),
    };
  }

  /**
   * Waits until the proxy has seen this Service's change, and compares. Services and slices come by watches of their
   * own: each Service that comes or goes may be seen for a moment without its slice, when its frontend's element says
   * "refuse" in between.
   */
  async function assertWritten(
    before: Written,
    addedLast: string,
    expected: Elements & { readonly comeOrGo: number },
  ): Promise<void> {
    await cluster.untilAnswered("10.244.0.4", vipOf(addedLast));
    const now = await written();
    const added = now.added - before.added;
    const deleted = now.deleted - before.deleted;
    const inBetween = added - expected.added;
    const about = JSON.stringify({ added, deleted, expected });
    assert.ok(inBetween >= 0 && inBetween <= expected.comeOrGo, about);
    assert.equal(deleted - expected.deleted, inBetween, about);
    assert.equal(now.rebuilds, before.rebuilds);
    // One change is one transaction, however many there are of them; none is empty.
    assert.ok(now.transactions - before.transactions <= added + deleted, about);
  }

  async function lists(resource: string): Promise<number> {
    return cluster.metric(`portolan_informer_lists_total{resource="${resource}"}`);
  }

  /** Cuts the way, until the proxy has noticed with every watch. */
  async function away(): Promise<void> {
    const failures = async (): Promise<readonly number[]> => {
      const text = await cluster.metrics();
      const kinds = ["services", "endpointslices.discovery.k8s.io", "nodes"];
      return kinds.map((kind) =>
        sampleOf(text, `portolan_informer_failures_total{resource="${kind}"}`),
      );
    };
    const before = await failures();
    cluster.way.cut();
    await eventually("the proxy misses the API", async () =>
      (await failures()).every((count, i) => count > (before[i] ?? 0)),
    );
  }

  it("nothing is sent to the kernel for Services that are as they were, or change in what is no rule's", async () => {
    const before = await written();
    await cluster.client.patch(serviceKind, kept.metadata, {
      kind: "merge",
      body: { metadata: { annotations: { note: "read by people" } } },
    });
    await cluster.setEndpoints("kept", [POD(1)]);
    // Seen after the others, as the watch is in order.
    await expose("seen", [4]);
    // A frontend, its cluster IP, an endpoint.
    await assertWritten(before, "seen", { added: 3, deleted: 0, comeOrGo: 1 });
  });

  it("PROXY-016: away, the rules stay and carry traffic; back, exactly the differences are sent", async () => {
    const held = await cluster.network.hold({ from: "world" }, vipOf("kept"), 80);
    const before = await written();
    const listed = await lists("services");
    await away();
    await cluster.remove("going");
    await cluster.setEndpoints("growing", [1, 2, 3, 4].map(POD));
    await cluster.setEndpoints("shrinking", [1, 2].map(POD));
    await cluster.setEndpoints("moving", [1, 2, 4].map(POD));
    await expose("coming", [4]);
    assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
    assert.match(await cluster.answers(vipOf("going")), /^10\.244\./);
    assert.equal(await held.echo("still"), "still");
    assert.deepEqual(await written(), before);
    cluster.way.mend();
    await assertWritten(before, "coming", {
      // growing: a slot. moving: a slot. coming: frontend, cluster IP, slot. shrinking: its list has 2^1 slots now, so
      // its frontend's element is written anew.
      added: 1 + 1 + 3 + 1,
      // going: frontend, cluster IP, 3 slots. shrinking: a slot, and its frontend's old element. moving: a slot.
      deleted: 5 + 2 + 1,
      comeOrGo: 2,
    });
    assert.equal(await lists("services"), listed, "the watch went on from where it was");
    assert.equal(await held.echo("still"), "still");
    held.end();
    assert.equal(await cluster.answers(vipOf("going")), "silence");
  });

  it("the same when the API server has forgotten the history (410) and everything is listed anew", async () => {
    const before = await written();
    const listed = await lists("services");
    await away();
    await cluster.remove("growing");
    await cluster.setEndpoints("renamed", [1, 2, 4].map(POD));
    await expose("later", [4]);
    // Nothing of what happened before is in the memory of a server that starts.
    await cluster.api.restart();
    cluster.way.mend();
    await assertWritten(before, "later", { added: 1 + 3, deleted: 6 + 1, comeOrGo: 2 });
    assert.equal(await lists("services"), listed + 1);
    assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
  });

  it("answers that break off in their midst change nothing", async () => {
    const before = await written();
    await away();
    await cluster.remove("moving");
    await cluster.api.restart();
    // Enough for TLS and the first part of the list, not for all of it.
    const { broken } = cluster.way;
    cluster.way.mend(8_000);
    await eventually("lists broke off", () => cluster.way.broken >= broken + 4);
    assert.deepEqual(await written(), before);
    assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
    assert.match(await cluster.answers(vipOf("moving")), /^10\.244\./);
    cluster.way.cut();
    await expose("last", [4]);
    cluster.way.mend();
    await assertWritten(before, "last", { added: 3, deleted: 5, comeOrGo: 2 });
  });

  it("one that starts while the API is away leaves the rules as they are until it is back", async () => {
    const { code } = await proxy.end("SIGTERM");
    assert.equal(code, 0);
    assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
    cluster.way.cut();
    const waiting = await cluster.launch();
    try {
      await eventually("it says that the API is away", () =>
        waiting.stderr().includes("not following the API"),
      );
      assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
      cluster.way.mend();
      await eventually("ready", () => waiting.stdout().includes('"ready":true'));
      assert.equal(await cluster.answers(vipOf("kept")), "10.244.0.1");
    } finally {
      await waiting[Symbol.asyncDispose]();
    }
  });
});
