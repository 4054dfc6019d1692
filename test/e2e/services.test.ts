import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Agent, get } from "node:http";
import { after, before, describe, it } from "node:test";
import { all, namePod, service } from "./manifests.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing, run } from "./tools.ts";

/** What the Pods call themselves: web-3 has a host name of its own. */
const WEB = ["third", "web-1", "web-2"];
const DOMAIN = "default.svc.cluster.local";

describe("Services by their traffic", { skip: missing("kubectl", "dig", "curl") }, () => {
  let home: Home;
  let up: Up;
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    await create(
      all(
        namePod("web-1", "web"),
        namePod("web-2", "web"),
        namePod("web-3", "web", {}, { hostname: "third", subdomain: "peers" }),
        service("shop", "web"),
        service("shop-node", "web", { type: "NodePort" }),
        service("shop-public", "web", { type: "LoadBalancer" }),
        service("alias", "web", { type: "ExternalName", externalName: `shop.${DOMAIN}` }),
        service("peers", "web", { clusterIP: "None" }),
        service("sticky", "web", { sessionAffinity: "ClientIP" }),
        service("echo", "web", {
          ports: [{ name: "echo", port: 8001, targetPort: "echo", protocol: "UDP" }],
        }),
        service("nobody", "nobody"),
      ),
    );
    await up.kubectl("wait --for=condition=Ready pod -l app=web --timeout=30s");
    await eventually(
      "all three answer",
      async () => (await whoAnswers(await at("shop"))).length === 3,
    );
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const create = (manifest: string) => up.kubectl("create -f -", manifest);
  const field = (name: string, path: string) =>
    up.kubectl(["get", "svc", name, "-o", `jsonpath={${path}}`]);
  const at = async (name: string, port = 8000) =>
    `${await field(name, ".spec.clusterIP")}:${String(port)}`;
  const short = async (name: string) => (await up.dig(`+short ${name}`)).trim().split("\n").sort();

  it("ClusterIP: the name's address is answered by all Pods", async () => {
    const address = await field("shop", ".spec.clusterIP");
    assert.deepEqual(await short(`shop.${DOMAIN}`), [address]);
    assert.deepEqual(await whoAnswers(`${address}:8000`), WEB);
  });

  it("NodePort: answers on localhost and on the node's address", async () => {
    const port = await field("shop-node", ".spec.ports[0].nodePort");
    const node = await up.kubectl("get node local -o jsonpath={.status.addresses[0].address}");
    for (const host of ["127.0.0.1", node, await field("shop-node", ".spec.clusterIP")]) {
      const target = `${host}:${host === "127.0.0.1" || host === node ? port : "8000"}`;
      assert.deepEqual(await whoAnswers(target), WEB);
    }
  });

  it("LoadBalancer: has an address within a moment, which answers", async () => {
    await create(service("late", "web", { type: "LoadBalancer" }));
    const ip = ".status.loadBalancer.ingress[0].ip";
    const address = await eventually(
      "it has an address",
      async () => {
        const found = await field("late", ip);
        return found === "" ? undefined : found;
      },
      5000,
    );
    assert.match(address, /^127\.128\./);
    assert.notEqual(address, await field("shop-public", ip));
    await eventually("it answers", async () => (await whoAnswers(`${address}:8000`)).length === 3);
    await up.kubectl("delete svc late");
    await eventually("it is refused", () => isRefused(`${address}:8000`));
  });

  it("ExternalName: is another name", async () => {
    const answer = await up.dig(`alias.${DOMAIN}`);
    assert.match(
      answer,
      /^alias\.default\.svc\.cluster\.local\.\s+\d+\s+IN\s+CNAME\s+shop\.default\.svc\.cluster\.local\.$/m,
    );
    assert.match(answer, /^shop\.default\.svc\.cluster\.local\.\s+\d+\s+IN\s+A\s+127\./m);
  });

  it("Headless: the name gives the Pods' addresses, and a Pod has a name of its own", async () => {
    const ips = await up.kubectl("get pods -l app=web -o jsonpath={.items[*].status.podIP}");
    assert.deepEqual(await short(`peers.${DOMAIN}`), ips.split(" ").sort());
    const third = await up.kubectl("get pod web-3 -o jsonpath={.status.podIP}");
    assert.deepEqual(await short(`third.peers.${DOMAIN}`), [third]);
    assert.deepEqual(await whoAnswers(`${third}:8080`), ["third"]);
  });

  it("UDP: the Service's port is answered by Pods", async () => {
    const [host = "", port = ""] = (await at("echo", 8001)).split(":");
    await eventually("an answer comes", async () =>
      /^(web-\d|third) hello$/.test(await askUdp(host, Number(port), "hello")),
    );
  });

  it("sessionAffinity ClientIP: all connections of a client go to one Pod", async () => {
    assert.equal((await whoAnswers(await at("sticky"))).length, 1);
  });

  it("refuses at once where there are no endpoints", async () => {
    assert.equal(await isRefused(await at("nobody")), true);
  });

  it("moves new connections off a Pod that goes, and leaves established ones alone", async () => {
    await create(
      all(namePod("going", "go", {}, { terminationGracePeriodSeconds: 1 }), service("go", "go")),
    );
    await up.kubectl("wait --for=condition=Ready pod/going --timeout=20s");
    const target = await at("go");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await eventually("it answers", async () => (await ask(target, agent)) === "going");
    const ports = new Set<number | undefined>();
    const onSame = async () => {
      const answer = await ask(target, agent, (port) => ports.add(port));
      assert.equal(answer, "going");
    };
    await onSame();
    // Taken out of the Service, but still running.
    await up.kubectl("label pod going app=gone --overwrite");
    await eventually("new connections are refused", () => isRefused(target));
    await onSame();
    assert.equal(ports.size, 1, "one connection served both");
    agent.destroy();
    await up.kubectl("delete pod going");
    await up.kubectl("delete svc go");
  });

  it("DNS: SRV, PTR, NXDOMAIN and NODATA, over UDP and TCP", async () => {
    const address = await field("shop", ".spec.clusterIP");
    for (const transport of ["+notcp", "+tcp"]) {
      const dig = (args: string) => up.dig(`${transport} ${args}`);
      assert.equal(
        await dig(`+short SRV _http._tcp.shop.${DOMAIN}`),
        `0 100 8000 shop.${DOMAIN}.\n`,
      );
      assert.equal(await dig(`+short -x ${address}`), `shop.${DOMAIN}.\n`);
      assert.match(await dig(`none.${DOMAIN}`), /status: NXDOMAIN.*\n.* aa /);
      assert.match(await dig(`AAAA shop.${DOMAIN}`), /status: NOERROR.*\n.*ANSWER: 0,/);
      assert.match(await dig(`A _tcp.shop.${DOMAIN}`), /status: NOERROR.*\n.*ANSWER: 0,/);
      assert.match(await dig(`SRV _none._tcp.shop.${DOMAIN}`), /status: NXDOMAIN/);
      assert.match(await dig(`nobody.nowhere.svc.cluster.local`), /status: NXDOMAIN/);
    }
    const srv = await up.dig(`+short SRV _http._tcp.peers.${DOMAIN}`);
    assert.equal(srv.trim().split("\n").length, 3);
    assert.match(srv, /^0 \d+ 8080 third\.peers\.default\.svc\.cluster\.local\.$/m);
  });

  it("DNS: forgets a Service that is deleted", async () => {
    await create(service("brief", "web"));
    await eventually(
      "it is known",
      async () => (await short(`brief.${DOMAIN}`))[0]?.startsWith("127.") === true,
    );
    await up.kubectl("delete svc brief");
    await eventually("it is forgotten", async () =>
      (await up.dig(`brief.${DOMAIN}`)).includes("status: NXDOMAIN"),
    );
  });

  it("refuses loopback addresses in a user's EndpointSlice (CVE-2021-25737)", async () => {
    const slice = (address: string) =>
      JSON.stringify({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: "mine", labels: { "kubernetes.io/service-name": "own" } },
        addressType: "IPv4",
        ports: [{ name: "http", port: 6443 }],
        endpoints: [{ addresses: [address] }],
      });
    await create(service("own", "x", { selector: undefined }));
    assert.match(
      await up.kubectlFails("create -f -", slice("127.0.0.1")),
      /is invalid: endpoints\[0\]\.addresses\[0\]: Invalid value: "127\.0\.0\.1": may not be in the loopback range/,
    );
    const pod = await up.kubectl("get pod web-1 -o jsonpath={.status.podIP}");
    assert.match(
      await up.kubectlFails("create -f -", slice(pod)),
      /may not be in the loopback range/,
    );
    assert.match(
      await up.kubectlFails("create -f -", slice("169.254.169.254")),
      /may not be in the link-local range/,
    );
    assert.match(await up.kubectl("create -f -", slice("192.0.2.1")), /created/);
    await up.kubectl("delete svc own");
  });

  it("follows a Service that changes its port, its type and its selector", async () => {
    await create(service("moving", "web"));
    const before = await at("moving");
    await eventually("it answers", async () => (await whoAnswers(before)).length === 3);
    await up.kubectl([
      "patch",
      "svc",
      "moving",
      "--type=json",
      "-p",
      '[{"op":"replace","path":"/spec/ports/0/port","value":8002}]',
    ]);
    const now = await at("moving", 8002);
    await eventually("the new port answers", async () => (await whoAnswers(now)).length === 3);
    await eventually("the old port is refused", () => isRefused(before));
    await up.kubectl(["patch", "svc", "moving", "-p", '{"spec":{"type":"NodePort"}}']);
    const port = await field("moving", ".spec.ports[0].nodePort");
    await eventually(
      "the node port answers",
      async () => (await whoAnswers(`127.0.0.1:${port}`)).length === 3,
    );
    await up.kubectl(["patch", "svc", "moving", "-p", '{"spec":{"selector":{"app":"nobody"}}}']);
    await eventually("it is refused", () => isRefused(now));
    await up.kubectl("delete svc moving");
    await eventually("the node port is refused", () => isRefused(`127.0.0.1:${port}`));
  });
});

/** The names of the Pods that answered 60 requests, each on a connection of its own. */
async function whoAnswers(target: string): Promise<readonly string[]> {
  const url = `http://${target}/[1-60]`;
  const { stdout } = await run("curl", ["-s", "-m", "10", "-H", "connection: close", url]);
  const names = stdout.split("\n").filter((line) => line !== "");
  return [...new Set(names)].sort();
}

/** Whether a connection is refused, in well under a second. */
async function isRefused(target: string): Promise<boolean> {
  return (await run("curl", ["-s", "-m", "1", `http://${target}/`])).code === 7;
}

/** One request; `seen` is told the local port of its connection. */
function ask(
  target: string,
  agent: Agent,
  seen?: (port: number | undefined) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${target}/`, { agent, timeout: 5000 }, (response) => {
      seen?.(response.socket.localPort);
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => resolve(body.trim()));
    });
    request.on("timeout", () => request.destroy(new Error(`${target}: no answer`)));
    request.on("error", reject);
  });
}

function askUdp(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error(`${host}:${String(port)}: no answer`));
    }, 1000);
    socket.once("message", (message) => {
      clearTimeout(timer);
      socket.close();
      resolve(message.toString());
    });
    socket.once("error", reject);
    socket.send(text, port, host);
  });
}
