import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Lease } from "../../api/coordination/lease.ts";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { formatMicroTime } from "../../api/machinery/time.ts";
import { APPLIED_ANNOTATION, laterVersion, markedVersion, unconfirmed } from "./draining.ts";

const NOW_SECONDS = 1_767_225_600;

function slice(
  version: string,
  ...endpoints: readonly [uid: string, isTerminating: boolean][]
): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `web-${version}`, namespace: "default", resourceVersion: version },
    addressType: "IPv4",
    endpoints: endpoints.map(([uid, terminating]) => ({
      addresses: ["10.0.0.1"],
      conditions: { terminating },
      targetRef: { kind: "Pod", uid },
    })),
  };
}

function lease(holder: string, applied: string | undefined, secondsAgo = 1): Lease {
  const renewTime = formatMicroTime({ seconds: NOW_SECONDS - secondsAgo, nanos: 0 });
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: holder,
      namespace: "kube-system",
      annotations: applied === undefined ? {} : { [APPLIED_ANNOTATION]: applied },
    },
    spec: { holderIdentity: holder, leaseDurationSeconds: 30, renewTime },
  };
}

describe("a Pod is marked as terminating", () => {
  it("when every endpoint of it is, from the latest of their slices on", () => {
    assert.equal(markedVersion([slice("9", ["a", true]), slice("12", ["a", true])], "a"), "12");
    assert.equal(
      markedVersion([slice("9", ["a", true]), slice("12", ["a", false])], "a"),
      undefined,
    );
  });

  it("whatever the others in its slices are", () => {
    assert.equal(markedVersion([slice("9", ["a", true], ["b", false])], "a"), "9");
  });

  it("at once when no slice names it", () => {
    assert.equal(markedVersion([], "a"), "0");
  });
});

describe("data planes that have not confirmed", () => {
  it("are those that are up and have not carried the version out", () => {
    const leases = [
      lease("n1", "99"),
      lease("n2", "100"),
      lease("n3", "1000"),
      lease("n4", undefined),
    ];
    assert.deepEqual(unconfirmed(leases, "100", NOW_SECONDS * 1000), ["n1", "n4"]);
  });

  it("are not those whose Lease has run out", () => {
    assert.deepEqual(unconfirmed([lease("gone", "1", 31)], "100", NOW_SECONDS * 1000), []);
    assert.deepEqual(unconfirmed([lease("there", "1", 29)], "100", NOW_SECONDS * 1000), ["there"]);
  });

  it("are none where no data plane is", () => {
    assert.deepEqual(unconfirmed([], "100", NOW_SECONDS * 1000), []);
  });
});

it("the later of two versions is the greater number, of any length", () => {
  const versions = fc.bigInt({ min: 0n, max: 2n ** 70n });
  fc.assert(
    fc.property(versions, versions, (a, b) => {
      assert.equal(laterVersion(String(a), String(b)), String(a > b ? a : b));
    }),
  );
});
