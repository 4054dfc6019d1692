import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";

const serviceYaml = (port: number, more = "") => `
apiVersion: v1
kind: Service
metadata: { name: app, labels: { app: x } }
spec:
  selector: { app: x }
  ports: [{ name: http, port: ${String(port)}, targetPort: 8080 }]
${more}`;

describe("kubectl against the API server", () => {
  let server: KubectlServer;
  before(async () => {
    server = await startKubectlServer();
  });
  after(() => server[Symbol.asyncDispose]());
  const run = (line: string, stdin = "") => server.run(line.split(" "), { stdin });
  const fails = async (line: string, stdin = "") => {
    const { code, stderr } = await server.kubectl(line.split(" "), { stdin });
    assert.notEqual(code, 0);
    return stderr;
  };

  it("sees the cluster's own namespaces and Service (APIS-001, APIS-003)", async () => {
    assert.match(await run("get ns"), /^default +Active/m);
    assert.match(
      await run("get svc,endpoints,endpointslices"),
      /service\/kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/,
    );
    assert.match(await run("version"), /Server Version: v1\.34\.0\+portolan\.0\.0\.0/);
  });

  it("lists resources and explains them", async () => {
    const resources = await run("api-resources");
    assert.match(resources, /^services +svc +v1 +true +Service$/m);
    assert.match(resources, /^endpointslices +discovery\.k8s\.io\/v1 +true +EndpointSlice$/m);
    assert.match(await run("explain service.spec.ports"), /nodePort\t<integer>/);
  });

  it("creates what it sends as protobuf", async () => {
    assert.match(await run("create ns demo"), /namespace\/demo created/);
    await run("-n demo create configmap cm --from-literal=a=b");
    await run("-n demo create secret generic s --from-literal=p=q");
    await run("-n demo create service nodeport np --tcp=80:8080 --node-port=30080");
    await run("-n demo create service externalname ext --external-name=example.org");
    await run("-n demo create sa bot");
    assert.equal(await run("-n demo get cm cm -o jsonpath={.data.a}"), "b");
    assert.equal(await run("-n demo get secret s -o jsonpath={.data.p}"), "cQ==");
    assert.match(await run("-n demo get svc np"), /80:30080\/TCP/);
    assert.match(await run("-n demo get all"), /service\/ext +ExternalName +<none> +example\.org/);
  });

  it("applies client side: created, unchanged without a new version, configured", async () => {
    assert.match(await run("apply -f -", serviceYaml(80)), /created/);
    const version = () => run("get svc app -o jsonpath={.metadata.resourceVersion}");
    const first = await version();
    assert.match(await run("apply -f -", serviceYaml(80)), /unchanged/);
    assert.equal(await version(), first);
    assert.match(await run("apply -f -", serviceYaml(81)), /configured/);
    assert.match(await run("get svc app"), /81\/TCP/);
    assert.match(
      (await server.kubectl(["diff", "-f", "-"], { stdin: serviceYaml(82) })).stdout,
      /\+ {4}port: 82/,
    );
  });

  it("says what is wrong with a manifest, and applies the good ones beside it", async () => {
    assert.match(
      await fails("create -f -", serviceYaml(80).replace("selector", "selectr")),
      /strict decoding error: unknown field "spec\.selectr"/,
    );
    assert.match(await fails("create -f -", serviceYaml(80)), /services "app" already exists/);
    const bad = serviceYaml(0).replace("name: app,", "name: bad,");
    const good = serviceYaml(90).replace("name: app,", "name: good,");
    const stderr = await fails("apply -f -", `${bad}\n---\n${good}`);
    assert.match(
      stderr,
      /spec\.ports\[0\]\.port: Invalid value: 0: must be between 1 and 65535, inclusive/,
    );
    assert.match(await run("get svc good"), /90\/TCP/);
  });

  it("edits, patches in three ways, labels, annotates, replaces", async () => {
    await server.run(["edit", "svc", "app"], { env: { KUBE_EDITOR: "sed -i s/8080/8081/" } });
    await run(`patch svc app -p {"metadata":{"labels":{"p":"1"}}}`);
    await run(`patch svc app --type=merge -p {"spec":{"selector":{"z":"1"}}}`);
    await run(`patch svc app --type=json -p [{"op":"remove","path":"/spec/selector/app"}]`);
    await run("label svc app l=1");
    await run("annotate svc app a=1");
    const text = await run(
      "get svc app -o jsonpath={.spec.ports[0].targetPort},{.spec.selector},{.metadata.labels},{.metadata.annotations.a}",
    );
    assert.equal(text, '8081,{"z":"1"},{"app":"x","l":"1","p":"1"},1');
    assert.match(await run("replace -f -", serviceYaml(80)), /replaced/);
    assert.match(
      await fails(`patch svc app --type=json -p [{"op":"remove","path":"/spec/nope"}]`),
      /The request is invalid/,
    );
    assert.match(
      await fails("label svc app l=2 --overwrite --resource-version=1"),
      /the object has been modified/,
    );
  });

  it("selects by labels and fields", async () => {
    assert.equal(await run("get svc -l app=x -o name"), "service/app\nservice/good\n");
    assert.equal(await run("get svc --field-selector metadata.name=app -o name"), "service/app\n");
    assert.match(await fails("get svc --field-selector spec.bad=x"), /field label not supported/);
  });

  it("describes, shows events, waits", async () => {
    assert.match(await run("describe svc app"), /^Selector: +app=x$/m);
    assert.match(await run("describe ns default"), /Active/);
    await run("wait --for=jsonpath={.spec.type}=ClusterIP svc/app --timeout=20s");
    const uid = await run("get svc app -o jsonpath={.metadata.uid}");
    await server.run(["create", "-f", "-"], {
      stdin: JSON.stringify({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "e1", namespace: "default" },
        type: "Warning",
        reason: "Because",
        message: "it is so",
        involvedObject: { kind: "Service", namespace: "default", name: "app", uid },
      }),
    });
    assert.match(await run("events"), /Because +Service\/app +it is so/);
    assert.match(await run("get events"), /Because +service\/app +it is so/);
    assert.match(await run("describe svc app"), /Because/);
  });

  it("shows addresses and ranges of Services", async () => {
    assert.match(
      await run("get ip"),
      /^NAME +PARENTREF\n10\.96\.0\.1 +services\/default\/kubernetes$/m,
    );
    assert.match(
      await run("get servicecidrs"),
      /^NAME +CIDRS +AGE\nkubernetes +10\.96\.0\.0\/16 +\d+s$/m,
    );
    const range = {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "more" },
      spec: { cidrs: ["10.200.0.0/28"] },
    };
    assert.match(await run("apply -f -", JSON.stringify(range)), /more created/);
    await run("create service clusterip ranged --clusterip=10.200.0.9 --tcp=80");
    assert.match(await run("get ip 10.200.0.9"), /services\/default\/ranged/);
    assert.match(await run("explain servicecidr.spec"), /cidrs\t<\[\]string>/);
    await run("delete svc ranged");
    assert.match(await fails("get ipaddress 10.200.0.9"), /"10\.200\.0\.9" not found/);
    await run("delete servicecidr more");
  });

  it("watches", async () => {
    const watching = server.kubectl(["get", "svc", "-w", "-l", "watched=yes"], {
      until: (stdout) => /^watched .*99\/TCP/m.test(stdout),
    });
    await run(
      "create -f -",
      serviceYaml(98).replace(
        "name: app, labels: { app: x }",
        "name: watched, labels: { watched: 'yes' }",
      ),
    );
    await run(
      `patch svc watched -p {"spec":{"ports":[{"port":98,"$patch":"delete"},{"name":"http","port":99}]}}`,
    );
    const { stdout } = await watching;
    assert.match(stdout, /^NAME +TYPE/);
    assert.match(stdout, /^watched +ClusterIP/m);
  });

  it("deletes, and waits until things are gone", async () => {
    assert.match(await run("delete svc app"), /service "app" deleted/);
    assert.match(await fails("get svc app"), /services "app" not found/);
    const waiting = run("wait --for=delete svc/good --timeout=20s");
    await run("delete svc good --wait=false");
    await waiting;
    assert.match(await fails("delete ns default"), /this namespace may not be deleted/);
    assert.match(await run("delete ns demo --wait=false"), /deleted/);
    assert.equal(await run("get ns demo -o jsonpath={.status.phase}"), "Terminating");
    assert.match(
      await fails("-n demo create configmap late"),
      /unable to create new content in namespace demo because it is being terminated/,
    );
  });
});
