import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IPAddress } from "../../api/networking/ipaddress.ts";
import type { ServiceCIDR } from "../../api/networking/servicecidr.ts";
import { planServiceCidr } from "./service-cidr-plan.ts";

const FINALIZER = "networking.k8s.io/service-cidr-finalizer";
/** 2026-01-01T00:00:00Z. */
const DELETED_MS = 1_767_225_600_000;

interface Given {
  readonly name?: string;
  readonly cidrs?: readonly string[];
  readonly ready?: "True" | "False";
  readonly deleted?: boolean;
  readonly finalizers?: readonly string[];
}

function serviceCidr(given: Given = {}): ServiceCIDR {
  const { name = "one", cidrs = ["10.0.0.0/24"], ready, deleted = false } = given;
  const condition = {
    type: "Ready",
    status: ready ?? "",
    reason: ready === "False" ? "Terminating" : "",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: {
      name,
      finalizers: given.finalizers ?? [FINALIZER],
      ...(deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: { cidrs },
    status: ready === undefined ? {} : { conditions: [condition] },
  };
}

function address(name: string, manager = "ipallocator.k8s.io"): IPAddress {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: { name, labels: { "ipaddress.kubernetes.io/managed-by": manager } },
    spec: { parentRef: { resource: "services", namespace: "default", name: "web" } },
  };
}

function step(
  given: Given,
  others: readonly Given[] = [],
  addresses: readonly IPAddress[] = [],
  nowMs = DELETED_MS,
) {
  const one = serviceCidr(given);
  const all = [one, ...others.map(serviceCidr)];
  return planServiceCidr({ serviceCidr: one, all, addresses, nowMs, graceMs: 10_000 });
}

describe("planServiceCidr()", () => {
  it("ALLOC-018: puts a finalizer on it, and then says that it is ready", () => {
    assert.equal(step({ finalizers: [] }).kind, "addFinalizer");
    assert.equal(step({ finalizers: ["example.com/other"] }).kind, "addFinalizer");
    assert.equal(step({}).kind, "markReady");
    assert.equal(step({ ready: "False" }).kind, "markReady");
    assert.equal(step({ ready: "True" }).kind, "nothing");
  });

  it("ALLOC-019: keeps one whose addresses are in use, and says so once", () => {
    const used = [address("10.0.0.9")];
    const leaving = { deleted: true };
    assert.equal(step({ ...leaving, ready: "True" }, [], used).kind, "markTerminating");
    assert.equal(step({ ...leaving, ready: "False" }, [], used).kind, "nothing");
    const late = DELETED_MS + 60_000;
    assert.equal(step({ ...leaving, ready: "False" }, [], used, late).kind, "nothing");
    assert.equal(step({ ...leaving, ready: "False" }, [], [], late).kind, "removeFinalizer");
    const second = { ...leaving, cidrs: ["10.0.0.0/24", "fd00::/112"] };
    assert.equal(step(second, [], [address("fd00::9")], late).kind, "markTerminating");
  });

  it("ALLOC-019: is not kept by addresses of others, or outside of it", () => {
    const late = DELETED_MS + 60_000;
    const addresses = [address("10.0.1.9"), address("10.0.0.9", "example.com")];
    assert.equal(step({ deleted: true }, [], addresses, late).kind, "removeFinalizer");
  });

  it("ALLOC-021: an address inside another one that stays keeps neither", () => {
    const late = DELETED_MS + 60_000;
    const used = [address("10.0.0.9")];
    const wide = { name: "wide", cidrs: ["10.0.0.0/8"] };
    const narrow = { name: "narrow", cidrs: ["10.0.0.8/30"] };
    const apart = { name: "apart", cidrs: ["10.0.0.128/25"] };
    assert.equal(step({ deleted: true }, [wide], used, late).kind, "removeFinalizer");
    assert.equal(step({ deleted: true }, [narrow], used, late).kind, "removeFinalizer");
    assert.equal(step({ deleted: true }, [apart], used, late).kind, "markTerminating");
    const leaving = { ...wide, deleted: true };
    assert.equal(step({ deleted: true }, [leaving], used, late).kind, "markTerminating");
  });

  it("ALLOC-020: waits for ten seconds from its deletion", () => {
    assert.deepEqual(step({ deleted: true }, [], [], DELETED_MS + 4_000), {
      kind: "wait",
      afterMs: 6_000,
    });
    assert.equal(step({ deleted: true }, [], [], DELETED_MS + 9_999).kind, "wait");
    assert.equal(step({ deleted: true }, [], [], DELETED_MS + 10_000).kind, "removeFinalizer");
    assert.equal(step({ deleted: true, finalizers: [] }, [], [], DELETED_MS).kind, "nothing");
  });
});
