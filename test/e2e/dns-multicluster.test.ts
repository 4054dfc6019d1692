import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freePort, startDns } from "./dns-program.ts";
import { makeHome, startUp } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

const OWN = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: abroad, namespace: shop}
spec: {type: ExternalName, externalName: web.shop.svc.clusterset.local}
`;

/** The kind as whoever joins clusters brings it, with what DNS reads of it. */
const DEFINITION = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: serviceimports.multicluster.x-k8s.io
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/mcs-api"}
spec:
  group: multicluster.x-k8s.io
  scope: Namespaced
  names: {kind: ServiceImport, listKind: ServiceImportList, plural: serviceimports, singular: serviceimport}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [type]
            properties:
              type: {type: string, enum: [ClusterSetIP, Headless]}
              ips: {type: array, maxItems: 2, items: {type: string}}
              ports:
                type: array
                items:
                  type: object
                  required: [port]
                  properties:
                    name: {type: string}
                    protocol: {type: string}
                    port: {type: integer}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
`;

const IMPORTS = `apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec: {type: ClusterSetIP, ips: [198.51.100.7], ports: [{name: https, protocol: TCP, port: 443}]}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: db, namespace: shop}
spec: {type: Headless, ports: [{name: sql, protocol: TCP, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-east
  namespace: shop
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}
addressType: IPv4
ports: [{name: sql, port: 5432}]
endpoints: [{addresses: [192.0.2.11], hostname: db-0}, {addresses: [192.0.2.12]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-west
  namespace: shop
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: west}
addressType: IPv6
ports: [{name: sql, port: 5432}]
endpoints: [{addresses: ["2001:db8::11"], hostname: db-0}]
`;

const SET = "clusterset.local";

describe("portolan dns with multicluster", { skip: missing("dig", "kubectl") }, () => {
  it("KEP-1645: answers for a clusterset once its kind is there, and for the cluster all along", async () => {
    await using home = await makeHome();
    await using up = await startUp(home);
    await up.kubectl(["apply", "-f", "-"], OWN);
    const ip = await up.kubectl("get service -n shop web -o jsonpath={.spec.clusterIP}");
    const http = `127.0.0.1:${String(await freePort())}`;
    const corefile = join(home.path, "Corefile");
    await writeFile(
      corefile,
      `. {
  errors
  ready ${http}
  kubernetes cluster.local ${SET} in-addr.arpa ip6.arpa {
    multicluster ${SET}
  }
  transfer {
    to 127.0.0.1
  }
}
`,
    );
    await using dns = await startDns(home, up, ["--corefile", corefile]);
    const own = "web.shop.svc.cluster.local";
    const reversed = `${ip.split(".").toReversed().join(".")}.in-addr.arpa.`;
    const ownAnswers = async (): Promise<void> => {
      assert.deepEqual(await dns.ask(own), [`${own}. 5 IN A ${ip}`]);
      assert.deepEqual(await dns.ask("-x", ip), [`${reversed} 5 IN PTR ${own}.`]);
      assert.deepEqual(await dns.ask("-x", "192.0.2.99"), ["NXDOMAIN"]);
    };
    // What threads keep of an address that is nobody's must not hide whose it is later.
    for (let i = 0; i < 4; i++) assert.deepEqual(await dns.ask("-x", "192.0.2.11"), ["NXDOMAIN"]);

    // The API does not have the kind: the zone is not known to be empty.
    await ownAnswers();
    for (const name of [`web.shop.svc.${SET}`, `gone.shop.svc.${SET}`, SET])
      assert.deepEqual(await dns.ask(name), ["SERVFAIL"]);
    assert.equal((await fetch(`http://${http}/ready`)).status, 200);
    await eventually("it is said", () => /multicluster zone/.test(dns.stderr()));
    assert.match(
      dns.stderr(),
      /dns multicluster zone gets SERVFAIL until the API has it.*zone=clusterset\.local\. remedy="apply the CustomResourceDefinition of ServiceImport of multicluster\.x-k8s\.io\/v1alpha1"/,
    );

    await up.kubectl(["apply", "-f", "-"], DEFINITION);
    await up.kubectl(
      "wait --for=condition=Established crd/serviceimports.multicluster.x-k8s.io --timeout=20s",
    );
    await up.kubectl(["apply", "-f", "-"], IMPORTS);
    const web = `web.shop.svc.${SET}`;
    await eventually(
      "the set is served",
      async () => (await dns.ask(web))[0] === `${web}. 5 IN A 198.51.100.7`,
      40_000,
    );
    assert.equal(dns.stderr().match(/multicluster zone gets SERVFAIL/g)?.length, 1);
    await ownAnswers();

    const db = `db.shop.svc.${SET}`;
    assert.deepEqual(await dns.ask(web, "AAAA"), ["NOERROR"]);
    assert.deepEqual(await dns.ask(`_https._tcp.${web}`, "SRV"), [
      `_https._tcp.${web}. 5 IN SRV 0 100 443 ${web}.`,
    ]);
    assert.deepEqual(await dns.ask(`east.${web}`), ["NXDOMAIN"]);
    assert.deepEqual([...(await dns.ask(db))].toSorted(), [
      `${db}. 5 IN A 192.0.2.11`,
      `${db}. 5 IN A 192.0.2.12`,
    ]);
    assert.deepEqual(await dns.ask(db, "AAAA"), [`${db}. 5 IN AAAA 2001:db8::11`]);
    assert.deepEqual(await dns.ask(`db-0.east.${db}`), [`db-0.east.${db}. 5 IN A 192.0.2.11`]);
    assert.deepEqual(await dns.ask(`db-0.west.${db}`, "AAAA"), [
      `db-0.west.${db}. 5 IN AAAA 2001:db8::11`,
    ]);
    assert.deepEqual(await dns.ask(`db-0.west.${db}`), ["NOERROR"]);
    assert.deepEqual(await dns.ask(`east.${db}`), ["NOERROR"]);
    assert.deepEqual(await dns.ask(`north.${db}`), ["NXDOMAIN"]);
    assert.deepEqual([...(await dns.ask(`_sql._tcp.${db}`, "SRV"))].toSorted(), [
      `_sql._tcp.${db}. 5 IN SRV 0 33 5432 192-0-2-12.east.${db}.`,
      `_sql._tcp.${db}. 5 IN SRV 0 33 5432 db-0.east.${db}.`,
      `_sql._tcp.${db}. 5 IN SRV 0 33 5432 db-0.west.${db}.`,
    ]);
    assert.deepEqual(await dns.ask("-x", "198.51.100.7"), [
      `7.100.51.198.in-addr.arpa. 5 IN PTR ${web}.`,
    ]);
    assert.deepEqual(await dns.ask("-x", "192.0.2.11"), [
      `11.2.0.192.in-addr.arpa. 5 IN PTR db-0.east.${db}.`,
    ]);
    assert.deepEqual(await dns.ask("TXT", `dns-version.${SET}`), [
      `dns-version.${SET}. 5 IN TXT "1.0.0"`,
    ]);
    assert.match((await dns.ask("SOA", SET))[0] ?? "", /^clusterset\.local\. 5 IN SOA ns\.dns\./);
    assert.deepEqual(await dns.ask(`gone.shop.svc.${SET}`), ["NXDOMAIN"]);
    assert.ok((await dns.ask("AXFR", SET)).includes(`db-0.east.${db}. 5 IN A 192.0.2.11`));
    // An alias of this cluster may lead into the set.
    assert.deepEqual(await dns.ask("abroad.shop.svc.cluster.local"), [
      `abroad.shop.svc.cluster.local. 5 IN CNAME ${web}.`,
      `${web}. 5 IN A 198.51.100.7`,
    ]);

    await up.kubectl([
      ..."patch serviceimport -n shop web --type=merge -p".split(" "),
      '{"spec":{"ips":["198.51.100.8"]}}',
    ]);
    await eventually(
      "the change is seen",
      async () => (await dns.ask(web))[0] === `${web}. 5 IN A 198.51.100.8`,
    );
    await up.kubectl("delete serviceimport -n shop web");
    await eventually("it is gone", async () => (await dns.ask(web))[0] === "NXDOMAIN");
    assert.equal((await dns.end("SIGTERM")).code, 0);
  });
});
