import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cidr, startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";
import { parseIpAddress } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";

const SERVICE = "/api/v1/namespaces/default/services/kubernetes";
const ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes";
const SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";

function ip(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

/** Resolves with the object when it is there again, seen by a watch. */
async function reappears(api: TestServer, url: string): Promise<string> {
  const [collection] = url.split(/\/kubernetes$/);
  const { body } = await api.open(
    `${collection ?? ""}?watch=1&fieldSelector=metadata.name%3Dkubernetes`,
  );
  for await (const chunk of body) {
    const text = Buffer.from(chunk).toString();
    if (text.includes('"type":"ADDED"')) return text;
  }
  throw new Error("the watch ended");
}

describe("publish()", () => {
  it("APIS-001: makes the Service kubernetes with the first address of the range", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("192.0.2.7"), port: 6443 });
    const { json } = await api.call("GET", SERVICE);
    assert.equal(textAt(json, "spec.clusterIP"), "10.96.0.1");
    assert.equal(textAt(json, "spec.type"), "ClusterIP");
    assert.equal(textAt(json, "spec.ports.0.name"), "https");
    assert.equal(json["spec"]?.["selector"], undefined);
    const held = await api.call("GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.1");
    assert.equal(textAt(held.json, "spec.parentRef.name"), "kubernetes");
  });

  it("APIS-002, APIS-003: Endpoints and EndpointSlice say the same, and are not mirrored", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("192.0.2.7"), port: 6443 });
    const endpoints = (await api.call("GET", ENDPOINTS)).json;
    assert.equal(textAt(endpoints, "subsets.0.addresses.0.ip"), "192.0.2.7");
    assert.deepEqual(endpoints["metadata"]?.["labels"], {
      "endpointslice.kubernetes.io/skip-mirror": "true",
    });
    const slice = (await api.call("GET", SLICE)).json;
    assert.equal(textAt(slice, "endpoints.0.addresses.0"), "192.0.2.7");
    assert.deepEqual(slice["metadata"]?.["labels"], { "kubernetes.io/service-name": "kubernetes" });
    assert.deepEqual(slice["ports"], endpoints["subsets"]?.["0"]?.["ports"]);
  });

  it("ALLOC-006: does not start with an IPv6 range wider than /64", async () => {
    await assert.rejects(
      startTestServer({ serviceCidrs: [cidr("fd00::/63")] }),
      /shortest allowed prefix length for service CIDR is 64, got 63/,
    );
  });

  it("may name the loopback address that it listens on", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("127.0.0.1"), port: 6443 });
    assert.equal(
      textAt((await api.call("GET", SLICE)).json, "endpoints.0.addresses.0"),
      "127.0.0.1",
    );
  });

  it("publishes a real address when it listens on all", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("0.0.0.0"), port: 6443 });
    const address = textAt((await api.call("GET", SLICE)).json, "endpoints.0.addresses.0");
    assert.notEqual(address, "0.0.0.0");
    assert.notEqual(parseIpAddress(address), undefined);
  });

  it("APIS-004: comes back when it is deleted, with its address", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("192.0.2.7"), port: 6443 });
    for (const url of [SERVICE, SLICE, ENDPOINTS]) {
      assert.equal((await api.call("DELETE", url)).status, 200);
      await reappears(api, url);
    }
    assert.equal(textAt((await api.call("GET", SERVICE)).json, "spec.clusterIP"), "10.96.0.1");
  });

  it("follows a new port after a restart, and changes nothing when nothing changed", async () => {
    await using api = await startTestServer();
    await api.server.publish({ address: ip("192.0.2.7"), port: 6443 });
    const before = api.store.revision;
    await api.restart();
    await api.server.publish({ address: ip("192.0.2.7"), port: 6443 });
    assert.equal(api.store.revision, before);
    await api.restart();
    await api.server.publish({ address: ip("192.0.2.7"), port: 7443 });
    const slice = (await api.call("GET", SLICE)).json;
    assert.equal(slice["ports"]?.["0"]?.["port"], 7443);
  });
});
