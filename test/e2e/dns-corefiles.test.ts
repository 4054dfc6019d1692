import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseCorefile } from "../../src/core/dns/corefile/corefile.ts";
import { DEFAULT_COREFILES } from "../dns/default-corefiles.ts";
import { a, startUpstream } from "../dns/fake-upstream.ts";
import type { FakeUpstream } from "../dns/fake-upstream.ts";
import { freePort, startDns } from "./dns-program.ts";
import type { Dns } from "./dns-program.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { missing } from "./tools.ts";

const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{name: http, port: 80}]}
`;
const NAME = "web.default.svc.cluster.local";

type Name = keyof typeof DEFAULT_COREFILES;

describe("parseCorefile()", () => {
  for (const [name, text] of Object.entries(DEFAULT_COREFILES)) {
    it(`reads the Corefile of ${name} as it is`, () => {
      // What is imported there is nothing as long as nobody adds to it.
      assert.ok(parseCorefile(text, { env: {}, files: () => [] }).length > 0);
    });
  }
});

describe("portolan dns with usual Corefiles", { skip: missing("dig", "kubectl") }, () => {
  let home: Home;
  let up: Up;
  let upstream: FakeUpstream;
  let ip: string;
  let folder: string;

  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    upstream = await startUpstream(({ question }) => {
      const asked = question?.name.join(".") ?? "";
      return asked.endsWith("example.org") ? { answers: [a(asked, "192.0.2.7")] } : { rcode: 3 };
    });
    await up.kubectl(["apply", "-f", "-"], WEB);
    ip = await up.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    folder = join(home.path, "coredns");
    await mkdir(join(folder, "custom"), { recursive: true });
  });

  after(async () => {
    await upstream[Symbol.asyncDispose]();
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** The server of a usual Corefile, with ports, paths and upstream servers of this test in place of its own. */
  const start = async (
    name: Name,
    places: Readonly<Record<string, string>> = {},
  ): Promise<Dns & { readonly http: string }> => {
    const http = `127.0.0.1:${String(await freePort())}`;
    const port = String(await freePort());
    let text: string = DEFAULT_COREFILES[name];
    for (const [from, to] of Object.entries(places)) text = text.replaceAll(from, to);
    text = text
      .replaceAll(/:(?:53|5353) \{/g, `:${port} {`)
      .replaceAll(/^( *)(health|ready|prometheus)\b[^{\n]*/gm, `$1$2 ${http} `)
      .replaceAll(/lameduck \d+s/g, "lameduck 10ms")
      .replaceAll("/etc/resolv.conf", `127.0.0.1:${String(upstream.port)}`)
      .replaceAll("/etc/coredns/", `${folder}/`);
    const corefile = join(folder, `Corefile.${name}`);
    await writeFile(corefile, text);
    return { ...(await startDns(home, up, ["--corefile", corefile])), http };
  };

  const servesTheUsual = async (dns: Dns & { readonly http: string }): Promise<void> => {
    const [record = ""] = await dns.ask(NAME);
    assert.match(record, new RegExp(`^${NAME.replaceAll(".", "\\.")}\\. \\d+ IN A ${ip}$`));
    assert.deepEqual(await dns.ask("-x", ip), [
      `${ip.split(".").toReversed().join(".")}.in-addr.arpa. ${/ (\d+) IN/.exec(record)?.[1] ?? ""} IN PTR ${NAME}.`,
    ]);
    const outside = `${String(upstream.queries.length)}.example.org`;
    assert.deepEqual(await dns.ask(outside), [`${outside}. 60 IN A 192.0.2.7`]);
    assert.equal((await fetch(`http://${dns.http}/health`)).status, 200);
    const { status } = await fetch(`http://${dns.http}/metrics`);
    assert.equal(status, 200);
  };

  /** Threads answer what was asked for before. */
  const answersInThreads = async (dns: Dns & { readonly http: string }): Promise<boolean> => {
    await dns.ask(NAME);
    const metrics = await (await fetch(`http://${dns.http}/metrics`)).text();
    return Number(/^portolan_dns_compiled_answers_total (\d+)$/m.exec(metrics)?.[1]) > 0;
  };

  for (const name of ["kubeadm", "helm", "eks", "kops", "digitalocean"] as const) {
    it(`serves with the Corefile of ${name}`, async () => {
      await using dns = await start(name);
      await servesTheUsual(dns);
      assert.ok(await answersInThreads(dns));
      assert.equal((await fetch(`http://${dns.http}/ready`)).status, 200);
    });
  }

  it("serves with the Corefile of minikube: a host of its own, and a log", async () => {
    await using dns = await start("minikube");
    await servesTheUsual(dns);
    assert.deepEqual(await dns.ask("host.minikube.internal"), [
      "host.minikube.internal. 3600 IN A 192.168.49.1",
    ]);
    assert.match(dns.stdout(), /"A IN host\.minikube\.internal\. udp/);
    // The log wants to hear of each question.
    assert.equal(await answersInThreads(dns), false);
  });

  it("serves with the Corefile of k3s: hosts of a file, and what is added in files", async () => {
    await writeFile(join(folder, "NodeHosts"), "192.0.2.21 node-1\n192.0.2.22 node-2\n");
    const custom = join(folder, "custom");
    await writeFile(join(custom, "log.override"), 'log . "{name} {rcode}"\n');
    const port = String(await freePort());
    await writeFile(
      join(custom, "corp.server"),
      `corp.example:${port} {\n  template IN A {\n    answer "{{ .Name }} 7 IN A 192.0.2.88"\n  }\n}\n`,
    );
    await using dns = await start("k3s");
    await servesTheUsual(dns);
    assert.deepEqual(await dns.ask("node-2"), ["node-2. 60 IN A 192.0.2.22"]);
    assert.match(dns.stdout(), /^\[INFO\] node-2\. NOERROR$/m);
    assert.deepEqual(await dns.ask("-p", port, "x.corp.example"), [
      "x.corp.example. 7 IN A 192.0.2.88",
    ]);
    const metrics = await (await fetch(`http://${dns.http}/metrics`)).text();
    assert.match(metrics, /^coredns_hosts_entries 2$/m);
    assert.match(metrics, /^coredns_hosts_reload_timestamp_seconds 1\d{9}/m);
    // Others start without what was added here.
    await writeFile(join(custom, "log.override"), "");
    await writeFile(join(custom, "corp.server"), "");
  });

  it("answers in threads with the Corefile of k3s, but for names that are its hosts'", async () => {
    await writeFile(join(folder, "NodeHosts"), `192.0.2.21 node-1\n192.0.2.22 none.${NAME}\n`);
    await using dns = await start("k3s");
    await servesTheUsual(dns);
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await dns.ask(`none.${NAME}`), [`none.${NAME}. 60 IN A 192.0.2.22`]);
    }
    assert.ok(await answersInThreads(dns));
  });

  it("serves with the Corefile of AKS: names of the cloud that are nobody's are denied here", async () => {
    await using dns = await start("aks");
    await servesTheUsual(dns);
    assert.ok(await answersInThreads(dns));
    const before = upstream.queries.length;
    assert.deepEqual(await dns.ask("a.b.c.d.internal.cloudapp.net"), ["NXDOMAIN"]);
    assert.deepEqual(await dns.ask("vm.reddog.microsoft.com", "AAAA"), ["NXDOMAIN"]);
    assert.equal(upstream.queries.length, before);
    // One that may be there is asked for.
    await dns.ask("vm.internal.cloudapp.net");
    assert.equal(upstream.queries.at(-1)?.query.question?.name[0], "vm");
  });

  it("serves with the Corefile of OpenShift: says which server it is", async () => {
    await using dns = await start("openshift");
    await servesTheUsual(dns);
    assert.ok(await answersInThreads(dns));
    assert.deepEqual(await dns.ask("CH", "TXT", "hostname.bind"), [
      `hostname.bind. 0 CH TXT "${hostname()}"`,
    ]);
    assert.deepEqual(await dns.ask("CH", "TXT", "x.hostname.bind"), ["REFUSED"]);
  });

  it("serves with the Corefile of NodeLocal DNSCache: what it forwards is kept, and asked for by TCP", async () => {
    await using cluster = await startUpstream(({ question }, protocol) =>
      question?.type === 12
        ? { rcode: 3 }
        : {
            answers: [a(question?.name.join(".") ?? "", protocol === "tcp" ? ip : "192.0.2.1", 30)],
          },
    );
    await using dns = await start("nodeLocal", {
      "169.254.20.10": "127.0.0.1",
      "10.96.0.10": "127.53.0.10",
      "10.96.0.11": `127.0.0.1:${String(cluster.port)}`,
    });
    for (const at of ["127.0.0.1", "127.53.0.10"]) {
      const [record = ""] = await dns.ask(`@${at}`, NAME);
      assert.match(record, new RegExp(` IN A ${ip}$`), at);
    }
    const asked = cluster.queries.filter(({ query }) => query.question?.name.join(".") === NAME);
    assert.deepEqual(
      asked.map(({ protocol }) => protocol),
      ["tcp"],
    );
    assert.deepEqual(await dns.ask("www.example.org"), ["www.example.org. 60 IN A 192.0.2.7"]);
    assert.equal((await fetch(`http://${dns.http}/health`)).status, 200);
  });
});
