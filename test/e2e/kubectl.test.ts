import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome, startUp } from "./portolan.ts";
import type { Args, Home, Up } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";
import type { RunOptions } from "./tools.ts";

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: app, labels: { app: x } }
spec:
  selector: { app: x }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`;

describe("kubectl against portolan up", { skip: missing("kubectl") }, () => {
  let home: Home;
  let up: Up;
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const kubectl = (args: Args, options?: RunOptions | string) => up.kubectl(args, options);
  const fails = (args: Args, stdin?: string) => up.kubectlFails(args, stdin);

  it("asks what there is", async () => {
    assert.match(await kubectl("version"), /^Server Version: v1\.34\.\d+\+portolan/m);
    assert.match(
      await kubectl("cluster-info"),
      /control plane.* is running at .*https:\/\/127\.0\.0\.1/,
    );
    assert.match(
      await kubectl("api-versions"),
      /^coordination\.k8s\.io\/v1\ndiscovery\.k8s\.io\/v1\nevents\.k8s\.io\/v1\nnetworking\.k8s\.io\/v1\npolicy\/v1\nrbac\.authorization\.k8s\.io\/v1\nv1$/m,
    );
    const resources = await kubectl("api-resources");
    for (const [name, short] of [
      ["services", "svc"],
      ["pods", "po"],
      ["nodes", "no"],
      ["configmaps", "cm"],
      ["serviceaccounts", "sa"],
    ])
      assert.match(resources, new RegExp(`^${String(name)} +${String(short)} +v1 `, "m"));
    assert.match(await kubectl("explain service.spec.ports"), /nodePort\t<integer>/);
    assert.equal(await kubectl("get --raw /healthz"), "ok");
    assert.equal(await kubectl("get --raw /readyz"), "ok");
    assert.match(await kubectl("get --raw /version"), /"minor":\s*"34"/);
    assert.match(await kubectl("get --raw /metrics"), /^# TYPE \w+ counter$/m);
    assert.match(await fails("get pvc"), /the server doesn't have a resource type "pvc"/);
  });

  it("knows the node", async () => {
    assert.match(
      await kubectl("get nodes -o wide"),
      /^local +Ready .* v1\.34\.\d+\+portolan\S* +127\.\d+\.0\.1 /m,
    );
    assert.match(await kubectl("describe node local"), /^ +Ready +True /m);
    assert.match(await kubectl("-n kube-node-lease get lease"), /^local +local /m);
  });

  it("runs a Pod, exposes it, reads its log, deletes it", async () => {
    assert.match(
      await kubectl("run web --image=portolan.dev/whoami --port=8080"),
      /pod\/web created/,
    );
    assert.match(
      await kubectl("expose pod web --port=80 --target-port=8080"),
      /service\/web exposed/,
    );
    await kubectl("wait --for=condition=Ready pod/web --timeout=20s");
    assert.match(
      await kubectl("get pods -o wide"),
      /^web +1\/1 +Running +0 +\S+ +127\.\d+\.\d+\.\d+ +local /m,
    );
    assert.match(await kubectl("describe pod web"), /Started +\S+ +kubelet|Normal +Started/);
    const slice = await kubectl(
      "get endpointslices -l kubernetes.io/service-name=web -o jsonpath={.items[*].endpoints[*].addresses[0]}",
    );
    assert.equal(slice, await kubectl("get pod web -o jsonpath={.status.podIP}"));
    assert.match(await kubectl("describe svc web"), new RegExp(`^Endpoints: +${slice}:8080$`, "m"));
    assert.match(await kubectl("get endpoints web"), new RegExp(`${slice}:8080`));
    await eventually("the log is there", async () =>
      (await kubectl("logs web")).includes("web listens on"),
    );
    const followed = await up.tryKubectl("logs -f web -c web --tail=1", {
      until: (text) => text.includes("\n"),
    });
    assert.match(followed.stdout, /^web listens on /);
    assert.match(await kubectl("events --for pod/web"), /Started/);
    assert.match(await kubectl("delete pod web"), /pod "web" deleted/);
    assert.match(await fails("get pod web"), /pods "web" not found/);
    await kubectl("delete svc web");
  });

  it("creates what it sends as protobuf", async () => {
    await kubectl("create ns made");
    const make = (what: string) => kubectl(`-n made create ${what}`);
    await make("configmap cm --from-literal=a=b");
    await make("secret generic s --from-literal=p=q");
    await make("service clusterip c --tcp=80:8080");
    await make("service nodeport n --tcp=80:8080 --node-port=30080");
    await make("service loadbalancer l --tcp=80:8080");
    await make("service externalname e --external-name=example.org");
    await make("sa bot");
    assert.equal(await kubectl("-n made get cm cm -o jsonpath={.data.a}"), "b");
    assert.equal(await kubectl("-n made get secret s -o jsonpath={.data.p}"), "cQ==");
    const services = await kubectl("-n made get svc");
    assert.match(services, /^n +NodePort +127\S+ +<none> +80:30080\/TCP/m);
    assert.match(services, /^e +ExternalName +<none> +example\.org /m);
    await kubectl([
      "-n",
      "made",
      "wait",
      "svc/l",
      "--for=jsonpath={.status.loadBalancer.ingress[0].ip}",
      "--timeout=10s",
    ]);
    assert.match(
      await kubectl("get svc -A"),
      /^made +l +LoadBalancer +127\S+ +127\.128\.\S+ +80:3\d+\/TCP/m,
    );
  });

  it("deletes a namespace with all that is in it", async () => {
    await kubectl("create ns gone");
    await kubectl("-n gone run p --image=portolan.dev/whoami");
    await kubectl("-n gone create configmap cm");
    await kubectl("-n gone wait --for=condition=Ready pod/p --timeout=20s");
    assert.match(await kubectl("describe ns gone"), /^Status: +Active$/m);
    await kubectl("delete ns gone --timeout=25s");
    assert.match(await fails("get ns gone"), /namespaces "gone" not found/);
    assert.equal(await kubectl("-n gone get pods,cm,svc,endpointslices -o name"), "");
    assert.match(await fails("delete ns default"), /this namespace may not be deleted/);
  });

  it("applies: created, unchanged without a new version, configured", async () => {
    const version = () => kubectl("get svc app -o jsonpath={.metadata.resourceVersion}");
    assert.match(await kubectl("apply -f -", SERVICE), /created/);
    const first = await version();
    assert.match(await kubectl("apply -f -", SERVICE), /unchanged/);
    assert.equal(await version(), first);
    const changed = SERVICE.replace("port: 80,", "port: 81,");
    const diff = await up.tryKubectl("diff -f -", { stdin: changed });
    assert.equal(diff.code, 1, diff.stderr);
    assert.match(diff.stdout, /^\+ {4}port: 81$/m);
    assert.match(await kubectl("apply -f -", changed), /configured/);
    assert.notEqual(await version(), first);
    assert.match(await kubectl("replace -f -", SERVICE), /replaced/);
    assert.match(await fails("create -f -", SERVICE), /services "app" already exists/);
  });

  it("applies a List, as kubectl itself writes one", async () => {
    const map = (name: string, key: string): object => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name },
      data: { [key]: "1" },
    });
    const list = (...items: readonly object[]): string =>
      JSON.stringify({ apiVersion: "v1", kind: "List", items });
    const applied = await kubectl("apply -f -", list(map("of-list-1", "a"), map("of-list-2", "a")));
    assert.equal(applied, "configmap/of-list-1 created\nconfigmap/of-list-2 created\n");
    const wrong = { ...map("of-list-1", "a"), dta: {} };
    const refused = await up.kubectlFails("apply -f -", list(wrong));
    assert.match(refused, /unknown field "dta"/);
    const written = await kubectl("get configmaps of-list-1 of-list-2 -o json");
    assert.match(await kubectl("apply -f -", written), /of-list-1 (unchanged|configured)/);
  });

  it("edits, patches, labels, annotates", async () => {
    await kubectl("edit svc app", { env: { KUBE_EDITOR: "sed -i s/8080/8081/" } });
    await kubectl(["patch", "svc", "app", "-p", '{"metadata":{"labels":{"p":"1"}}}']);
    await kubectl(["patch", "svc", "app", "--type=merge", "-p", '{"spec":{"selector":{"z":"1"}}}']);
    await kubectl([
      "patch",
      "svc",
      "app",
      "--type=json",
      "-p",
      '[{"op":"remove","path":"/spec/selector/app"}]',
    ]);
    await kubectl("label svc app l=1");
    await kubectl("annotate svc app a=1");
    assert.equal(
      await kubectl(
        "get svc app -o jsonpath={.spec.ports[0].targetPort},{.spec.selector},{.metadata.labels.l},{.metadata.labels.p},{.metadata.annotations.a}",
      ),
      '8081,{"z":"1"},1,1,1',
    );
    assert.match(
      await fails("label svc app l=2 --overwrite --resource-version=1"),
      /the object has been modified/,
    );
  });

  it("gets in every form, selects, watches", async () => {
    assert.match(await kubectl("get svc app -o yaml"), /^kind: Service\nmetadata:\n/m);
    assert.match(await kubectl("get svc app -o json"), /"kind": "Service"/);
    assert.match(await kubectl("get svc app -o wide"), /^app .* z=1$/m);
    assert.equal(await kubectl("get svc -l app=x -o name"), "service/app\n");
    assert.equal(
      await kubectl("get svc --field-selector metadata.name=app -o name"),
      "service/app\n",
    );
    const watching = up.tryKubectl("get svc -w -l app=x", {
      until: (text) => / 99\/TCP/.test(text),
    });
    // Whether this comes before or during the watch, the watch shows it.
    await kubectl([
      "patch",
      "svc",
      "app",
      "--type=json",
      "-p",
      '[{"op":"replace","path":"/spec/ports/0/port","value":99}]',
    ]);
    assert.match((await watching).stdout, /^app +ClusterIP .* 99\/TCP/m);
  });

  it("shows a change while it watches", async () => {
    await kubectl("create configmap seen");
    let started: Promise<string> | undefined;
    const { stdout } = await up.tryKubectl('get cm seen -w -o jsonpath={.data}{"\\n"}', {
      until: (text) => {
        if (text !== "") started ??= kubectl(["patch", "cm", "seen", "-p", '{"data":{"k":"v"}}']);
        return text.includes('{"k":"v"}');
      },
    });
    await started;
    assert.match(stdout, /\{"k":"v"\}/);
  });

  it("deletes by label, by name and all, and waits for it", async () => {
    const waiting = kubectl("wait --for=delete svc/app --timeout=20s");
    await kubectl("delete svc -l app=x --wait=false");
    await waiting;
    await kubectl("create configmap a");
    await kubectl("create configmap b");
    assert.match(
      await kubectl("delete cm --all"),
      /configmap "a" deleted\n(.*\n)*configmap "b" deleted/,
    );
    assert.match(await fails("delete cm a"), /configmaps "a" not found/);
  });
});
