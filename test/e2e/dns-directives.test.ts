import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { a, startUpstream } from "../dns/fake-upstream.ts";
import type { FakeUpstream, Script } from "../dns/fake-upstream.ts";
import { freePort, startDns } from "./dns-program.ts";
import type { Dns } from "./dns-program.ts";
import { makeHome, startPortolan, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing, run } from "./tools.ts";

const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{name: http, port: 80}]}
`;
const NAME = "web.default.svc.cluster.local";

describe("portolan dns, directive by directive", { skip: missing("dig", "kubectl") }, () => {
  let home: Home;
  let up: Up;
  let ip: string;

  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    await up.kubectl(["apply", "-f", "-"], WEB);
    ip = await up.kubectl("get service web -o jsonpath={.spec.clusterIP}");
  });

  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  let started = 0;
  const start = async (text: string): Promise<Dns> => {
    started += 1;
    const corefile = join(home.path, `Corefile.${String(started)}`);
    await writeFile(corefile, text);
    return startDns(home, up, ["--corefile", corefile]);
  };
  const to = ({ port }: FakeUpstream): string => `127.0.0.1:${String(port)}`;
  const addresses = (records: readonly string[]): readonly string[] =>
    records.flatMap((record) => / IN A (\S+)$/.exec(record)?.[1] ?? []);

  it("acl: who may ask what, for the cluster's names as well, and each decision is counted", async () => {
    const http = `127.0.0.1:${String(await freePort())}`;
    await using dns = await start(`. {
  prometheus ${http}
  kubernetes cluster.local
  acl cluster.local {
    block type SRV
    filter type TXT net 127.0.0.0/8
    drop type HINFO
    allow net 127.0.0.1
    block
  }
}
`);
    assert.deepEqual(await dns.ask(NAME), [`${NAME}. 5 IN A ${ip}`]);
    assert.deepEqual(await dns.ask(NAME, "SRV"), ["REFUSED"]);
    assert.deepEqual(await dns.ask("dns-version.cluster.local", "TXT"), ["NOERROR"]);
    assert.deepEqual(await dns.ask("-b", "127.0.0.2", NAME), ["REFUSED"]);
    const [host = "", port = ""] = dns.address.split(":");
    const silent = await run("dig", [
      `@${host}`,
      `-p${port}`,
      "+time=1",
      "+tries=1",
      NAME,
      "HINFO",
    ]);
    assert.equal(silent.code, 9);
    const metrics = await (await fetch(`http://${http}/metrics`)).text();
    const labels = `server="dns://${host}:0",zone="\\.",view=""`;
    for (const [what, count] of [
      ["allowed", 1],
      ["blocked", 2],
      ["filtered", 1],
      ["dropped", 1],
    ] as const) {
      const sample = `^coredns_acl_${what}_requests_total\\{${labels}\\} ${String(count)}$`;
      assert.match(metrics, new RegExp(sample, "m"));
    }
  });

  it("rewrite: patterns, parts, types, times to live and codes", async () => {
    await using upstream = await startUpstream(({ question }) => {
      const asked = question?.name.join(".") ?? "";
      return asked === "broken.example" ? { rcode: 2 } : { answers: [a(asked, "192.0.2.7", 600)] };
    });
    await using dns = await start(`. {
  kubernetes cluster.local
  rewrite ttl suffix .short.example 10-30
  rewrite rcode exact broken.example SERVFAIL NXDOMAIN
  rewrite type MX A
  rewrite name regex ^([^.]+)[.]in[.]([^.]+)[.]$ {1}.{2}.svc.cluster.local
  rewrite name prefix old- new-
  rewrite stop {
    name substring .green. .blue.
    answer auto
  }
  forward . ${to(upstream)}
}
`);
    assert.deepEqual(await dns.ask("web.in.default"), [`web.in.default. 5 IN A ${ip}`]);
    assert.deepEqual(await dns.ask("old-a.example"), ["old-a.example. 600 IN A 192.0.2.7"]);
    assert.equal(upstream.queries.at(-1)?.query.question?.name[0], "new-a");
    assert.deepEqual(await dns.ask("x.green.example"), ["x.green.example. 600 IN A 192.0.2.7"]);
    assert.equal(upstream.queries.at(-1)?.query.question?.name[1], "blue");
    assert.deepEqual(await dns.ask("a.short.example"), ["a.short.example. 30 IN A 192.0.2.7"]);
    assert.deepEqual(await dns.ask("broken.example"), ["NXDOMAIN"]);
    await dns.ask("mail.example", "MX");
    assert.equal(upstream.queries.at(-1)?.query.question?.type, 1);
  });

  it("forward: the next one after a code, the best zone first, and connections in bounds", async () => {
    const says =
      (address: string): Script =>
      ({ question }) => {
        const name = question?.name.join(".") ?? "";
        return name.startsWith("only-second") && address !== "192.0.2.2"
          ? { rcode: 3 }
          : { answers: [a(name, address)] };
      };
    await using first = await startUpstream(says("192.0.2.1"));
    await using second = await startUpstream(says("192.0.2.2"));
    await using corp = await startUpstream(says("192.0.2.3"));
    await using dns = await start(`. {
  forward . ${to(first)} {
    next NXDOMAIN
    except corp.example
    force_tcp
    max_idle_conns 1
    max_age 1h
    max_connect_attempts 1
  }
  forward . ${to(second)}
  forward sub.corp.example ${to(corp)}
}
`);
    const ask = async (name: string): Promise<string> =>
      addresses(await dns.ask(name))[0] ?? "nothing";
    assert.equal(await ask("a.example"), "192.0.2.1");
    assert.equal(await ask("only-second.example"), "192.0.2.2");
    assert.equal(await ask("a.corp.example"), "192.0.2.2");
    assert.equal(await ask("a.sub.corp.example"), "192.0.2.3");
    assert.ok(first.queries.every(({ protocol }) => protocol === "tcp"));
  });

  it("loadbalance: ranges that are preferred, and weights of a file that changes", async () => {
    const all = ["192.0.2.1", "198.51.100.1", "203.0.113.1"];
    await using upstream = await startUpstream(({ question }) => ({
      answers: all.map((each) => a(question?.name.join(".") ?? "", each)),
    }));
    const weights = join(home.path, "weights");
    await writeFile(weights, "b.example\n192.0.2.1 1\n");
    await using dns = await start(`a.example {
  forward . ${to(upstream)}
  loadbalance {
    prefer 203.0.113.0/24 198.51.100.0/24
  }
}
b.example {
  forward . ${to(upstream)}
  loadbalance weighted ${weights} {
    reload 50ms
  }
}
`);
    assert.deepEqual(addresses(await dns.ask("a.example")), all.toReversed());
    const firsts = async (): Promise<string> => addresses(await dns.ask("b.example"))[0] ?? "";
    await writeFile(`${weights}.new`, "b.example\n203.0.113.1 255\n192.0.2.1 1\n198.51.100.1 1\n");
    await rename(`${weights}.new`, weights);
    // Without the new weights, eight times the same first address comes once in 2,000 times.
    await eventually("the heaviest comes first", async () => {
      for (let i = 0; i < 8; i++) if ((await firsts()) !== "203.0.113.1") return false;
      return true;
    });
    assert.equal(addresses(await dns.ask("b.example")).length, 3);
    await writeFile(`${weights}.new`, "b.example\n203.0.113.1 none\n");
    await rename(`${weights}.new`, weights);
    await eventually("that is said", () => /weights not usable.*line=2/.test(dns.stderr()));
  });

  it("bufsize, minimal and chaos: what an answer may have, and who gives it", async () => {
    await using upstream = await startUpstream(({ question }) => ({
      answers: Array.from({ length: 60 }, (_, i) =>
        a(question?.name.join(".") ?? "", `192.0.2.${String(i)}`),
      ),
    }));
    await using dns = await start(`. {
  bufsize 512
  minimal
  chaos "harbour 7" ann bob
  kubernetes cluster.local
  forward . ${to(upstream)}
}
`);
    const [host = "", port = ""] = dns.address.split(":");
    const dig = async (...args: string[]): Promise<string> =>
      (await run("dig", [`@${host}`, `-p${port}`, "+time=5", "+tries=1", ...args])).stdout;
    const many = await dig("+bufsize=4096", "+ignore", "many.example");
    assert.match(many, /flags: [a-z ]*\btc\b/);
    assert.ok(Number(/MSG SIZE\s+rcvd: (\d+)/.exec(many)?.[1]) <= 512, many);
    assert.equal(addresses(await dns.ask("many.example")).length, 60, "the rest comes over TCP");
    const srv = await dig(`_http._tcp.${NAME}`, "SRV");
    assert.match(srv, /ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1\b/);
    assert.deepEqual(await dns.ask("CH", "TXT", "version.bind"), [
      'version.bind. 0 CH TXT "harbour 7"',
    ]);
    assert.deepEqual(await dns.ask("CH", "TXT", "authors.bind"), [
      'authors.bind. 0 CH TXT "ann"',
      'authors.bind. 0 CH TXT "bob"',
    ]);
  });

  it("errors: failures of a sort are one line, with how many they were", async () => {
    await using upstream = await startUpstream(() => ({ rcode: 2 }));
    await using dns = await start(`. {
  errors {
    stacktrace
    consolidate 300ms "said SERVFAIL$" warning show_first
  }
  forward . ${to(upstream)}
}
`);
    for (let i = 0; i < 3; i++)
      assert.deepEqual(await dns.ask(`n${String(i)}.example`), ["SERVFAIL"]);
    await eventually("they are counted", () => /dns questions failed.*like=/.test(dns.stderr()));
    await dns.end("SIGTERM");
    const lines = dns.stderr().split("\n");
    assert.match(
      lines.find((line) => line.includes("question failed")) ?? "",
      /name=n0\.example\./,
    );
    const counted = lines
      .filter((line) => line.includes("questions failed"))
      .map((line) => Number(/count=(\d+)/.exec(line)?.[1]));
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      3,
      dns.stderr(),
    );
  });

  it("kubernetes: the API is asked within bounds, waited for at the start, and counted; so is health", async () => {
    const http = `127.0.0.1:${String(await freePort())}`;
    await using dns = await start(`. {
  bind lo
  health ${http}
  prometheus ${http}
  kubernetes cluster.local {
    startup_timeout 20s
    apiserver_qps 5
    apiserver_burst 1
    apiserver_max_inflight 1
  }
}
`);
    assert.deepEqual(await dns.ask(NAME), [`${NAME}. 5 IN A ${ip}`]);
    const sample = async (pattern: RegExp): Promise<number> =>
      Number(pattern.exec(await (await fetch(`http://${http}/metrics`)).text())?.[1] ?? 0);
    const prefix = "coredns_kubernetes_rest_client";
    assert.ok(
      (await sample(
        new RegExp(
          `^${prefix}_requests_total\\{code="200",method="GET",host="127[^"]*"\\} (\\d+)$`,
          "m",
        ),
      )) >= 3,
    );
    assert.ok(
      (await sample(
        new RegExp(`^${prefix}_request_duration_seconds_count\\{.*\\} (\\d+)$`, "m"),
      )) >= 3,
    );
    // Three lists and three watches, five a second: the last waits for most of a second.
    await eventually("requests waited for their turn", async () => {
      const waited = await sample(
        new RegExp(`^${prefix}_rate_limiter_duration_seconds_sum\\{.*\\} ([0-9.]+)$`, "m"),
      );
      return waited > 0.3;
    });
    await eventually(
      "the health was asked for",
      async () => (await sample(/^coredns_health_request_duration_seconds_count (\d+)$/m)) >= 1,
    );
    assert.equal(await sample(/^coredns_health_request_failures_total (\d+)$/m), 0);
  });

  it("reload: a file that is imported is a part of the configuration", async () => {
    const more = join(home.path, "reloaded.override");
    await writeFile(
      more,
      'template IN A a.example {\n  answer "{{ .Name }} 1 IN A 192.0.2.1"\n}\n',
    );
    await using dns = await start(". {\n  errors\n  import *.override\n}\n");
    assert.deepEqual(await dns.ask("a.example"), ["a.example. 1 IN A 192.0.2.1"]);
    await writeFile(
      more,
      'template IN A a.example {\n  answer "{{ .Name }} 2 IN A 192.0.2.2"\n}\n',
    );
    process.kill(dns.pid, "SIGUSR1");
    await eventually(
      "the changed file is in use",
      async () => (await dns.ask("a.example"))[0] === "a.example. 2 IN A 192.0.2.2",
    );
    await writeFile(more, "nonsense\n");
    process.kill(dns.pid, "SIGUSR1");
    await eventually("it is named", () =>
      /reloaded\.override line 1, column 1: nonsense: is not supported/.test(dns.stderr()),
    );
    assert.deepEqual(await dns.ask("a.example"), ["a.example. 2 IN A 192.0.2.2"]);
    await writeFile(more, "");
  });

  it("a file that is imported is refused by its own name and line, with exit code 2", async () => {
    const corefile = join(home.path, "Corefile.import");
    await writeFile(join(home.path, "more.conf"), "errors\nroute53 example.org.:Z1\n");
    await writeFile(corefile, "import nothing/*.server\n. {\n  import more.conf\n}\n");
    const ended = await startPortolan(home, ["dns", "--corefile", corefile]).exited();
    assert.equal(ended.code, 2);
    assert.match(
      ended.stderr,
      /^portolan: --corefile: ".*Corefile\.import" .*\/more\.conf line 2, column 1: route53: is not supported; there are acl, [^\n]*\n$/,
    );
  });
});
