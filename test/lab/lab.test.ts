import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chownSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome, PROGRAM, runPortolan, startedOf, startPortolan } from "../e2e/portolan.ts";
import type { Home, Started } from "../e2e/portolan.ts";
import { eventually, run } from "../e2e/tools.ts";
import type { Output } from "../e2e/tools.ts";
import { hostNetwork, labProcesses, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

const MANIFESTS = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  hostname: first
  subdomain: web
  containers:
    - name: web
      image: portolan.dev/whoami
      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: own-dns}
spec:
  dnsPolicy: None
  dnsConfig:
    nameservers: [192.0.2.1]
    searches: [ns1.svc.cluster-domain.example, my.dns.search.suffix]
    options: [{name: ndots, value: "2"}, {name: edns0}]
  containers: [{name: c, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: on-node}
spec:
  hostNetwork: true
  containers: [{name: c, command: [sleep, infinity]}]
`;

describe("portolan lab", { timeout: 110_000 }, () => {
  let home: Home;
  let lab: Lab;
  let network: string;

  before(async () => {
    home = await makeHome();
    network = hostNetwork();
    lab = await startLab(home, "--nodes 2 --zones 2");
    await lab.kubectl("apply -f -", MANIFESTS);
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=30s");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  it("has its nodes ready, with zones, two addresses and ranges of both families", async () => {
    const path =
      "{range .items[*]}{.metadata.name} {.metadata.labels.topology\\.kubernetes\\.io/zone} " +
      "{.status.addresses[*].address} {.spec.podCIDRs} {.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}";
    const nodes = await lab.kubectl(["get", "nodes", "-o", `jsonpath=${path}`]);
    assert.equal(
      nodes,
      `node-1 zone-a 10.200.0.11 fd00:200::b node-1 ["10.244.1.0/24","fd00:10:244:1::/64"] True
node-2 zone-b 10.200.0.12 fd00:200::c node-2 ["10.244.2.0/24","fd00:10:244:2::/64"] True
`,
    );
  });

  it("changes nothing of the host's network", () => {
    assert.equal(hostNetwork(), network);
  });

  it("gives Pods addresses of both families that every node reaches, and the world does not", async () => {
    const ips = await lab.kubectl("get pod web -o jsonpath={.status.podIPs[*].ip}");
    const [four = "", six = ""] = ips.split(" ");
    assert.match(four, /^10\.244\.[12]\.\d+$/);
    assert.match(six, /^fd00:10:244:[12]::\w+$/);
    for (const node of ["node-1", "node-2"]) {
      const answer = await lab.exec(node, "curl", "-s", "-m", "5", `http://${four}:8080/`);
      assert.match(answer, /"pod":"first"/);
    }
    assert.notEqual((await lab.tryExec("world", "ip", "route", "get", four)).code, 0);
  });

  it("DNS-050, DNS-051: a Pod resolves whole and partial names by its own resolv.conf", async () => {
    assert.equal(
      await lab.exec("pod/web", "cat", "/etc/resolv.conf"),
      "nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
    );
    const ip = (await lab.kubectl("get pod web -o jsonpath={.status.podIP}")).trim();
    for (const name of ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local"]) {
      assert.match(await lab.exec("pod/web", "getent", "ahostsv4", name), new RegExp(`^${ip} `));
    }
  });

  it("DNS-052, DNS-059: a Pod finds its own name and address, and hostname tells it", async () => {
    assert.equal(await lab.exec("pod/web", "hostname"), "first\n");
    const ip = (await lab.kubectl("get pod web -o jsonpath={.status.podIP}")).trim();
    for (const name of ["first", "first.web.default.svc.cluster.local"]) {
      assert.ok((await lab.exec("pod/web", "getent", "ahostsv4", name)).startsWith(ip));
    }
    const asked = await lab.exec("pod/web", "dig", "+short", "first.web.default.svc.cluster.local");
    assert.equal(asked.trim(), ip);
  });

  it("DNS-053: dnsPolicy None has what dnsConfig says", async () => {
    assert.equal(
      await lab.exec("pod/own-dns", "cat", "/etc/resolv.conf"),
      "nameserver 192.0.2.1\nsearch ns1.svc.cluster-domain.example my.dns.search.suffix\noptions ndots:2 edns0\n",
    );
  });

  it("DNS-057: a Pod with hostNetwork has the node's address and resolver", async () => {
    const node = (await lab.kubectl("get pod on-node -o jsonpath={.spec.nodeName}")).trim();
    const ips = await lab.kubectl("get pod on-node -o jsonpath={.status.podIPs[*].ip}");
    assert.equal(ips, node === "node-1" ? "10.200.0.11 fd00:200::b" : "10.200.0.12 fd00:200::c");
    const links = await lab.exec("pod/on-node", "ip", "-brief", "link");
    assert.equal(links, await lab.exec(node, "ip", "-brief", "link"));
    assert.doesNotMatch(await lab.exec("pod/on-node", "cat", "/etc/resolv.conf"), /10\.96\.0\.10/);
  });

  it("runs kubectl exec and logs inside the Pod's namespaces", async () => {
    assert.equal(await lab.kubectl("exec web -- hostname"), "first\n");
    assert.match(await lab.kubectl("logs web"), /\S/);
  });

  it("serves cluster DNS on every node at the same address, to UDP and TCP, over both families", async () => {
    const ip = (await lab.kubectl("get pod web -o jsonpath={.status.podIP}")).trim();
    const name = "web.default.svc.cluster.local";
    for (const node of ["node-1", "node-2"])
      for (const server of ["@10.96.0.10", "@fd00:10:96::a"])
        for (const transport of ["+notcp", "+tcp"]) {
          const answer = await lab.exec(node, "dig", "+short", server, transport, name);
          assert.equal(answer.trim(), ip);
        }
    const service = await lab.kubectl(
      "get service -n kube-system kube-dns -o jsonpath={.spec.clusterIPs}",
    );
    assert.equal(service, '["10.96.0.10","fd00:10:96::a"]');
    const ports = "get service -n kube-system kube-dns -o jsonpath={.spec.ports[*].port}";
    assert.equal(await lab.kubectl(ports), "53 53 853");
  });

  it("HC-008, HC-012: tells each proxy's health on the node's address and its metrics on loopback", async () => {
    const get = (place: string, url: string): Promise<string> =>
      lab.exec(place, "curl", "-s", "-m", "5", url);
    assert.match(await get("world", "http://10.200.0.12:10256/healthz"), /"healthy": ?true/);
    assert.match(
      await get("node-2", "http://127.0.0.1:10249/metrics"),
      /^kubeproxy_sync_proxy_rules_last_timestamp_seconds \d/m,
    );
    assert.notEqual(
      (await lab.tryExec("world", "curl", "-s", "http://10.200.0.12:10249/")).code,
      0,
    );
  });

  it("follows Services and EndpointSlices with one watch a node, beside the control plane's own", async () => {
    const metrics = await lab.kubectl("get --raw /metrics");
    const watches = (resource: string): string[] => {
      const series = new RegExp(`^portolan_api_watches\\{[^}]*"${resource}"[^}]*\\} (\\d+)$`, "m");
      return [...(series.exec(metrics) ?? [])].slice(1);
    };
    assert.deepEqual(["services", "endpointslices"].map(watches), [["3"], ["3"]]);
  });

  it("keeps its rules when others flush all there are", async () => {
    await lab.exec("node-1", "nft", "flush", "ruleset");
    const ip = (await lab.kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}")).trim();
    await eventually("the rules are there", async () => {
      const { code } = await lab.tryExec("node-1", "curl", "-sk", "-m", "2", `https://${ip}/livez`);
      return code === 0;
    });
  });

  it("frees a Pod's link when the Pod has gone", async () => {
    const node = (await lab.kubectl("get pod own-dns -o jsonpath={.spec.nodeName}")).trim();
    const links = async (): Promise<number> =>
      (await lab.exec(node, "ip", "-brief", "link", "show", "type", "veth")).split("\npod-").length;
    const count = await links();
    await lab.kubectl("delete pod own-dns --grace-period=1");
    await eventually("the link is gone", async () => (await links()) === count - 1);
  });

  it("tells which places there are, and passes on how a command ended", async () => {
    const unknown = await lab.tryExec("node-9", "true");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no "node-9"; it has control, world, node-1, node-2, pod\/NAME/);
    assert.equal((await lab.tryExec("world", "sh", "-c", "exit 7")).code, 7);
    assert.equal((await lab.tryExec("world", "sh", "-c", "kill -9 $$")).code, 137);
    assert.match((await lab.tryExec("pod/a/b/c", "true")).stderr, /is not pod\/NAME/);
    assert.match((await lab.tryExec("pod/nobody", "true")).stderr, /no Pod nobody/);
  });

  it("refuses a second lab of the name, and runs one of another", async () => {
    const second = await runPortolan(home, "lab up --nodes 1");
    assert.equal(second.code, 1);
    assert.match(second.stderr, /lab lab runs already \(pid \d+\)/);
    await using other = await startLab(home, "--name other --nodes 1");
    assert.match(await other.kubectl("get nodes -o name"), /^node\/node-1\n$/);
  });
});

describe("the end of a lab", { timeout: 100_000 }, () => {
  it("by lab down leaves no process, no file and nothing on the host", async () => {
    await using home = await makeHome();
    const network = hostNetwork();
    await using lab = await startLab(home, "--nodes 1");
    const { code, stderr } = await runPortolan(home, "lab down");
    assert.equal(code, 0, stderr);
    assert.equal((await lab.exited()).code, 0);
    assert.deepEqual(labProcesses(home), []);
    assert.deepEqual(readdirSync(join(home.path, "tmp")), []);
    assert.equal(hostNetwork(), network);
    assert.match((await runPortolan(home, "lab down")).stderr, /no lab "lab" is running/);
  });
});

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

const VOLUMES = `
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: "1"}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  volumes: [{name: v, configMap: {name: c}}]
  containers:
    - name: c
      command: [sleep, infinity]
      volumeMounts: [{name: v, mountPath: /config/own}, {name: v, mountPath: /etc/own}]
`;

describe("a user without privileges", {
  timeout: 60_000,
  skip: !isRoot && "as all other tests",
}, () => {
  it("runs a lab with kernel rules of its own", async () => {
    await using home = await makeHome();
    for (const folder of [home.path, join(home.path, "tmp")]) chownSync(folder, NOBODY, NOBODY);
    const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--", process.execPath];
    const start = (args: string): Started =>
      startedOf(
        spawn("setpriv", [...asNobody, PROGRAM, ...args.split(" ")], {
          env: { ...process.env, ...home.env },
          stdio: ["ignore", "pipe", "pipe"],
        }),
        args,
      );
    await using lab = start("lab up --nodes 1 -o json");
    await eventually("it is ready", () => lab.stdout().includes('"ready":true'), 60_000);
    const { code, stdout, stderr } = await start("lab exec node-1 -- nft list tables").exited();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^table ip portolan$/m);
    // Its Pods' volumes are where they should be, though this user may make no folder there.
    const { kubeconfig } = JSON.parse(lab.stdout()) as { readonly kubeconfig: string };
    const kubectl = (args: string, stdin = ""): Promise<Output> =>
      run("kubectl", ["--kubeconfig", kubeconfig, ...args.split(" ")], { stdin, env: home.env });
    await kubectl("apply -f -", VOLUMES);
    const waited = await kubectl("wait pod/p --for=condition=Ready --timeout=30s");
    assert.equal(waited.code, 0, waited.stderr);
    const account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    const read = await kubectl(`exec p -- cat /config/own/a /etc/own/a ${account}`);
    assert.deepEqual([read.stdout, read.stderr], ["11default", ""]);
    const written = await kubectl("exec p -- touch /config/own/new");
    assert.match(written.stderr, /Read-only file system/);
    assert.equal((await lab.end("SIGTERM")).code, 0);
  });
});

describe("a lab's command line", { timeout: 60_000 }, () => {
  it("tells which program is missing", async () => {
    await using home = await makeHome();
    await using started = startPortolan(home, "lab up", { PATH: "/nowhere" });
    const { code, stderr } = await started.exited();
    assert.equal(code, 1);
    assert.match(stderr, /unshare cannot be run; it is in the package util-linux/);
  });

  it("is told apart from what is no Service, no port or no lab", async () => {
    await using home = await makeHome();
    for (const [args, message] of [
      ["lab forward web", /needs NAME and ports/],
      ["lab forward web 80:x:y", /"80:x:y" is not \[LOCAL:\]REMOTE/],
      ["lab forward web 99999:80", /"99999:80" is not \[LOCAL:\]REMOTE/],
      ["lab forward web 0", /"0" is not \[LOCAL:\]REMOTE/],
      ["lab forward web 53/sctp", /"53\/sctp" is not \[LOCAL:\]REMOTE/],
      ["lab forward deployment/web 80", /"deployment\/web" is no Service or Pod/],
      ["lab forward web 80", /no lab "lab" is running/],
      ["lab up --nodes 0", /--nodes: "0" is not a number from 1 on/],
      ["lab up --nodes 999", /1 to 200 nodes/],
      ["lab sideways", /no command "lab sideways"/],
    ] as const) {
      const { code, stderr } = await runPortolan(home, args);
      assert.ok(code === 1 || code === 2);
      assert.match(stderr, message);
    }
  });
});
