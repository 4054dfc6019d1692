import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cidr } from "../apiserver/test-server.ts";
import type { Json } from "../apiserver/test-server.ts";
import { refused, startServiceApi } from "./service-api.ts";

const V4 = cidr("10.96.0.0/16");
const V6 = cidr("fd00:96::/112");
const DUAL = { serviceCidrs: [V4, V6] };

/** Families of the cluster IPs, the policy and the families that a Service names. */
function stackOf({ spec }: Json): readonly unknown[] {
  const ips = Object.values(spec?.["clusterIPs"] ?? {}).map(String);
  return [
    ips.map((ip) => (ip === "None" ? ip : ip.includes(":") ? "IPv6" : "IPv4")),
    spec?.["ipFamilyPolicy"],
    spec?.["ipFamilies"],
  ];
}

describe("dual stack", () => {
  it("DUAL-001, DUAL-002: one family, the cluster's first, where nothing is said", async () => {
    await using it = await startServiceApi(DUAL);
    assert.deepEqual(stackOf(await it.create("web")), [["IPv4"], "SingleStack", ["IPv4"]]);
    await using six = await startServiceApi({ serviceCidrs: [V6, V4] });
    assert.deepEqual(stackOf(await six.create("web")), [["IPv6"], "SingleStack", ["IPv6"]]);
    // On update the old policy stays.
    await it.create("both", { ipFamilyPolicy: "PreferDualStack" });
    const kept = await it.replace("both", { ipFamilyPolicy: undefined });
    assert.deepEqual(stackOf(kept.json), [["IPv4", "IPv6"], "PreferDualStack", ["IPv4", "IPv6"]]);
  });

  it("DUAL-003, DUAL-004: follows addresses and families given, and the cluster's order else", async () => {
    await using it = await startServiceApi(DUAL);
    const six = await it.create("six", { clusterIP: "fd00:96::9" });
    assert.deepEqual(stackOf(six), [["IPv6"], "SingleStack", ["IPv6"]]);
    const prefer = { ipFamilyPolicy: "PreferDualStack" };
    assert.deepEqual(stackOf(await it.create("a", prefer))[2], ["IPv4", "IPv6"]);
    const byFamily = await it.create("b", { ...prefer, ipFamilies: ["IPv6"] });
    assert.deepEqual(stackOf(byFamily), [["IPv6", "IPv4"], "PreferDualStack", ["IPv6", "IPv4"]]);
    const byAddress = await it.create("c", { ...prefer, clusterIP: "fd00:96::10" });
    assert.deepEqual(stackOf(byAddress)[2], ["IPv6", "IPv4"]);
    await using single = await startServiceApi({ serviceCidrs: [V4] });
    assert.deepEqual(stackOf(await single.create("a", prefer)), [
      ["IPv4"],
      "PreferDualStack",
      ["IPv4"],
    ]);
  });

  it("DUAL-005, DUAL-006: refuses what the cluster has not", async () => {
    await using it = await startServiceApi({ serviceCidrs: [V4] });
    refused(
      await it.post("web", { ipFamilyPolicy: "RequireDualStack" }),
      422,
      'Service "web" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    );
    refused(
      await it.post("web", { ipFamilies: ["IPv6"] }),
      422,
      'Service "web" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
  });

  it("DUAL-007: refuses two of anything without a policy for two", async () => {
    await using it = await startServiceApi(DUAL);
    const pair = { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9", "fd00:96::9"] };
    refused(await it.post("web", pair), 422, /when multiple cluster IPs are specified/);
    const families = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "SingleStack" };
    refused(await it.post("web", families), 422, /when multiple IP families are specified/);
  });

  it("DUAL-008, DUAL-009, DUAL-010: gets a second family and gives it back, and keeps the first", async () => {
    await using it = await startServiceApi(DUAL);
    const made = await it.create("web");
    const first = made["spec"]?.["clusterIP"];
    for (const ipFamilyPolicy of ["PreferDualStack", "RequireDualStack"]) {
      const up = await it.patch("web", { ipFamilyPolicy });
      assert.deepEqual(stackOf(up.json), [["IPv4", "IPv6"], ipFamilyPolicy, ["IPv4", "IPv6"]]);
      assert.equal(up.json["spec"]?.["clusterIP"], first);
      const second = up.json["spec"]?.["clusterIPs"]?.["1"];
      refused(
        await it.patch("web", { clusterIPs: [first], ipFamilies: ["IPv4"] }),
        422,
        /must be 'SingleStack' to release the secondary cluster IP/,
      );
      // With both values still in the body.
      const down = await it.replace("web", { ipFamilyPolicy: "SingleStack" });
      assert.deepEqual(stackOf(down.json), [["IPv4"], "SingleStack", ["IPv4"]]);
      assert.equal(down.json["spec"]?.["clusterIP"], first);
      await it.create("next", { clusterIP: second });
      await it.remove("next");
    }
    const wanted = { clusterIPs: [first, "fd00:96::77"], ipFamilyPolicy: "PreferDualStack" };
    const asked = await it.patch("web", wanted);
    assert.deepEqual(asked.json["spec"]?.["clusterIPs"], [first, "fd00:96::77"]);
  });

  it("DUAL-011: no unrelated update gives or takes a family when the cluster's stack changed", async () => {
    await using it = await startServiceApi({ serviceCidrs: [V4] });
    await it.create("one", { ipFamilyPolicy: "PreferDualStack" });
    await it.api.restart(DUAL);
    const one = await it.patch("one", { sessionAffinity: "ClientIP" });
    assert.deepEqual(stackOf(one.json), [["IPv4"], "PreferDualStack", ["IPv4"]]);
    const two = stackOf(await it.create("two", { ipFamilyPolicy: "PreferDualStack" }));
    await it.api.restart({ serviceCidrs: [V4] });
    const kept = await it.patch("two", { sessionAffinity: "ClientIP" });
    assert.deepEqual(stackOf(kept.json), two);
  });

  it("DUAL-012, DUAL-013: headless Services have families without addresses", async () => {
    await using it = await startServiceApi({ serviceCidrs: [V4] });
    const headless = { clusterIP: "None" };
    assert.deepEqual(stackOf(await it.create("a", headless)), [["None"], "SingleStack", ["IPv4"]]);
    const free = { ...headless, selector: undefined };
    assert.deepEqual(stackOf(await it.create("b", free)), [
      ["None"],
      "RequireDualStack",
      ["IPv4", "IPv6"],
    ]);
    await it.api.restart(DUAL);
    const prefer = { ...headless, ipFamilyPolicy: "PreferDualStack" };
    assert.deepEqual(stackOf(await it.create("c", prefer))[2], ["IPv4", "IPv6"]);
  });

  it("DUAL-014: ExternalName has none of it", async () => {
    await using it = await startServiceApi(DUAL);
    const external = { type: "ExternalName", externalName: "a.example" };
    assert.deepEqual(stackOf(await it.create("web", external)), [[], undefined, undefined]);
    refused(
      await it.post("bad", { ...external, ipFamilyPolicy: "SingleStack" }),
      422,
      /spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services/,
    );
  });
});
