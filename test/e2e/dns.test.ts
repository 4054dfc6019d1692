import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freePort, startDns } from "./dns-program.ts";
import { makeHome, startPortolan, startUp } from "./portolan.ts";
import { eventually, run } from "./tools.ts";
import { a, startUpstream } from "../dns/fake-upstream.ts";

const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80}]
`;

describe("portolan up", () => {
  it("answers over TLS with a certificate of the cluster's authority, which dig checks", async () => {
    await using home = await makeHome();
    await using up = await startUp(home, { args: "--dns-tls-listen 127.0.0.1:0" });
    const port = up.dnsTls?.split(":")[1] ?? "";
    const ca = join(home.path, "ca.crt");
    // As every namespace has it, for its Pods.
    const data = await up.kubectl("get configmap kube-root-ca.crt -o jsonpath={.data.ca\\.crt}");
    await writeFile(ca, `${data}\n`);
    const name = "kubernetes.default.svc.cluster.local";
    const ask = async (...more: readonly string[]): Promise<string> => {
      const tls = ["+tls", `+tls-ca=${ca}`, ...more];
      const flags = ["+short", "+time=2", "+tries=1"];
      const asked = run("dig", ["@127.0.0.1", `-p${port}`, ...tls, ...flags, name]);
      return (await asked.catch((error: unknown) => ({ stdout: String(error) }))).stdout.trim();
    };
    const ip = await up.kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}");
    assert.equal(await ask("+tls-hostname=kube-dns.kube-system.svc.cluster.local"), ip);
    assert.equal(await ask(), ip);
    assert.notEqual(await ask("+tls-hostname=somebody.else"), ip);
  });

  const mayBind53 = process.getuid?.() === 0;
  const skip = mayBind53 ? false : "this user may not bind port 53";

  it("DNS over TLS is a port of the Service kube-dns where it is served, and gone where not", {
    skip,
  }, async () => {
    await using home = await makeHome();
    const get = "get service -n kube-system kube-dns -o";
    const name = "kubernetes.default.svc.cluster.local";
    const data = { dataDir: join(home.path, "data") };
    {
      await using up = await startUp(home, { args: "--dns-tls-listen 127.0.0.1:0", ...data });
      assert.equal(
        await up.kubectl(`${get} jsonpath={.spec.ports[*].name}`),
        "dns dns-tcp metrics dns-tls",
      );
      const port = await up.kubectl(`${get} jsonpath={.spec.ports[?(@.name=="dns-tls")].port}`);
      assert.equal(port, "853");
      const ca = join(home.path, "ca.crt");
      const pem = await up.kubectl("get configmap kube-root-ca.crt -o jsonpath={.data.ca\\.crt}");
      await writeFile(ca, `${pem}\n`);
      const slice = "get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns -o";
      const address = await up.kubectl(`${slice} jsonpath={.items[0].endpoints[0].addresses[0]}`);
      const nodePort = await up.kubectl(
        `${slice} jsonpath={.items[0].ports[?(@.name=="dns-tls")].port}`,
      );
      const ask = async (at: string, on: string, host: string): Promise<string> => {
        const tls = ["+tls", `+tls-ca=${ca}`, `+tls-hostname=${host}`];
        const flags = ["+short", "+time=2", "+tries=1"];
        const asked = run("dig", [`@${at}`, `-p${on}`, ...tls, ...flags, name]);
        return (await asked.catch((error: unknown) => ({ stdout: String(error) }))).stdout.trim();
      };
      const ip = await up.kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}");
      assert.equal(await ask(address, nodePort, "kube-dns.kube-system.svc"), ip);
      // Through the cluster IP, whose certificate holds for the address as well.
      const clusterIp = await up.kubectl(`${get} jsonpath={.spec.clusterIP}`);
      await eventually("the proxy serves it", async () => {
        return (await ask(clusterIp, "853", clusterIp)) === ip;
      });
    }
    await using up = await startUp(home, data);
    await eventually("the port is gone", async () => {
      return (await up.kubectl(`${get} jsonpath={.spec.ports[*].name}`)) === "dns dns-tcp metrics";
    });
  });

  it("DNS-061: its DNS server is the Service kube-dns, which answers at its cluster IP", {
    skip,
  }, async () => {
    await using home = await makeHome();
    await using up = await startUp(home);
    const get = "get service -n kube-system kube-dns";
    assert.match(
      await up.kubectl(`${get} --no-headers`),
      /^kube-dns +ClusterIP +127\.\S+ +<none> +53\/UDP,53\/TCP,9153\/TCP /,
    );
    assert.equal(await up.kubectl(`${get} -o jsonpath={.metadata.labels.k8s-app}`), "kube-dns");
    const ip = await up.kubectl(`${get} -o jsonpath={.spec.clusterIP}`);
    const ask = async (...args: string[]): Promise<string> =>
      (await run("dig", [`@${ip}`, "+short", "+time=2", "+tries=1", ...args])).stdout.trim();
    const name = "kube-dns.kube-system.svc.cluster.local";
    await eventually("the proxy serves it", async () => (await ask(name)) === ip);
    assert.equal(await ask("+tcp", name), ip);
    const metrics = await (await fetch(`http://${ip}:9153/metrics`)).text();
    assert.match(metrics, /^coredns_dns_requests_total\{.*type="A"\} [1-9]/m);
    assert.doesNotMatch(metrics, /^portolan_/m);
    // Whoever deletes it gets it back.
    await up.kubectl("delete service -n kube-system kube-dns");
    await eventually("it is there again", async () => (await up.tryKubectl(get)).code === 0);
  });
});

describe("portolan dns", () => {
  it("answers for a cluster by its kubeconfig alone, and sees a new Service at once", async () => {
    await using home = await makeHome();
    await using up = await startUp(home);
    await using dns = await startDns(home, up, []);
    const name = "web.default.svc.cluster.local";
    assert.deepEqual(await dns.ask(name), ["NXDOMAIN"]);
    await up.kubectl(["apply", "-f", "-"], WEB);
    const ip = await up.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    await eventually("the Service has its name", async () => {
      const answer = await dns.ask(name);
      return answer[0] === `${name}. 5 IN A ${ip}`;
    });
    assert.deepEqual(await dns.ask("-x", ip), [
      `${ip.split(".").toReversed().join(".")}.in-addr.arpa. 5 IN PTR ${name}.`,
    ]);
    assert.equal((await dns.end("SIGTERM")).code, 0);
  });

  it("reads a Corefile: forwarding, cache, hosts, rewrite, log, health, ready, metrics, transfer, reload", async () => {
    await using home = await makeHome();
    await using up = await startUp(home);
    // Whatever domains this host has its names completed with, they have no such name.
    await using upstream = await startUpstream(({ question }) =>
      question?.name.join(".") === "www.example.org"
        ? { answers: [a("www.example.org", "192.0.2.7", 60)] }
        : { rcode: 3 },
    );
    const corefile = join(home.path, "Corefile");
    const text = (more: string): string => `(shared) {
  errors
  log
}
. {
  import shared
  health {$HTTP} {
    lameduck 100ms
  }
  ready {$HTTP}
  prometheus {$HTTP}
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    ttl 7
    fallthrough in-addr.arpa ip6.arpa
  }
  hosts {
    192.0.2.9 printer.corp.example
    fallthrough
  }
  rewrite name suffix .corp.internal .svc.cluster.local
  autopath @kubernetes
  forward . 127.0.0.1:${String(upstream.port)}
  cache 30
  loop
  reload 2s 1s
  loadbalance
  transfer {
    to 127.0.0.1
  }
  ${more}
}
`;
    await writeFile(corefile, text(""));
    const http = `127.0.0.1:${String(await freePort())}`;
    await up.kubectl(["apply", "-f", "-"], WEB);
    const ip = await up.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    await using dns = await startDns(home, up, ["--corefile", corefile], { HTTP: http });
    const name = "web.default.svc.cluster.local";
    assert.deepEqual(await dns.ask(name), [`${name}. 7 IN A ${ip}`]);
    assert.deepEqual(await dns.ask("web.default.corp.internal"), [
      `web.default.corp.internal. 7 IN A ${ip}`,
    ]);
    assert.deepEqual(await dns.ask("printer.corp.example"), [
      "printer.corp.example. 3600 IN A 192.0.2.9",
    ]);
    assert.deepEqual(await dns.ask("www.example.org"), ["www.example.org. 60 IN A 192.0.2.7"]);
    const completed = "www.example.org.default.svc.cluster.local";
    assert.deepEqual(await dns.ask(completed), [
      `${completed}. 7 IN CNAME www.example.org.`,
      "www.example.org. 60 IN A 192.0.2.7",
    ]);
    const zone = await dns.ask("AXFR", "cluster.local");
    assert.ok(zone.includes(`${name}. 7 IN A ${ip}`), zone.join("\n"));
    assert.match(zone.at(-1) ?? "", / IN SOA ns\.dns\.cluster\.local\./);
    assert.match(
      dns.stdout(),
      /^\[INFO\] 127\.0\.0\.1:\d+ - \d+ "A IN www\.example\.org\. udp \d+ false 1232" NOERROR qr,rd,ra(?:,ad)? \d+ 0\.\d+s$/m,
    );
    const get = (path: string): Promise<Response> => fetch(`http://${http}${path}`);
    assert.equal((await get("/health")).status, 200);
    assert.equal((await get("/ready")).status, 200);
    const metrics = await (await get("/metrics")).text();
    for (const wanted of [
      /^coredns_dns_requests_total\{.*zone="\.".*type="A"\} [1-9]/m,
      /^coredns_cache_entries\{.*type="success".*\} 1$/m,
      /^coredns_proxy_request_duration_seconds_count\{proxy_name="forward",to="127\.0\.0\.1:\d+",rcode="NOERROR"\}/m,
      /^coredns_build_info\{/m,
    ]) {
      assert.match(metrics, wanted);
    }

    // A Corefile that cannot be used changes nothing; one that can does, without a question lost.
    await writeFile(`${corefile}.new`, text("nonsense"));
    await rename(`${corefile}.new`, corefile);
    await eventually("the bad Corefile is noticed", () => /nonsense/.test(dns.stderr()));
    assert.deepEqual(await dns.ask(name), [`${name}. 7 IN A ${ip}`]);
    await writeFile(`${corefile}.new`, text("").replace("ttl 7", "ttl 9"));
    await rename(`${corefile}.new`, corefile);
    await eventually("the new Corefile is in use", async () => {
      const [record = ""] = await dns.ask(name);
      assert.match(record, / IN A /);
      return record === `${name}. 9 IN A ${ip}`;
    });
    assert.equal((await dns.end("SIGTERM")).code, 0);
  });

  it("refuses a Corefile that it does not support by line and name, with exit code 2", async () => {
    await using home = await makeHome();
    const corefile = join(home.path, "Corefile");
    await writeFile(corefile, ".:0 {\n  kubernetes cluster.local {\n    zonal\n  }\n}\n");
    const ended = await startPortolan(home, ["dns", "--corefile", corefile]).exited();
    assert.equal(ended.code, 2);
    assert.match(
      ended.stderr,
      /^portolan: --corefile: ".*Corefile" line 3, column 5: kubernetes: zonal: is not supported; there are namespaces, [^\n]*\n$/,
    );
  });
});
