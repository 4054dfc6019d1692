import assert from "node:assert/strict";
import { it } from "node:test";
import { silent } from "../../test/dns/fake-upstream.ts";
import { checkAnswer } from "../../test/dns/fuzz-answer.ts";
import { hostilePacket } from "../../test/dns/fuzz-packets.ts";
import { pickFrom } from "../../test/dns/fuzz-pick.ts";
import { indexOf, service, slice, zoneOptions } from "../../test/dns/zone.ts";
import { parseCorefile } from "../core/dns/corefile/corefile.ts";
import { HostsTable } from "../core/dns/hosts-table.ts";
import { RCODE } from "../core/dns/message.ts";
import { startForwarder } from "./forwarder.ts";
import { NO_METRICS } from "./metrics.ts";
import { createResponder } from "./responder.ts";
import type { ServerBlock } from "./server-block.ts";

const COREFILE = `. {
  acl {
    drop type HINFO
    block type TYPE250
    filter type MX net 127.0.0.2
    allow net *
  }
  rewrite continue ttl regex ^.*$ 1-20
  rewrite continue class CH IN
  rewrite continue edns0 local set 0xffee {qname}
  rewrite continue edns0 subnet append 24 56
  rewrite continue cname suffix example.com. svc.cluster.local.
  rewrite continue name suffix www.example.com web.default.svc.cluster.local answer auto
  rewrite continue name regex ^n([0-9]+)[.](.*)$ {2}
  rewrite continue type SRV A
  rewrite rcode suffix nowhere.svc.cluster.local NXDOMAIN NOERROR
  rewrite name substring .pod. .svc. answer name (.*)[.]svc[.] {1}.pod.
  template IN ANY mail.example.com {
    answer "{{ .Name }} 60 IN CNAME big.default.svc.cluster.local."
  }
  template ANY ANY example.com {
    match ^(?P<host>[a-z]+)[.](.*)$
    answer "{{ .Name }} 60 IN A 192.0.2.1"
    answer "{{ .Name }} 60 IN TXT {{ .Group.host }} {{ .Type }}"
    additional "{{ index .Match 2 }} 60 IN A 192.0.2.1"
    fallthrough
  }
  hosts {
    192.0.2.5 localhost
    fallthrough
  }
  loadbalance {
    prefer 10.112.0.0/16
  }
  bufsize 700
  chaos
  minimal
}
`;

it("createResponder() with all directives answers hostile packets as a server without them has to", async () => {
  const [config] = parseCorefile(COREFILE, { env: {} });
  assert.ok(config);
  const http = { name: "http", protocol: "TCP", port: 80 } as const;
  const members = Array.from({ length: 100 }, (_, i) => ({
    addresses: [`10.113.0.${String(i)}`],
    hostname: `pod-${String(i)}`,
  }));
  const index = indexOf(
    [
      service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [http] }),
      service("big", { clusterIP: "None", clusterIPs: ["None"], ports: [http] }),
      service("outside", { type: "ExternalName", externalName: "api.example.com" }),
      service("loop", { type: "ExternalName", externalName: "loop.default.svc.cluster.local" }),
    ],
    [slice("big", members)],
  );
  await using forwarder = startForwarder({
    upstreams: () => Promise.resolve([]),
    log: silent,
    nowMs: () => 0,
  });
  const hosts = new HostsTable(config.hosts?.lines ?? [], config.hosts ?? assert.fail());
  const block: ServerBlock = {
    zones: [[]],
    access: config.access,
    rewrites: config.rewrites,
    templates: config.templates,
    hosts: { table: hosts, onChange: () => ({ [Symbol.dispose]: () => undefined }) },
    order: () => ({ prefer: config.balance?.prefer ?? [], weights: undefined }),
    maxUdpBytes: config.maxUdpBytes,
    isMinimal: config.isMinimal,
    chaos: { version: "x", authors: [], hostname: "y" },
    cluster: { index: () => index, zone: { ...zoneOptions, autopath: { search: [] } } },
    forwards: [{ from: [], except: [], forwarder }],
  };
  const deps = { metrics: NO_METRICS, nowMs: () => 0 };
  const respond = createResponder(deps, [block]);
  const pick = pickFrom(20261125);
  const codes = new Map<number, number>();
  for (let i = 0; i < 20_000; i++) {
    const packet = hostilePacket(pick);
    const peer = { address: pick(2) === 0 ? "127.0.0.1" : "127.0.0.2", port: 4242 };
    const answer = await respond(packet, "udp", peer);
    if (answer === undefined) continue;
    assert.ok(answer instanceof Uint8Array);
    checkAnswer(packet, answer, "udp");
    assert.ok(answer.length <= Math.max(700, packet.length), `${String(answer.length)} bytes`);
    const code = (answer[3] ?? 0) & 0xf;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  // It is not that nothing came through.
  for (const code of [RCODE.NOERROR, RCODE.NXDOMAIN, RCODE.REFUSED, RCODE.FORMERR])
    assert.ok((codes.get(code) ?? 0) > 100, `code ${String(code)}: ${String(codes.get(code))}`);
});
