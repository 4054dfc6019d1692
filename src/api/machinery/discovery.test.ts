import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from "./discovery.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

function kind(group: string, version: string, name: string, more: object = {}) {
  const singular = name.toLowerCase();
  return {
    group,
    version,
    kind: name,
    plural: `${singular}s`,
    singular,
    shortNames: [],
    categories: [],
    namespaced: true,
    strategy: {},
    ...more,
  };
}

const pod = kind("", "v1", "Pod", {
  shortNames: ["po"],
  categories: ["all"],
  strategy: { prepareForStatusUpdate: <T>(object: T): T => object },
});
const node = kind("", "v1", "Node", { namespaced: false });
const slice = kind("discovery.k8s.io", "v1", "Slice");
const oldSlice = kind("discovery.k8s.io", "v1beta1", "Slice");
const KINDS = [pod, slice, node, oldSlice];
const SUBRESOURCES = [
  {
    parent: pod,
    name: "eviction",
    responseKind: { group: "policy", version: "v1", kind: "Eviction" },
    verbs: ["create"],
  },
];

describe("aggregatedDiscovery()", () => {
  it("puts the core group under /api, without a name", () => {
    const resources = [
      {
        resource: "pods",
        responseKind: { group: "", version: "v1", kind: "Pod" },
        scope: "Namespaced",
        singularResource: "pod",
        verbs: VERBS,
        shortNames: ["po"],
        categories: ["all"],
        subresources: [
          {
            subresource: "eviction",
            responseKind: { group: "policy", version: "v1", kind: "Eviction" },
            verbs: ["create"],
          },
          {
            subresource: "status",
            responseKind: { group: "", version: "v1", kind: "Pod" },
            verbs: ["get", "patch", "update"],
          },
        ],
      },
      {
        resource: "nodes",
        responseKind: { group: "", version: "v1", kind: "Node" },
        scope: "Cluster",
        singularResource: "node",
        verbs: VERBS,
      },
    ];
    assert.deepEqual(aggregatedDiscovery(KINDS, SUBRESOURCES, "core", "v2"), {
      kind: "APIGroupDiscoveryList",
      apiVersion: "apidiscovery.k8s.io/v2",
      metadata: {},
      items: [
        {
          metadata: { creationTimestamp: null },
          versions: [{ version: "v1", resources, freshness: "Current" }],
        },
      ],
    });
  });

  it("puts the other groups under /apis, each once, with all their versions", () => {
    const document = JSON.stringify(aggregatedDiscovery(KINDS, [], "named", "v2beta1"));
    const { apiVersion, items } = JSON.parse(document);
    assert.equal(apiVersion, "apidiscovery.k8s.io/v2beta1");
    assert.equal(items.length, 1);
    assert.equal(items[0].metadata.name, "discovery.k8s.io");
    const versions = items[0].versions.map((v: { version: string }) => v.version);
    assert.deepEqual(versions, ["v1", "v1beta1"]);
  });
});

describe("the documents for clients without aggregated discovery", () => {
  it("list the versions of the core group", () => {
    assert.deepEqual(apiVersions(KINDS, "127.0.0.1:6443"), {
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: "127.0.0.1:6443" }],
    });
  });

  it("list the named groups; the first version is preferred", () => {
    const group = {
      name: "discovery.k8s.io",
      versions: [
        { groupVersion: "discovery.k8s.io/v1", version: "v1" },
        { groupVersion: "discovery.k8s.io/v1beta1", version: "v1beta1" },
      ],
      preferredVersion: { groupVersion: "discovery.k8s.io/v1", version: "v1" },
    };
    assert.deepEqual(apiGroupList(KINDS), {
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: [group],
    });
    assert.deepEqual(apiGroup(KINDS, "discovery.k8s.io"), {
      kind: "APIGroup",
      apiVersion: "v1",
      ...group,
    });
    assert.equal(apiGroup(KINDS, "apps"), undefined);
    assert.equal(apiGroup(KINDS, ""), undefined);
  });

  it("EPS-004: list the resources of a group and version", () => {
    assert.deepEqual(apiResourceList(KINDS, SUBRESOURCES, "discovery.k8s.io", "v1"), {
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion: "discovery.k8s.io/v1",
      resources: [
        { name: "slices", singularName: "slice", namespaced: true, kind: "Slice", verbs: VERBS },
      ],
    });
    assert.equal(apiResourceList(KINDS, [], "apps", "v1"), undefined);
    assert.equal(apiResourceList(KINDS, [], "", "v2"), undefined);
  });

  it("list subresources beside their resource, with the group of what they take", () => {
    const document = JSON.stringify(apiResourceList(KINDS, SUBRESOURCES, "", "v1"));
    const { resources } = JSON.parse(document);
    assert.deepEqual(resources.slice(1, 3), [
      {
        name: "pods/eviction",
        singularName: "",
        namespaced: true,
        group: "policy",
        version: "v1",
        kind: "Eviction",
        verbs: ["create"],
      },
      {
        name: "pods/status",
        singularName: "",
        namespaced: true,
        kind: "Pod",
        verbs: ["get", "patch", "update"],
      },
    ]);
  });
});
