import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { a, domain, ip, port, silent, startUpstream } from "../../test/dns/fake-upstream.ts";
import type { FakeUpstream, Script } from "../../test/dns/fake-upstream.ts";
import { MemoryApi } from "../../test/dns/memory-api.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service, ServiceSpec } from "../api/v1/service.ts";
import type { Informers } from "../client/informer.ts";
import { createInformers } from "../client/shared-informers.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { encodeMessage } from "../core/dns/encode.ts";
import { RCODE } from "../core/dns/message.ts";
import type { Message } from "../core/dns/message.ts";
import { parseCidr } from "../net/cidr.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { startDns } from "./server.ts";
import type { DnsServer } from "./server.ts";

const run = promisify(execFile);
const hasDig = spawnSync("dig", ["-v"]).error === undefined;
const needsDig = { skip: hasDig ? false : "dig is not installed (Debian: bind9-dnsutils)" };

interface Cluster extends AsyncDisposable {
  readonly api: MemoryApi;
  readonly informers: Informers;
  readonly server: DnsServer;
  readonly upstream: FakeUpstream;
  readonly metrics: Metrics;
  /** Puts an object, and waits until the informers know it. */
  put(kind: KindDefinition, object: KubernetesObject): Promise<void>;
  /** dig's answer without comments: a record a line. */
  dig(...args: string[]): Promise<readonly string[]>;
}

async function startCluster(script: Script = () => ({ rcode: RCODE.NXDOMAIN })): Promise<Cluster> {
  const api = new MemoryApi();
  const informers = createInformers({ client: api, log: silent });
  const metrics = new Metrics();
  const upstream = await startUpstream(script);
  const server = await startDns(
    { informers, log: silent, metrics },
    {
      listen: { address: ip("127.0.0.1"), port: port(0) },
      reverseCidrs: [parseCidr("10.96.0.0/16") ?? []].flat(),
      upstreams: [upstream],
    },
  );
  return {
    api,
    informers,
    server,
    upstream,
    metrics,
    put: async (kind, object) => {
      await new Promise<void>((resolve) => {
        // The DNS server subscribed first, so it knows what this one hears.
        const before = informers.of(kind).get(keyOf(object));
        informers.of(kind).onChange(({ key, after }) => {
          if (key === keyOf(object) && after !== before) resolve();
        });
        api.put(kind, object);
      });
    },
    dig: async (...args) => {
      const { stdout } = await run("dig", [
        "@127.0.0.1",
        `-p${String(server.port)}`,
        "+time=5",
        "+tries=1",
        "+noall",
        "+answer",
        ...args,
      ]);
      return stdout
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith(";"))
        .map((line) => line.replaceAll(/\s+/g, " "));
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function service(name: string, spec: Partial<ServiceSpec>): Service {
  // Only what DNS reads; the server fills in the rest.
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: spec as ServiceSpec,
  };
}

function slice(serviceName: string, addresses: readonly string[]): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${serviceName}-1`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: "IPv4",
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  };
}

const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } };
const web = service("web", {
  type: "ClusterIP",
  clusterIP: "10.96.0.10",
  clusterIPs: ["10.96.0.10"],
  ports: [{ name: "http", protocol: "TCP", port: 80 }],
});
const headless = service("db", { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"] });
const outside = service("outside", { type: "ExternalName", externalName: "api.example.com" });

async function filled(script?: Script): Promise<Cluster> {
  const cluster = await startCluster(script);
  cluster.api.put(namespaceKind, namespace);
  cluster.api.put(serviceKind, outside);
  cluster.api.put(serviceKind, headless);
  cluster.api.openGate();
  await cluster.put(serviceKind, web);
  await cluster.put(endpointSliceKind, slice("db", ["10.112.0.5", "10.112.0.6"]));
  return cluster;
}

const bigSlice = slice(
  "db",
  Array.from({ length: 1000 }, (_, i) => `10.113.${String(i >> 8)}.${String(i & 255)}`),
);

/** Asks over UDP without dig, to see the message as it is. */
async function ask(server: DnsServer, name: string, edns: Message["edns"]): Promise<Message> {
  const socket = createSocket("udp4");
  const blank = decodeMessage(new Uint8Array(12));
  assert.ok(blank);
  const query = { ...blank, id: 77, question: { name: domain(name), type: 1, class: 1 }, edns };
  socket.send(encodeMessage(query, 512), server.port, server.address);
  const [bytes] = await once(socket, "message");
  socket.close();
  const message = decodeMessage(bytes);
  assert.ok(message);
  return message;
}

describe("startDns(), asked by dig", needsDig, () => {
  it("DNS-001, DNS-017: answers over UDP and TCP on one port", async () => {
    await using cluster = await filled();
    const expected = ["web.default.svc.cluster.local. 5 IN A 10.96.0.10"];
    assert.deepEqual(await cluster.dig("web.default.svc.cluster.local"), expected);
    assert.deepEqual(await cluster.dig("+tcp", "web.default.svc.cluster.local"), expected);
  });

  it("DNS-002, DNS-003, DNS-004, DNS-015: SRV, PTR, headless and TXT", async () => {
    await using cluster = await filled();
    assert.deepEqual(await cluster.dig("SRV", "_http._tcp.web.default.svc.cluster.local"), [
      "_http._tcp.web.default.svc.cluster.local. 5 IN SRV 0 100 80 web.default.svc.cluster.local.",
    ]);
    assert.deepEqual(await cluster.dig("-x", "10.96.0.10"), [
      "10.0.96.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local.",
    ]);
    assert.deepEqual((await cluster.dig("db.default.svc.cluster.local")).toSorted(), [
      "db.default.svc.cluster.local. 5 IN A 10.112.0.5",
      "db.default.svc.cluster.local. 5 IN A 10.112.0.6",
    ]);
    assert.deepEqual(await cluster.dig("TXT", "dns-version.cluster.local"), [
      'dns-version.cluster.local. 5 IN TXT "1.1.0"',
    ]);
  });

  it("DNS-036: a Service whose name starts with a digit has its name", async () => {
    await using cluster = await filled();
    const spec = { ...web.spec, clusterIP: "10.96.0.11", clusterIPs: ["10.96.0.11"] };
    await cluster.put(serviceKind, service("1st-shop", spec));
    assert.deepEqual(await cluster.dig("1st-shop.default.svc.cluster.local"), [
      "1st-shop.default.svc.cluster.local. 5 IN A 10.96.0.11",
    ]);
    assert.deepEqual(await cluster.dig("-x", "10.96.0.11"), [
      "11.0.96.10.in-addr.arpa. 5 IN PTR 1st-shop.default.svc.cluster.local.",
    ]);
  });

  it("DNS-019, DNS-021, DNS-023: dig sees codes, SOA and the authoritative flag", async () => {
    await using cluster = await filled();
    const { stdout } = await run("dig", [
      "@127.0.0.1",
      `-p${String(cluster.server.port)}`,
      "gone.default.svc.cluster.local",
    ]);
    assert.match(stdout, /status: NXDOMAIN/);
    assert.match(stdout, /flags: qr aa rd ra;/);
    assert.match(stdout, /cluster\.local\.\s+5\s+IN\s+SOA\s+ns\.dns\.cluster\.local\. hostmaster/);
    assert.match(stdout, /EDNS: version: 0, flags:; udp: 1232/);
    assert.doesNotMatch(stdout, /recursion requested but|malformed|bad/i);
  });

  it("DNS-018: what is too large for UDP comes truncated, and whole over TCP", async () => {
    await using cluster = await filled();
    await cluster.put(endpointSliceKind, bigSlice);
    const name = "db.default.svc.cluster.local";
    // dig asks again over TCP by itself when it sees TC.
    assert.equal((await cluster.dig(name)).length, 1000);
    const cut = await cluster.dig("+ignore", "+bufsize=1232", name);
    assert.ok(cut.length > 70 && cut.length < 80, String(cut.length));
  });

  it("DNS-011, DNS-029: forwards other names, and follows an ExternalName there", async () => {
    await using cluster = await filled((query) => ({
      answers: [a(query.question?.name.join(".") ?? "", "192.0.2.7")],
    }));
    assert.deepEqual(await cluster.dig("www.example.com"), ["www.example.com. 60 IN A 192.0.2.7"]);
    assert.deepEqual(await cluster.dig("outside.default.svc.cluster.local"), [
      "outside.default.svc.cluster.local. 5 IN CNAME api.example.com.",
      "api.example.com. 60 IN A 192.0.2.7",
    ]);
  });

  it("RFC 6761: localhost answers with nobody to ask", async () => {
    await using cluster = await filled();
    assert.deepEqual(await cluster.dig("localhost"), ["localhost. 5 IN A 127.0.0.1"]);
    assert.equal(cluster.upstream.queries.length, 0);
  });

  it("answers what dig sends in one TCP connection, question after question", async () => {
    await using cluster = await filled();
    const names = ["web.default.svc.cluster.local", "db.default.svc.cluster.local"];
    const lines = await cluster.dig("+tcp", "+keepopen", "+answer", ...names);
    assert.equal(lines.length, 3);
  });

  it("says BADVERS to EDNS of the future, and NOTIMP to other opcodes", async () => {
    await using cluster = await filled();
    const status = async (...args: string[]): Promise<string | undefined> => {
      const flags = ["@127.0.0.1", "-p", String(cluster.server.port), "+noednsneg", ...args];
      const { stdout } = await run("dig", [...flags, "web.default.svc.cluster.local"]);
      return /status: (\w+)/.exec(stdout)?.[1];
    };
    assert.equal(await status("+edns=1"), "BADVERS");
    assert.equal(await status("+opcode=notify"), "NOTIMP");
    assert.equal(await status("-c", "CH"), "REFUSED");
  });
});

describe("startDns()", () => {
  it("DNS-028: says SERVFAIL until the first sync, then answers", async () => {
    await using cluster = await startCluster();
    const name = "web.default.svc.cluster.local";
    assert.equal((await ask(cluster.server, name, undefined)).rcode, RCODE.SERVFAIL);
    cluster.api.openGate();
    await cluster.put(namespaceKind, namespace);
    await cluster.put(endpointSliceKind, slice("web", []));
    await cluster.put(serviceKind, web);
    assert.equal((await ask(cluster.server, name, undefined)).answers.length, 1);
  });

  it("DNS-031: the next question sees a change, and a new Service after an NXDOMAIN", async () => {
    await using cluster = await filled();
    const name = "late.default.svc.cluster.local";
    assert.equal((await ask(cluster.server, name, undefined)).rcode, RCODE.NXDOMAIN);
    await cluster.put(serviceKind, { ...web, metadata: { ...web.metadata, name: "late" } });
    assert.equal((await ask(cluster.server, name, undefined)).rcode, RCODE.NOERROR);
    await cluster.put(endpointSliceKind, slice("db", ["10.112.0.7"]));
    const answer = await ask(cluster.server, "db.default.svc.cluster.local", undefined);
    assert.deepEqual(
      answer.answers.map(({ data }) => data),
      [{ kind: "A", address: "10.112.0.7" }],
    );
  });

  it("DNS-018: keeps to 512 bytes without EDNS, and to 1232 whatever a client says", async () => {
    await using cluster = await filled();
    await cluster.put(endpointSliceKind, bigSlice);
    const name = "db.default.svc.cluster.local";
    const plain = await ask(cluster.server, name, undefined);
    assert.deepEqual([plain.truncated, plain.edns, plain.answers.length], [true, undefined, 29]);
    const edns = { udpBytes: 65_535, dnssecOk: true, version: 0 };
    const large = await ask(cluster.server, name, edns);
    assert.deepEqual(large.edns, { udpBytes: 1232, dnssecOk: true, version: 0 });
    assert.deepEqual([large.truncated, large.answers.length], [true, 73]);
  });

  it("DNS-011: the CNAME stays when its target does not exist, with the target's code", async () => {
    await using cluster = await filled();
    const answer = await ask(cluster.server, "outside.default.svc.cluster.local", undefined);
    assert.equal(answer.rcode, RCODE.NXDOMAIN);
    assert.deepEqual(
      answer.answers.map(({ data }) => data.kind),
      ["CNAME"],
    );
  });

  it("DNS-016: repeats the letters of the question", async () => {
    await using cluster = await filled();
    const answer = await ask(cluster.server, "WeB.dEfault.svc.clusTer.local", undefined);
    assert.equal(answer.question?.name.join("."), "WeB.dEfault.svc.clusTer.local");
    assert.equal(answer.answers[0]?.name.join("."), "WeB.dEfault.svc.clusTer.local");
  });

  it("counts questions and answers by CoreDNS's names", async () => {
    await using cluster = await filled();
    await ask(cluster.server, "web.default.svc.cluster.local", undefined);
    await ask(cluster.server, "example.com", undefined);
    const server = `server="dns://127.0.0.1:${String(cluster.server.port)}"`;
    const text = cluster.metrics.render();
    for (const line of [
      `coredns_dns_requests_total{${server},zone=".",view="",proto="udp",family="1",type="A"} 2`,
      `coredns_dns_responses_total{${server},zone=".",view="",rcode="NOERROR",plugin="kubernetes"} 1`,
      `coredns_dns_responses_total{${server},zone=".",view="",rcode="NXDOMAIN",plugin="forward"} 1`,
      `coredns_dns_request_duration_seconds_count{${server},zone=".",view=""} 2`,
    ]) {
      assert.ok(text.includes(line), `${line}\nnot in\n${text}`);
    }
  });

  it("survives garbage on UDP, and answers what comes after it", async () => {
    await using cluster = await filled();
    const socket = createSocket("udp4");
    for (let i = 0; i < 300; i++) {
      const garbage = Uint8Array.from({ length: i }, (_, at) => (at * 31 + i * 17) & 0xff);
      socket.send(garbage, cluster.server.port, "127.0.0.1");
    }
    const answer = await ask(cluster.server, "web.default.svc.cluster.local", undefined);
    assert.equal(answer.answers.length, 1);
    socket.close();
  });

  it("names the address that cannot be bound", async () => {
    await using cluster = await filled();
    const taken = { address: ip("127.0.0.1"), port: cluster.server.port };
    const options = { listen: taken, reverseCidrs: [], upstreams: [] };
    const deps = { informers: cluster.informers, log: silent };
    await assert.rejects(startDns(deps, options), {
      code: "EADDRINUSE",
      message: /^cannot serve DNS on 127\.0\.0\.1:\d+: the port is in use;/,
    });
  });
});
