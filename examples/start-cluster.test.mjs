// A test of an application's manifests against a real Service, in this process: node --test examples/
import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { podKind, serviceKind, startCluster } from "portolan";

it("takes a Pod that is deleted out of its Service", { timeout: 30_000 }, async (t) => {
  const cluster = await startCluster({
    manifests: [new URL("five-services.yaml", import.meta.url).pathname],
  });
  // With TypeScript or Node 24: await using cluster = await startCluster(...)
  t.after(() => cluster[Symbol.asyncDispose]());
  const { client } = cluster;
  const namespace = "default";

  // The address by which a Pod would find the Service.
  const resolver = new Resolver();
  resolver.setServers([cluster.dns]);
  const [address] = await resolver.resolve4(`shop.${namespace}.svc.${cluster.clusterDomain}`);
  const service = await client.get(serviceKind, { namespace, name: "shop" });
  assert.equal(address, service.spec.clusterIP);

  const answeredBy = () => podsBehind(`http://${address}:8080/`);
  await until(async () => (await answeredBy()).has("web-1"));

  await client.delete(podKind, { namespace, name: "web-1" });
  await until(async () => !(await answeredBy()).has("web-1"));
});

/** Names of the Pods that answer requests, each on a connection of its own. None while it is refused. */
async function podsBehind(url) {
  const ask = () =>
    fetch(url, { headers: { connection: "close" } }).then((answer) => answer.json());
  const answers = await Promise.allSettled(Array.from({ length: 20 }, ask));
  return new Set(answers.flatMap(({ value }) => (value === undefined ? [] : [value.pod])));
}

async function until(isTrue) {
  while (!(await isTrue())) await wait(20);
}
