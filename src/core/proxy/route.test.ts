import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HERE, packet, pickNth, port, service, slice } from "./fixtures.test.ts";
import type { Backend } from "./frontend.ts";
import { route } from "./route.ts";
import { forwardingTable } from "./table.ts";

describe("route() with session affinity", () => {
  const sticky = service({
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
  });
  const tableWith = (endpoints: readonly string[]) =>
    forwardingTable({ services: [sticky], slices: [slice(endpoints)], node: HERE });
  const both = tableWith(["10.244.0.1 ready", "10.244.0.2 ready"]);
  const [first] = both.frontends[0]?.target.cluster ?? [];
  const remembering = (backend: Backend | undefined) => ({
    pick: () => 1,
    remembered: () => backend,
  });

  it("AFF-001: takes the remembered backend", () => {
    const result = route(both, packet("10.244.9.9", "10.96.0.1"), remembering(first));
    assert.deepEqual(result.kind === "forward" && [result.backend.address, result.reason], [
      "10.244.0.1",
      "Affinity",
    ]);
  });

  it("AFF-006: chooses anew when the remembered backend is not eligible", () => {
    const left = tableWith(["10.244.0.2 ready", "10.244.0.3 ready"]);
    const result = route(left, packet("10.244.9.9", "10.96.0.1"), remembering(first));
    assert.deepEqual(result.kind === "forward" && [result.backend.address, result.reason], [
      "10.244.0.3",
      "Chosen",
    ]);
  });

  it("AFF-010: without affinity nothing is remembered", () => {
    const table = forwardingTable({
      services: [service()],
      slices: [slice(["10.244.0.1 ready", "10.244.0.2 ready"])],
      node: HERE,
    });
    const result = route(table, packet("10.244.9.9", "10.96.0.1"), remembering(first));
    assert.equal(result.kind === "forward" && result.backend.address, "10.244.0.2");
  });

  it("carries the configured time-out, three hours by default", () => {
    assert.equal(both.frontends[0]?.target.affinitySeconds, 60);
    const table = forwardingTable({
      services: [service({ sessionAffinity: "ClientIP" })],
      slices: [],
      node: HERE,
    });
    assert.equal(table.frontends[0]?.target.affinitySeconds, 10_800);
  });

  it("PROXY-029: one port number of two protocols is two frontends", () => {
    const table = forwardingTable({
      services: [
        service({
          ports: [
            { name: "http", protocol: "TCP", port: 80 },
            { name: "dns", protocol: "UDP", port: 80 },
          ],
        }),
      ],
      slices: [slice(["10.244.0.1 ready"])],
      node: HERE,
    });
    const to = packet("10.244.9.9", "10.96.0.1", { port: port(80) });
    assert.equal(route(table, to, pickNth(0)).kind, "forward");
    assert.equal(route(table, { ...to, protocol: "UDP" }, pickNth(0)).kind, "reject");
  });

  it("rejects a choice outside the backends by name", () => {
    const choice = { pick: () => 2, remembered: () => undefined };
    assert.throws(
      () => route(both, packet("10.244.9.9", "10.96.0.1"), choice),
      /picked backend 2 of 2/,
    );
  });
});
