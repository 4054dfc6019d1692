import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CorefileError } from "./corefile-error.ts";
import { parseCorefile } from "./corefile.ts";
import type { BlockConfig } from "./corefile.ts";

/** The one block of a Corefile whose block has these lines. */
function block(lines: string, env: Readonly<Record<string, string>> = {}): BlockConfig {
  const [only, ...more] = parseCorefile(`.:53 {\n${lines}\n}\n`, { env });
  assert.ok(only);
  assert.equal(more.length, 0);
  return only;
}

const KUBEADM = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
`;

describe("parseCorefile()", () => {
  it("reads the Corefile that kubeadm writes", () => {
    const [only] = parseCorefile(KUBEADM, { env: {} });
    assert.ok(only);
    assert.deepEqual(only.keys, [{ scheme: "dns", zones: [[]], port: 53 }]);
    assert.deepEqual(only.health, { address: "::", port: 8080, lameduckMs: 5000 });
    assert.deepEqual(only.ready, { address: "::", port: 8181 });
    assert.deepEqual(only.prometheus, { address: "::", port: 9153 });
    assert.deepEqual(only.kubernetes?.zones, [
      ["cluster", "local"],
      ["in-addr", "arpa"],
      ["ip6", "arpa"],
    ]);
    assert.equal(only.kubernetes.pods, "insecure");
    assert.equal(only.kubernetes.ttlSeconds, 30);
    assert.deepEqual(only.kubernetes.fallthrough, [
      ["in-addr", "arpa"],
      ["ip6", "arpa"],
    ]);
    assert.deepEqual(
      only.forwards.map(({ from, to, maxConcurrent }) => [from, to, maxConcurrent]),
      [[[], [{ kind: "file", path: "/etc/resolv.conf" }], 1000]],
    );
    assert.equal(only.cache?.success.maxTtlSeconds, 30);
    assert.deepEqual(only.cache.noSuccess, [["cluster", "local"]]);
    assert.deepEqual(only.reload, { intervalMs: 30_000, jitterMs: 15_000 });
    assert.deepEqual(
      [only.errors, only.detectsLoops, only.balance, only.autopath],
      [{ consolidate: [], hasStacks: false }, true, { prefer: [], weighted: undefined }, false],
    );
  });

  it("reads several blocks with several zones, ranges and ports", () => {
    const blocks = parseCorefile(
      "cluster.local,\n10.96.0.0/12:1053 {\n errors\n}\nexample.org tls://example.org {\n tls a b\n}\n",
      { env: {} },
    );
    assert.deepEqual(
      blocks.map(({ keys }) => keys.map(({ scheme, zones, port }) => [scheme, zones.length, port])),
      [
        [
          ["dns", 1, undefined],
          ["dns", 16, 1053],
        ],
        [
          ["dns", 1, undefined],
          ["tls", 1, undefined],
        ],
      ],
    );
    assert.deepEqual(blocks[0]?.keys[1]?.zones.at(0), ["96", "10", "in-addr", "arpa"]);
  });

  it("takes one zone twice where each block has an address of its own", () => {
    const text = ".:53 {\n bind 127.0.0.1\n}\n.:53 {\n bind 127.0.0.2\n}\n";
    assert.equal(parseCorefile(text, { env: {} }).length, 2);
  });

  it("puts in snippets and the environment's variables, and leaves out comments", () => {
    const text = `(common) { # shared
  errors
  forward {$ZONE} {%SERVER%} # behind
}
"." {
  import common
}`;
    const [only] = parseCorefile(text, { env: { ZONE: "corp.example", SERVER: "192.0.2.1:5353" } });
    assert.ok(only?.errors);
    assert.deepEqual(only.forwards[0]?.from, ["corp", "example"]);
    assert.deepEqual(only.forwards[0].to, [
      { kind: "server", address: "192.0.2.1", port: 5353, isTls: false },
    ]);
  });

  it("reads all options of kubernetes, forward and cache", () => {
    const read = block(`
kubernetes cluster.local clusterset.local {
  multicluster clusterset.local
  kubeconfig /k ctx
  namespaces a b
  labels app in (x, y)
  pods verified
  endpoint_pod_names
  noendpoints
  ignore empty_service
  startup_timeout 10s
  apiserver_qps 2.5
  apiserver_burst 20
  apiserver_max_inflight 4
  fallthrough
}
forward . tls://9.9.9.9 [2001:db8::1]:5353 {
  except corp.example
  force_tcp
  prefer_udp
  expire 1m30s
  max_fails 3
  tls_servername dns.quad9.net
  policy round_robin
  health_check 1s no_rec domain example.org
  failover SERVFAIL REFUSED
  next NXDOMAIN
  max_idle_conns 3
  max_age 1m
  max_connect_attempts 2
  failfast_all_unhealthy_upstreams
  random_case
}
cache 60 example.org {
  success 100 300 2
  denial 50
  prefetch 3 1m 20%
  serve_stale 2h verify
  servfail 1s
  keepttl
}`);
    assert.deepEqual(read.kubernetes, {
      zones: [
        ["cluster", "local"],
        ["clusterset", "local"],
      ],
      multicluster: [["clusterset", "local"]],
      namespaces: ["a", "b"],
      labels: "app in (x, y)",
      namespaceLabels: undefined,
      pods: "verified",
      endpointPodNames: true,
      ttlSeconds: 5,
      noEndpoints: true,
      ignoreEmptyServices: true,
      fallthrough: [[]],
      kubeconfig: { path: "/k", context: "ctx" },
      endpoint: undefined,
      startupMs: 10_000,
      apiLimits: { perSecond: 2.5, burst: 20, inFlight: 4 },
      tls: undefined,
    });
    assert.deepEqual(read.forwards[0], {
      from: [],
      except: [["corp", "example"]],
      to: [
        { kind: "server", address: "9.9.9.9", port: 853, isTls: true },
        { kind: "server", address: "2001:db8::1", port: 5353, isTls: false },
      ],
      policy: "round_robin",
      forceTcp: true,
      preferUdp: true,
      expireMs: 90_000,
      maxFails: 3,
      healthCheckMs: 1000,
      healthCheckRecursion: false,
      healthCheckDomain: ["example", "org"],
      maxConcurrent: undefined,
      failover: [2, 5],
      next: [3],
      failFast: true,
      maxIdleConnections: 3,
      maxAgeMs: 60_000,
      maxAttempts: 2,
      tlsServerName: "dns.quad9.net",
      tls: undefined,
      randomCase: true,
    });
    assert.deepEqual(read.cache, {
      zones: [["example", "org"]],
      success: { capacity: 100, maxTtlSeconds: 300, minTtlSeconds: 2 },
      denial: { capacity: 50, maxTtlSeconds: 60, minTtlSeconds: 5 },
      noSuccess: [],
      noDenial: [],
      servfailSeconds: 1,
      prefetch: { amount: 3, gapMs: 60_000, fraction: 0.2 },
      serveStale: { maxAgeMs: 7_200_000, refresh: "verify" },
      keepTtl: true,
    });
  });

  it("reads hosts, rewrite, transfer, log and bind", () => {
    const read = block(`
hosts {
  192.0.2.9 Printer.corp.example printer
  ttl 60
  fallthrough
}
rewrite name exact old.example new.example answer auto
rewrite continue name suffix .corp.example. .svc.cluster.local.
transfer { 
  to 192.0.2.0/24 2001:db8::1
}
log example.org "{remote} {name}" {
  class denial error
}
bind 127.0.0.1 ::1 eth0`);
    assert.deepEqual(read.hosts?.lines, [
      { address: "192.0.2.9", names: [["printer", "corp", "example"], ["printer"]] },
    ]);
    assert.deepEqual([read.hosts.path, read.hosts.ttlSeconds], [undefined, 60]);
    const isName = { field: "name", answerNames: [], answerValues: [] } as const;
    assert.deepEqual(read.rewrites, [
      {
        ...isName,
        isAuto: true,
        change: { test: { match: "exact", from: ["old", "example"] }, to: "new.example." },
        isLast: true,
      },
      {
        ...isName,
        isAuto: false,
        change: { test: { match: "suffix", from: ["corp", "example"] }, to: "svc.cluster.local." },
        isLast: false,
      },
    ]);
    assert.deepEqual(read.transfers, [{ zones: [[]], to: ["192.0.2.0/24", "2001:db8::1/128"] }]);
    assert.deepEqual(read.log, [
      { zones: [["example", "org"]], format: "{remote} {name}", classes: ["denial", "error"] },
    ]);
    assert.deepEqual(read.bind, [
      { kind: "address", address: "127.0.0.1" },
      { kind: "address", address: "::1" },
      { kind: "interface", name: "eth0" },
    ]);
  });

  it("reads any lines of known words, or says what is wrong with them", () => {
    const names =
      "errors log health ready kubernetes forward cache loop reload loadbalance hosts rewrite template acl transfer autopath bind bufsize chaos minimal any tls prometheus import";
    const others =
      '. cluster.local 10.0.0.0/9 fd00::/33 127.0.0.1 [::1]:53 tls://192.0.2.1 /etc/resolv.conf :8080 (s) s 5s 0s 999999h 0 1 -1 99999999999 name exact regex suffix cname class edns0 local subnet set append 0xffee {qname} {client_ip} answer auto value type ttl rcode IN ANY TYPE999 match (?P<a>.*) fallthrough NXDOMAIN pods labels a=b app=in( policy client_auth block net * to @kubernetes consolidate "a b" "" # {$X} "{{ .Name }} 60 IN A {{ .Group.a }}" "{{ parseInt .Group.a 16 8 }} A x"';
    const word = fc.constantFrom(...names.split(" "), ...(others.match(/"[^"]*"|\S+/g) ?? []));
    const words = fc.array(word, { minLength: 1, maxLength: 6 }).map((each) => each.join(" "));
    const line = fc.oneof(
      words,
      fc
        .tuple(words, fc.array(words, { maxLength: 3 }))
        .map(([head, options]) => [`${head} {`, ...options, "}"].join("\n")),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        try {
          assert.equal(block(lines.join("\n"), { X: "x" }).keys.length, 1);
        } catch (error) {
          assert.ok(error instanceof CorefileError, String(error));
          assert.match(error.message, /^line \d+, column \d+: /);
        }
      }),
      { numRuns: 2000 },
    );
  });

  for (const [what, text, message] of [
    ["nothing", "# only this\n", /^line 1, column \d+: there is no server block/],
    ["an open brace", ". {\n errors\n", /^line 1, column \d+: \{ is not closed/],
    ["a brace too many", ". {\n}\n}\n", /^line 3, column \d+: \} closes nothing/],
    ["an open quote", '. {\n log "x\n}\n', /^line 2, column \d+: a quote is not closed/],
    [
      "an unknown plugin",
      ". {\n errors\n dnssec\n}\n",
      /^line 3, column \d+: dnssec: is not supported; leave it out/,
    ],
    [
      "a plugin of nobody",
      ". {\n nonsense\n}\n",
      /^line 2, column \d+: nonsense: is not supported; there are acl, any, autopath,/,
    ],
    [
      "an unknown option",
      ". {\n kubernetes cluster.local {\n  zonal\n }\n}\n",
      /^line 3, column \d+: kubernetes: zonal: is not supported; there are namespaces,/,
    ],
    [
      "a clusterset's zone that is not served",
      ". {\n kubernetes cluster.local {\n  multicluster cluster.set\n }\n}\n",
      /^line 3, column \d+: kubernetes: multicluster: cluster\.set\. has to be among the zones of/,
    ],
    [
      "a bad value",
      ". {\n cache 30 {\n  prefetch x\n }\n}\n",
      /^line 3, column \d+: cache: prefetch: "x" is no /,
    ],
    [
      "words too many",
      ". {\n loop twice\n}\n",
      /^line 2, column \d+: loop: "twice" is too much here/,
    ],
    [
      "a directive twice",
      ". {\n errors\n errors\n}\n",
      /^line 3, column \d+: errors: stands twice/,
    ],
    [
      "a zone twice",
      ".:53 {\n}\n.:53 {\n}\n",
      /^line 3, column \d+: dns:\/\/\.:53 has a server block on line 1/,
    ],
    [
      "a file's import",
      "import x.conf\n",
      /^line 1, column \d+: import x\.conf: there is neither a snippet/,
    ],
    ["a snippet in itself", "(a) {\n import a\n}\n. {\n import a\n}\n", /imports itself/],
    [
      "another scheme",
      "https://. {\n}\n",
      /^line 1, column \d+: https:\/\/\.: there are dns:\/\/ and tls:\/\//,
    ],
    ["another upstream", ". {\n forward . https://1.1.1.1\n}\n", /not by https:\/\//],
    [
      "a zone with a port that is none",
      "example.org:dns {\n}\n",
      /^line 1, column \d+: "example\.org:dns" is no zone such as example\.org:53/,
    ],
    [
      "a zone twice at one address",
      ".:53 {\n bind 127.0.0.1 lo\n}\n.:53 {\n bind 127.0.0.2 127.0.0.1\n}\n",
      /^line 4, column \d+: dns:\/\/\.:53 has a server block on line 1/,
    ],
    [
      "a format without quotes",
      ". {\n log . {remote} {name}\n}\n",
      /^line 2, column \d+: log: the format has to be in quotes/,
    ],
    [
      "a selector",
      ". {\n kubernetes cluster.local {\n  labels app in x\n }\n}\n",
      /^line 3, column \d+: kubernetes: labels: "app in x" is no label selector/,
    ],
    [
      "an address in place of a URL",
      ". {\n kubernetes cluster.local {\n  endpoint 192.0.2.1:6443\n }\n}\n",
      /^line 3, column \d+: kubernetes: endpoint: "192\.0\.2\.1:6443" is no URL such as https/,
    ],
    [
      "checks without a pause",
      ". {\n forward . 192.0.2.1 {\n  health_check 0s\n }\n}\n",
      /^line 3, column 3: forward: health_check: a server is asked every 10ms at most/,
    ],
    [
      "a wait longer than timers know",
      ". {\n errors {\n  consolidate 600h .*\n }\n}\n",
      /^line 3, column 3: errors: consolidate: "600h" is longer than 24 days/,
    ],
    [
      "an interval longer than timers know",
      ". {\n reload 300h\n}\n",
      /^line 2, column 2: reload: needs an interval from 2s to 288h/,
    ],
    [
      "a time to live that is none",
      ". {\n hosts {\n  192.0.2.1 a\n  ttl soon\n }\n}\n",
      /^line 4, column 3: hosts: ttl: "soon" is no number of seconds from 0/,
    ],
    [
      "a host without a name",
      ". {\n hosts {\n  192.0.2.1\n }\n}\n",
      /^line 3, column 3: hosts: 192\.0\.2\.1: is not supported; there are ADDRESS NAME\.\.\., ttl,/,
    ],
    [
      "imports without end",
      `${Array.from({ length: 15 }, (_, i) => `(s${String(i)}) {\n import s${String(i + 1)}\n import s${String(i + 1)}\n}\n`).join("")}(s15) {\n}\n. {\n import s0\n}\n`,
      /import s\d+: there are more than 10000 imports/,
    ],
    ["tls without certificate", "tls://. {\n}\n", /needs tls CERTIFICATE KEY/],
    [
      "another rewrite",
      ". {\n rewrite flag clear aa\n}\n",
      /^line 2, column \d+: rewrite: flag is not supported; there are name, type, class, ttl,/,
    ],
    [
      "an option that is replaced",
      ". {\n rewrite edns0 local replace 0xffee x\n}\n",
      /^line 2, column \d+: rewrite: edns0 local replace is not supported, for no option of a client/,
    ],
    [
      "a fact that nobody knows",
      ". {\n rewrite edns0 local set 0xffee {server_ip}\n}\n",
      /^line 2, column \d+: rewrite: edns0: \{server_ip\} is not supported; there are \{qname\},/,
    ],
    [
      "a subnet longer than an address",
      ". {\n rewrite edns0 subnet set 33 56\n}\n",
      /^line 2, column \d+: rewrite: edns0: "33" is no number from 0 to 32/,
    ],
  ] as const) {
    it(`says what is wrong with ${what}, and where`, () => {
      assert.throws(() => parseCorefile(text, { env: {} }), { code: "COREFILE", message });
    });
  }
});
