import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { makeAuthority, makeCertificate } from "../../src/apiserver/certificate-maker.ts";
import { TYPE } from "../../src/core/dns/message.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import { listenTls } from "../../src/dns/listen-both.ts";
import type { Listener } from "../../src/dns/listener.ts";
import { NO_METRICS } from "../../src/dns/metrics.ts";
import { createResponder } from "../../src/dns/responder.ts";
import { domain, ip, port, silent } from "./fake-upstream.ts";
import { indexOf, service, zoneOptions } from "./zone.ts";

const run = promisify(execFile);
const hasDig = spawnSync("dig", ["-v"]).error === undefined;

interface Secure extends AsyncDisposable {
  readonly listener: Listener;
  readonly ca: string;
  readonly caFile: string;
}

/** A server of DNS over TLS with a certificate of an authority of its own. */
async function startSecure(): Promise<Secure> {
  const authority = makeAuthority("test", Date.now());
  const { certificate: cert, key } = makeCertificate(
    authority,
    {
      commonName: "dns",
      organizations: [],
      alternativeNames: ["127.0.0.1", "dns.test"],
      usage: "server",
    },
    Date.now(),
  );
  const web = service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] });
  const index = indexOf([web], []);
  const respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, [
    { zones: [[]], cluster: { index: () => index, zone: zoneOptions }, forwards: [] },
  ]);
  const listener = await listenTls(
    { respond, log: silent },
    { address: ip("127.0.0.1"), port: port(0) },
    { cert, key },
  );
  const folder = await mkdtemp(join(tmpdir(), "portolan-dns-tls-"));
  const caFile = join(folder, "ca.crt");
  await writeFile(caFile, authority.pem.certificate);
  return {
    listener,
    ca: authority.pem.certificate,
    caFile,
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

describe("DNS over TLS", () => {
  it("answers dig, which checks the certificate", {
    skip: hasDig ? false : "needs dig",
  }, async () => {
    await using secure = await startSecure();
    const { stdout } = await run("dig", [
      "@127.0.0.1",
      "-p",
      String(secure.listener.port),
      "+tls",
      `+tls-ca=${secure.caFile}`,
      "+tls-hostname=dns.test",
      "+padding=128",
      "web.default.svc.cluster.local",
    ]);
    assert.match(stdout, /^web\.default\.svc\.cluster\.local\.\s+5\s+IN\s+A\s+10\.96\.0\.10$/m);
    // RFC 8467: padded as the question was, to a length that says nothing.
    assert.match(stdout, /^;; MSG SIZE {2}rcvd: 468$/m);
  });

  it("is what a forwarder speaks to tls:// servers, and it trusts only who it was told to", async () => {
    await using secure = await startSecure();
    const question = {
      name: domain("web.default.svc.cluster.local"),
      type: TYPE.A,
      class: 1,
      dnssecOk: false,
      authenticData: false,
      checkingDisabled: false,
    };
    const ask = async (ca: string | undefined, serverName: string): Promise<string> => {
      const tls = { serverName, ca, cert: undefined, key: undefined };
      const upstream = { address: ip("127.0.0.1"), port: secure.listener.port, tls };
      await using forwarder = startForwarder(
        { upstreams: () => Promise.resolve([upstream]), log: silent, nowMs: () => 0 },
        { ...FORWARDER_DEFAULTS, maxFails: 0 },
      );
      const forwarded = await forwarder.resolve(question);
      return forwarded.kind === "answer"
        ? String(forwarded.message.answers.length)
        : forwarded.reason;
    };
    assert.equal(await ask(secure.ca, "dns.test"), "1");
    assert.equal(await ask(secure.ca, "other.test"), "no upstream server answered");
    assert.equal(await ask(undefined, "dns.test"), "no upstream server answered");
  });
});
