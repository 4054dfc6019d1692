import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { encodeMessage } from "../../src/core/dns/encode.ts";
import { a, domain, startUpstream } from "../dns/fake-upstream.ts";
import { freePort, startDns } from "./dns-program.ts";
import type { Dns } from "./dns-program.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  ports: [{name: http, port: 80}]
`;
const NAME = "web.default.svc.cluster.local";

/** What a metrics page says: each sample's labels and value, by name. */
type Samples = ReadonlyMap<
  string,
  readonly (Readonly<Record<string, string>> & { value: string })[]
>;

function parseMetrics(text: string): Samples {
  const samples = new Map<string, (Record<string, string> & { value: string })[]>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key = "", text = ""]) => [
      key,
      text,
    ]);
    const known = samples.get(name) ?? [];
    samples.set(name, [...known, { ...Object.fromEntries(pairs), value }]);
  }
  return samples;
}

/** Sum of the samples of a name that have these labels. */
function sum(
  samples: Samples,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return (samples.get(name) ?? [])
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample[key] === value))
    .reduce((total, { value }) => total + Number(value), 0);
}

/** What the common dashboards and alerts for CoreDNS ask Prometheus for: names, and the labels they sort by. */
const ON_DASHBOARDS: readonly (readonly [name: string, ...labels: readonly string[]])[] = [
  ["coredns_build_info", "version"],
  ["coredns_panics_total"],
  ["coredns_plugin_enabled", "server", "zone", "name"],
  ["coredns_dns_requests_total", "server", "zone", "proto", "family", "type"],
  ["coredns_dns_responses_total", "server", "zone", "rcode", "plugin"],
  ["coredns_dns_do_requests_total", "server", "zone"],
  ["coredns_dns_request_duration_seconds_bucket", "server", "zone", "le"],
  ["coredns_dns_request_duration_seconds_sum", "server", "zone"],
  ["coredns_dns_request_duration_seconds_count", "server", "zone"],
  ["coredns_dns_request_size_bytes_bucket", "server", "zone", "proto", "le"],
  ["coredns_dns_request_size_bytes_count", "server", "zone", "proto"],
  ["coredns_dns_response_size_bytes_bucket", "server", "zone", "proto", "le"],
  ["coredns_dns_response_size_bytes_count", "server", "zone", "proto"],
  ["coredns_cache_entries", "server", "type"],
  ["coredns_cache_hits_total", "server", "type"],
  ["coredns_cache_misses_total", "server"],
  ["coredns_cache_requests_total", "server"],
  ["coredns_cache_evictions_total", "server", "type"],
  ["coredns_cache_drops_total", "server"],
  ["coredns_health_request_duration_seconds_bucket", "le"],
  ["coredns_health_request_failures_total"],
  ["coredns_hosts_entries"],
  ["coredns_kubernetes_rest_client_requests_total", "code", "method", "host"],
  ["coredns_kubernetes_rest_client_request_duration_seconds_bucket", "verb", "host", "le"],
  ["coredns_kubernetes_rest_client_rate_limiter_duration_seconds_bucket", "verb", "host", "le"],
  ["coredns_forward_requests_total", "to"],
  ["coredns_forward_responses_total", "to", "rcode"],
  ["coredns_forward_request_duration_seconds_bucket", "to", "rcode", "le"],
  ["coredns_forward_healthcheck_broken_total"],
  ["coredns_forward_max_concurrent_rejects_total"],
  ["coredns_proxy_request_duration_seconds_bucket", "proxy_name", "to", "rcode", "le"],
  ["coredns_proxy_request_duration_seconds_count", "proxy_name", "to", "rcode"],
  ["coredns_kubernetes_dns_programming_duration_seconds_bucket", "service_kind", "le"],
  ["coredns_reload_failed_total"],
  ["coredns_reload_version_info", "hash", "value"],
  ["process_resident_memory_bytes"],
  ["process_cpu_seconds_total"],
  ["process_start_time_seconds"],
  ["process_virtual_memory_bytes"],
  ["process_open_fds"],
  ["process_max_fds"],
];

describe("portolan dns, in operation", { skip: missing("dig", "kubectl") }, () => {
  let home: Home;
  let up: Up;
  let ip: string;
  let corefile: string;

  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    await up.kubectl(["apply", "-f", "-"], WEB);
    ip = await up.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    corefile = join(home.path, "Corefile");
  });

  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const metricsOf = async (http: string): Promise<Samples> =>
    parseMetrics(await (await fetch(`http://${http}/metrics`)).text());
  const write = async (text: string): Promise<void> => {
    await writeFile(`${corefile}.new`, text);
    await rename(`${corefile}.new`, corefile);
  };

  it("has what dashboards for CoreDNS ask for, by its names and labels, and counts as it does", async () => {
    await using upstream = await startUpstream(() => ({
      answers: [a("www.example.org", "192.0.2.7", 60)],
    }));
    const http = `127.0.0.1:${String(await freePort())}`;
    await write(`. {
  prometheus ${http}
  health ${http}
  kubernetes cluster.local
  hosts {
    192.0.2.1 printer.example
    fallthrough
  }
  forward . 127.0.0.1:${String(upstream.port)}
  cache 30
  errors
  log . "{local} {type} {name} {rcode}" {
    class denial
  }
}
`);
    await using dns = await startDns(home, up, ["--corefile", corefile]);
    for (let i = 0; i < 5; i++) await dns.ask(NAME);
    await dns.ask("+tcp", NAME);
    await dns.ask(NAME, "AAAA");
    await dns.ask("+dnssec", NAME, "TXT");
    await dns.ask(`gone-${NAME}`);
    for (let i = 0; i < 3; i++) await dns.ask("www.example.org");
    const samples = await metricsOf(http);
    for (const [name, ...labels] of ON_DASHBOARDS) {
      const [first, ...more] = samples.get(name) ?? [];
      assert.ok(first, `${name} is not there`);
      for (const sample of [first, ...more])
        for (const label of labels) assert.ok(label in sample, `${name} has no ${label}`);
    }
    const server = `dns://${dns.address}`;
    const zone = ".";
    const requests = "coredns_dns_requests_total";
    assert.equal(sum(samples, requests, { server, zone, type: "A", proto: "udp" }), 9);
    assert.equal(sum(samples, requests, { server, zone, type: "A", proto: "tcp" }), 1);
    assert.equal(sum(samples, requests, { type: "AAAA", family: "1" }), 1);
    const responses = "coredns_dns_responses_total";
    assert.equal(sum(samples, responses, { rcode: "NXDOMAIN", plugin: "kubernetes" }), 1);
    assert.equal(sum(samples, responses, { rcode: "NOERROR", plugin: "kubernetes" }), 8);
    assert.equal(sum(samples, responses, { rcode: "NOERROR", plugin: "forward" }), 3);
    assert.equal(sum(samples, "coredns_dns_do_requests_total"), 1);
    for (const histogram of [
      "request_duration_seconds",
      "request_size_bytes",
      "response_size_bytes",
    ])
      assert.equal(sum(samples, `coredns_dns_${histogram}_count`), 12, histogram);
    assert.equal(sum(samples, "coredns_dns_request_size_bytes_count", { proto: "tcp" }), 1);
    assert.equal(sum(samples, "coredns_cache_hits_total", { type: "success" }), 2);
    assert.equal(sum(samples, "coredns_cache_misses_total"), 1);
    assert.equal(sum(samples, "coredns_cache_entries", { type: "success" }), 1);
    const to = `127.0.0.1:${String(upstream.port)}`;
    assert.equal(sum(samples, "coredns_forward_requests_total", { to }), 1);
    assert.equal(sum(samples, "coredns_proxy_request_duration_seconds_count", { to }), 1);
    const enabled = (samples.get("coredns_plugin_enabled") ?? []).map((sample) => sample["name"]);
    const plugins = "cache errors forward health hosts kubernetes log prometheus".split(" ");
    assert.deepEqual(new Set(enabled), new Set(plugins));
    assert.equal(sum(samples, "coredns_hosts_entries"), 1);
    assert.equal(sum(samples, "coredns_panics_total"), 0);
    // What has no such name or no record of the type, and nothing else.
    assert.deepEqual(dns.stdout().match(/^\[INFO\] .*$/gm), [
      `[INFO] 127.0.0.1 AAAA ${NAME}. NOERROR`,
      `[INFO] 127.0.0.1 TXT ${NAME}. NOERROR`,
      `[INFO] 127.0.0.1 A gone-${NAME}. NXDOMAIN`,
    ]);
    assert.ok(sum(samples, "process_resident_memory_bytes") > 20_000_000);
    assert.ok(sum(samples, "process_cpu_seconds_total") > 0.05);
  });

  it("takes a new Corefile over on SIGUSR1 while questions flow, and keeps the old one when it is broken", async () => {
    const http = `127.0.0.1:${String(await freePort())}`;
    const text = (ttl: number, more = ""): string => `. {
  prometheus ${http}
  kubernetes cluster.local {
    ttl ${String(ttl)}
    ${more}
  }
}
`;
    await write(text(1));
    await using dns = await startDns(home, up, ["--corefile", corefile]);
    await using client = new FlowingClient(dns);
    const reloads = async (name: string, count: number): Promise<void> => {
      await eventually(`${name} is ${String(count)}`, async () => {
        return sum(await metricsOf(http), name) === count;
      });
    };
    for (let ttl = 2; ttl <= 4; ttl++) {
      await write(text(ttl));
      process.kill(dns.pid, "SIGUSR1");
      await eventually("the new one answers", () => client.lastTtl === ttl);
      await write(text(ttl, "nonsense"));
      process.kill(dns.pid, "SIGUSR1");
      await reloads("coredns_reload_failed_total", ttl - 1);
      assert.match(dns.stderr(), /nonsense/);
      assert.match(dns.stderr(), /line 5, column 5: kubernetes: nonsense: is not supported/);
      const before = client.answered;
      await eventually("the old one still answers", () => client.answered > before + 100);
      assert.equal(client.lastTtl, ttl);
    }
    const { lost, wrong, answered } = await client.end(ip);
    assert.ok(answered > 500, String(answered));
    assert.deepEqual({ lost, wrong }, { lost: 0, wrong: [] });
    // One configuration is in use, not all that ever were.
    assert.equal(sum(await metricsOf(http), "coredns_reload_version_info"), 1);
  });
});

/** Asks for the Service's address one question after another, several at once, until it is ended. */
class FlowingClient implements AsyncDisposable {
  lastTtl = 0;
  answered = 0;
  readonly #socket = createSocket("udp4");
  readonly #answers = new Set<string>();
  readonly #waiting = new Map<number, NodeJS.Timeout>();
  readonly #query: Uint8Array;
  #lost = 0;
  #lastId = 0;
  #isEnding = false;

  constructor({ address }: Dns) {
    const [host = "", port = ""] = address.split(":");
    const blank = decodeMessage(new Uint8Array(12));
    assert.ok(blank);
    const question = { name: domain(NAME), type: 1, class: 1 };
    this.#query = encodeMessage({ ...blank, recursionDesired: true, question }, 512);
    this.#socket.on("message", (bytes) => {
      const message = decodeMessage(bytes);
      const id = message?.id ?? -1;
      clearTimeout(this.#waiting.get(id));
      if (!this.#waiting.delete(id)) return;
      const [record] = message?.answers ?? [];
      const data = record?.data.kind === "A" ? record.data.address : "none";
      this.#answers.add(`${String(message?.rcode)} ${data}`);
      this.lastTtl = record?.ttlSeconds ?? 0;
      this.answered += 1;
      this.#ask();
    });
    this.#socket.connect(Number(port), host, () => {
      for (let i = 0; i < 8; i++) this.#ask();
    });
  }

  /** Waits for what is under way. @returns what was not as it must be. */
  async end(address: string): Promise<{ lost: number; wrong: string[]; answered: number }> {
    this.#isEnding = true;
    await eventually("all are answered", () => this.#waiting.size === 0);
    const wrong = [...this.#answers].filter((text) => text !== `0 ${address}`);
    return { lost: this.#lost, wrong, answered: this.answered };
  }

  #ask(): void {
    if (this.#isEnding) return;
    this.#lastId = (this.#lastId + 1) & 0xffff;
    const id = this.#lastId;
    const query = this.#query.slice();
    query[0] = id >> 8;
    query[1] = id & 0xff;
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      this.#lost += 1;
      this.#ask();
    }, 5000);
    this.#waiting.set(id, timer);
    this.#socket.send(query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#socket.close();
    await once(this.#socket, "close");
  }
}
