import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Service } from "../../src/api/v1/service.ts";
import { referenceTo } from "../../src/client/events.ts";
import { serviceView, sliceView } from "../../src/core/dns/views.ts";
import { HERE } from "../../src/core/proxy/fixtures.test.ts";
import { forwardingTable } from "../../src/core/proxy/table.ts";
import { networkFieldsOf } from "../../src/programs/network-fields.ts";
import { anyCluster } from "../kernel/cluster.arbitrary.ts";

const keep = networkFieldsOf(HERE.name);

/** With what an API server's objects have besides. */
function served(object: Service, i: number): Service {
  const { metadata, spec } = object;
  return {
    ...object,
    metadata: {
      ...metadata,
      uid: `uid-${String(i)}`,
      resourceVersion: String(i),
      annotations: {
        ...metadata.annotations,
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
      },
    },
    spec: { ...spec, selector: { app: "web" } },
  };
}

function servedSlice(slice: EndpointSlice, i: number): EndpointSlice {
  const endpoints = (slice.endpoints ?? []).map((endpoint, j) => ({
    ...endpoint,
    zone: "a",
    targetRef: { kind: "Pod", name: `pod-${String(j)}`, namespace: "default" },
    ...(j % 2 === 0 ? { hostname: `host-${String(j)}` } : {}),
  }));
  return { ...slice, metadata: { ...slice.metadata, resourceVersion: String(i) }, endpoints };
}

describe("what a node's informers keep", () => {
  it("gives the proxy and DNS all that they read", () => {
    fc.assert(
      fc.property(anyCluster, ({ services, slices }) => {
        const whole = { services: services.map(served), slices: slices.map(servedSlice) };
        const kept = {
          services: whole.services.map((service) => keep(serviceKind, service)),
          slices: whole.slices.map((slice) => keep(endpointSliceKind, slice)),
        };
        assert.deepEqual(
          forwardingTable({ ...kept, node: HERE }),
          forwardingTable({ ...whole, node: HERE }),
        );
        assert.deepEqual(kept.services.map(serviceView), whole.services.map(serviceView));
        assert.deepEqual(
          kept.slices.map((slice) => sliceView(slice)),
          whole.slices.map((slice) => sliceView(slice)),
        );
        assert.deepEqual(kept.services.map(aboutService), whole.services.map(aboutService));
      }),
    );
  });

  it("leaves out who the Pods of other nodes are and what kubectl wrote, and shares what most endpoints say", () => {
    const conditions = { ready: true, serving: true, terminating: false };
    const slice: EndpointSlice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "web-1", namespace: "default" },
      addressType: "IPv4",
      endpoints: ["there", "there", HERE.name].map((nodeName, i) => ({
        addresses: [`10.1.0.${String(i)}`],
        conditions: { ...conditions },
        nodeName,
        zone: "a",
        targetRef: { kind: "Pod", name: "web" },
      })),
    };
    const [one, two, own] = keep(endpointSliceKind, slice).endpoints ?? [];
    assert.deepEqual([one?.targetRef, one?.zone, one?.nodeName], [undefined, undefined, undefined]);
    assert.deepEqual(one?.conditions, conditions);
    assert.equal(one?.conditions, two?.conditions);
    assert.deepEqual([own?.targetRef, own?.nodeName], [{ kind: "Pod", name: "web" }, HERE.name]);
  });

  it("keeps other kinds as they are", () => {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "here" }, spec: {} } as const;
    assert.equal(keep(nodeKind, node), node);
  });
});

/** What Events are about and conditions are written to. */
function aboutService(service: Service): unknown {
  return [referenceTo(service), service.status];
}
