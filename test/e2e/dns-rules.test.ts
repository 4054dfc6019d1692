import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

/** A headless Service, or one of another kind, with endpoints of its own in slices. */
function service(name: string, spec: object): object {
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

const HTTP = { name: "http", port: 80 };

function headless(name: string, spec: object = { ports: [HTTP] }): object {
  return service(name, { clusterIP: "None", ...spec });
}

function slice(serviceName: string, endpoints: readonly object[], spec: object = {}): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      generateName: `${serviceName}-`,
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints,
    ...spec,
  };
}

const READY = { conditions: { ready: true } };
const IDLE = [process.execPath, "-e", "setInterval(() => undefined, 60_000)"];

const OBJECTS = [
  headless("quiet"),
  slice("quiet", [{ addresses: ["10.1.0.1"], conditions: { ready: false } }]),
  headless("nobody"),
  headless("peers"),
  headless("ids"),
  slice("ids", [{ addresses: ["10.1.0.2"], ...READY }]),
  slice("ids", [{ addresses: ["2001:db8::a:b"], ...READY }], { addressType: "IPv6" }),
  slice("ids", [{ addresses: ["2001:db8:1::"], ...READY }], { addressType: "IPv6" }),
  headless("twins"),
  slice("twins", [
    { addresses: ["10.1.0.3"], hostname: "twin", ...READY },
    { addresses: ["10.1.0.4"], hostname: "twin", ...READY },
  ]),
  service("outside", { type: "ExternalName", externalName: "www.example.invalid" }),
  service("inside", { type: "ExternalName", externalName: "plain.default.svc.cluster.local" }),
  service("inside-twice", {
    type: "ExternalName",
    externalName: "inside.default.svc.cluster.local",
  }),
  service("plain", { ports: [HTTP, { name: "dns", protocol: "UDP", port: 53 }] }),
  slice("plain", [{ addresses: ["10.1.0.5"], hostname: "first", ...READY }]),
  service("lonely", { ports: [HTTP], selector: { app: "nobody" } }),
  headless("ending"),
  slice("ending", [
    { addresses: ["10.1.0.6"], conditions: { ready: true } },
    { addresses: ["10.1.0.7"], conditions: { ready: false, serving: true, terminating: true } },
  ]),
  headless("no-ports", {}),
  slice("no-ports", [{ addresses: ["10.1.0.8"], hostname: "only", ...READY }], { ports: [] }),
  headless("many"),
  slice(
    "many",
    Array.from({ length: 4 }, (_, i) => ({ addresses: [`10.1.1.${String(i)}`], ...READY })),
  ),
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "peer-pod", labels: { app: "peers" } },
    spec: {
      hostname: "peer-0",
      subdomain: "peers-by-selector",
      containers: [{ name: "idle", command: IDLE }],
    },
  },
  headless("peers-by-selector", { ports: [HTTP], selector: { app: "peers" } }),
];

/** What dig saw of one question. */
interface Seen {
  readonly status: string;
  /** Type and data of each record, in order. */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
}

describe("DNS of a running cluster", { skip: missing("dig", "kubectl") }, () => {
  let home: Home;
  let up: Up;

  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    const list = { apiVersion: "v1", kind: "List", items: OBJECTS };
    await up.kubectl("create -f -", JSON.stringify(list));
    await up.kubectl("wait pod --all --for=condition=Ready --timeout=20s");
    // Objects come in order, and those of one kind at once: the last of them are known.
    await eventually("all is known", async () => (await ask("many")).answer.length === 4);
    await eventually("the Pod is known", async () => {
      return (await ask("peers-by-selector")).answer.length === 1;
    });
  });

  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** `name` is below default.svc.cluster.local unless it ends with a dot. */
  const ask = async (name: string, type = "A", ...more: readonly string[]): Promise<Seen> => {
    const full = name.endsWith(".") ? name : `${name}.default.svc.cluster.local.`;
    const text = await up.dig([
      "+noall",
      "+comments",
      "+answer",
      "+authority",
      ...more,
      full,
      type,
    ]);
    const section = (title: string): readonly string[] =>
      (text.split(`;; ${title} SECTION:\n`)[1]?.split("\n\n")[0] ?? "")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith(";"))
        .map((line) => line.split(/\s+/).slice(3).join(" "));
    return {
      status: /status: (\w+)/.exec(text)?.[1] ?? text,
      answer: section("ANSWER"),
      authority: section("AUTHORITY"),
    };
  };
  const isDenied = (seen: Seen): void => {
    assert.equal(seen.status, "NXDOMAIN");
    assert.deepEqual(seen.answer, []);
    assert.match(seen.authority.join(), /^SOA ns\.dns\.cluster\.local\. /);
  };
  const isEmpty = (seen: Seen): void => {
    assert.equal(seen.status, "NOERROR");
    assert.deepEqual(seen.answer, []);
    assert.match(seen.authority.join(), /^SOA ns\.dns\.cluster\.local\. /);
  };
  const clusterIp = (name: string): Promise<string> =>
    up.kubectl(`get service ${name} -o jsonpath={.spec.clusterIP}`);

  it("DNS-005: a headless Service without ready endpoints does not exist, for any type", async () => {
    for (const name of ["quiet", "nobody"])
      for (const type of ["A", "AAAA", "SRV", "TXT"]) isDenied(await ask(name, type));
    isDenied(await ask("10-1-0-1.quiet"));
  });

  it("DNS-007: a Pod with hostname and subdomain has a name of its own", async () => {
    const ip = await up.kubectl("get pod peer-pod -o jsonpath={.status.podIP}");
    assert.deepEqual((await ask("peer-0.peers-by-selector")).answer, [`A ${ip}`]);
    const target = "peer-0.peers-by-selector.default.svc.cluster.local.";
    const srv = await ask("_http._tcp.peers-by-selector", "SRV");
    assert.deepEqual(srv.answer, [`SRV 0 100 80 ${target}`]);
    const reverse = ip.split(".").toReversed().join(".");
    assert.deepEqual((await ask(`${reverse}.in-addr.arpa.`, "PTR")).answer, [`PTR ${target}`]);
    // The Pod's own name is none, and so is its address where it has a host name.
    isDenied(await ask("peer-pod.peers-by-selector"));
    isDenied(await ask(`${ip.replaceAll(".", "-")}.peers-by-selector`));
  });

  it("DNS-008: an endpoint without host name is called by its address", async () => {
    assert.deepEqual((await ask("10-1-0-2.ids")).answer, ["A 10.1.0.2"]);
    assert.deepEqual((await ask("2001-db8--a-b.ids", "AAAA")).answer, ["AAAA 2001:db8::a:b"]);
    // A label cannot end with a dash.
    assert.deepEqual((await ask("2001-db8-1--0.ids", "AAAA")).answer, ["AAAA 2001:db8:1::"]);
    const targets = (await ask("_http._tcp.ids", "SRV")).answer.map(
      (record) => record.split(" ").at(-1)?.split(".")[0] ?? "",
    );
    assert.deepEqual(targets.sort(), ["10-1-0-2", "2001-db8--a-b", "2001-db8-1--0"]);
  });

  it("DNS-009: endpoints with the same host name are all in its answer", async () => {
    const { answer } = await ask("twin.twins");
    assert.deepEqual([...answer].sort(), ["A 10.1.0.3", "A 10.1.0.4"]);
  });

  it("DNS-013: below an ExternalName Service there is nothing, and it has no SRV", async () => {
    isDenied(await ask("below.outside"));
    isDenied(await ask("_http._tcp.outside", "SRV"));
    isEmpty(await ask("outside", "SRV"));
  });

  it("DNS-020: svc, pod and namespaces exist without records, other namespaces do not", async () => {
    for (const parent of ["svc", "pod", "default.svc", "kube-system.svc", "default.pod"])
      for (const type of ["A", "AAAA", "SRV", "SOA"])
        isEmpty(await ask(`${parent}.cluster.local.`, type));
    isDenied(await ask("nowhere.svc.cluster.local."));
    isDenied(await ask("nowhere.pod.cluster.local."));
  });

  it("DNS-024: names with too many labels do not exist", async () => {
    for (const name of ["a.b.c.plain", "a._http._tcp.plain", "a.first.plain", "a.b.twin.twins"])
      isDenied(await ask(name));
    isDenied(await ask("1.10-1-0-2.default.pod.cluster.local."));
    isDenied(await ask("a.dns-version.cluster.local.", "TXT"));
  });

  it("DNS-025, DNS-026: SRV of a Service's name lists all its ports, with weights that share 100", async () => {
    const plain = "plain.default.svc.cluster.local.";
    const { answer } = await ask("plain", "SRV");
    assert.deepEqual([...answer].sort(), [`SRV 0 50 53 ${plain}`, `SRV 0 50 80 ${plain}`]);
    assert.deepEqual((await ask("_http._tcp.plain", "SRV")).answer, [`SRV 0 100 80 ${plain}`]);
    const many = await ask("_http._tcp.many", "SRV");
    assert.deepEqual(
      [...many.answer].sort(),
      [0, 1, 2, 3].map((i) => `SRV 0 25 8080 10-1-1-${String(i)}.many.default.svc.cluster.local.`),
    );
  });

  it("DNS-032: an endpoint that terminates is not listed", async () => {
    assert.deepEqual((await ask("ending")).answer, ["A 10.1.0.6"]);
    isDenied(await ask("10-1-0-7.ending"));
    assert.equal((await ask("7.0.1.10.in-addr.arpa.", "PTR")).answer.length, 0);
    assert.equal((await ask("6.0.1.10.in-addr.arpa.", "PTR")).answer.length, 1);
  });

  it("DNS-033: the first of several addresses changes from answer to answer", async () => {
    const firsts = new Set<string>();
    await eventually("each was the first", async () => {
      const { answer } = await ask("many");
      assert.equal(new Set(answer).size, 4);
      firsts.add(answer[0] ?? "");
      return firsts.size === 4;
    });
  });

  it("DNS-034: a ClusterIP Service without endpoints has its name", async () => {
    assert.deepEqual((await ask("lonely")).answer, [`A ${await clusterIp("lonely")}`]);
  });

  it("DNS-037: a headless Service without ports has addresses and names, but no SRV", async () => {
    assert.deepEqual((await ask("no-ports")).answer, ["A 10.1.0.8"]);
    assert.deepEqual((await ask("only.no-ports")).answer, ["A 10.1.0.8"]);
    isEmpty(await ask("no-ports", "SRV"));
    isDenied(await ask("_http._tcp.no-ports", "SRV"));
  });

  it("DNS-038: an ExternalName that is another Service's name leads to it, over several", async () => {
    const ip = await clusterIp("plain");
    assert.deepEqual((await ask("inside-twice")).answer, [
      "CNAME inside.default.svc.cluster.local.",
      "CNAME plain.default.svc.cluster.local.",
      `A ${ip}`,
    ]);
  });

  it("DNS-039: endpoints of a Service with a cluster IP have names too", async () => {
    assert.deepEqual((await ask("first.plain")).answer, ["A 10.1.0.5"]);
  });

  it("DNS-054: a Pod's own DNS needs a server with policy None, and has bounds", async () => {
    const pod = (dnsConfig: object | undefined, dnsPolicy = "None"): string =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { generateName: "own-dns-" },
        spec: { dnsPolicy, dnsConfig, containers: [{ name: "idle", command: IDLE }] },
      });
    const refused = async (dnsConfig: object | undefined, message: RegExp): Promise<void> => {
      assert.match(await up.kubectlFails("create --dry-run=server -f -", pod(dnsConfig)), message);
    };
    const nameservers = ["192.0.2.1"];
    await refused(undefined, /spec\.dnsConfig: Required value: must provide `dnsConfig` when/);
    await refused(
      {},
      /spec\.dnsConfig\.nameservers: Required value: must provide at least one DNS/,
    );
    const four = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    await refused({ nameservers: four }, /must not have more than 3 nameservers/);
    const domains = (count: number, length: number): readonly string[] =>
      Array.from({ length: count }, (_, i) => `d${String(i)}.${"a".repeat(length)}`);
    await refused(
      { nameservers, searches: domains(33, 3) },
      /spec\.dnsConfig\.searches: Invalid value: .*must not have more than 32 search paths/,
    );
    await refused(
      { nameservers, searches: domains(32, 63) },
      /must not have more than 2048 characters \(including spaces\) in the search list/,
    );
    await refused(
      { nameservers, searches: ["no domain"] },
      /spec\.dnsConfig\.searches\[0\]: Invalid/,
    );
    await refused(
      { nameservers, options: [{ value: "2" }] },
      /spec\.dnsConfig\.options\[0\]: Required/,
    );
    const most = { nameservers: four.slice(1), searches: domains(32, 50) };
    await up.kubectl("create --dry-run=server -f -", pod(most));
  });

  it("DNS-056: search paths may have underscores, and be a single dot", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "odd-searches" },
      spec: {
        dnsConfig: { searches: ["_sip._tcp.example.com", ".", "example.org."] },
        containers: [{ name: "idle", command: IDLE }],
      },
    };
    await up.kubectl("create --dry-run=server -f -", JSON.stringify(pod));
  });
});
