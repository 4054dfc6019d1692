import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { makeAuthority, makeCertificate } from "../../src/apiserver/certificate-maker.ts";
import { TYPE } from "../../src/core/dns/message.ts";
import { followCertificateFiles } from "../../src/dns/certificate-files.ts";
import { FORWARDER_DEFAULTS, startForwarder } from "../../src/dns/forwarder.ts";
import { MessageFraming } from "../../src/dns/framing.ts";
import { listenTls } from "../../src/dns/listen-both.ts";
import type { Listener } from "../../src/dns/listener.ts";
import { NO_METRICS } from "../../src/dns/metrics.ts";
import { createResponder } from "../../src/dns/responder.ts";
import type { ServingCertificate } from "../../src/dns/serving-certificate.ts";
import { domain, ip, port, silent } from "./fake-upstream.ts";
import { indexOf, service, zoneOptions } from "./zone.ts";

const run = promisify(execFile);
const hasDig = spawnSync("dig", ["-v"]).error === undefined;

interface Secure extends AsyncDisposable {
  readonly listener: Listener;
  readonly ca: string;
  readonly caFile: string;
}

interface Signed {
  readonly ca: string;
  readonly pair: ServingCertificate;
  /** What a client of the same authority shows. */
  readonly clientPair: ServingCertificate;
  /** Another one by the same authority. */
  renew(): ServingCertificate;
}

function makeSigned(): Signed {
  const authority = makeAuthority("test", Date.now());
  const request = {
    commonName: "dns",
    organizations: [],
    alternativeNames: ["127.0.0.1", "dns.test"],
    usage: "server",
  } as const;
  const renew = (): ServingCertificate => {
    const { certificate, key } = makeCertificate(authority, request, Date.now());
    return { cert: certificate, key };
  };
  const client = { ...request, commonName: "client", usage: "client" } as const;
  const { certificate, key } = makeCertificate(authority, client, Date.now());
  const clientPair = { cert: certificate, key };
  return { ca: authority.pem.certificate, pair: renew(), clientPair, renew };
}

async function openSecurely(on: number, ca: string): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port: on, ca });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
}

async function echoed(socket: TLSSocket, text: string): Promise<string> {
  const received = once(socket, "data") as Promise<[Buffer]>;
  socket.write(MessageFraming.frame(Buffer.from(text)));
  const [chunk] = await received;
  return chunk.subarray(2).toString();
}

/** A server of DNS over TLS with a certificate of an authority of its own. */
async function startSecure(): Promise<Secure> {
  const { ca, pair } = makeSigned();
  const web = service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] });
  const index = indexOf([web], []);
  const respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, [
    { zones: [[]], cluster: { index: () => index, zone: zoneOptions }, forwards: [] },
  ]);
  const listener = await listenTls(
    { respond, log: silent },
    { address: ip("127.0.0.1"), port: port(0) },
    () => pair,
  );
  const folder = await mkdtemp(join(tmpdir(), "portolan-dns-tls-"));
  const caFile = join(folder, "ca.crt");
  await writeFile(caFile, ca);
  return {
    listener,
    ca,
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

  it("lets go of a client that never ends its handshake, though it sends a byte now and then", async () => {
    const { pair } = makeSigned();
    await using listener = await listenTls(
      { respond: (message) => message, log: silent, tcpLimits: { idleMs: 100 } },
      { address: ip("127.0.0.1"), port: port(0) },
      () => pair,
    );
    for (const head of [[], [22, 3, 1, 4, 0, 1]]) {
      const socket = connect({ host: "127.0.0.1", port: listener.port });
      socket.on("error", () => undefined);
      const closed = new Promise<void>((resolve) => {
        socket.once("close", () => {
          resolve();
        });
      });
      socket.resume();
      socket.write(Uint8Array.from(head));
      const trickle = setInterval(() => socket.write(Uint8Array.of(0)), 10);
      await closed;
      clearInterval(trickle);
    }
  });

  it("counts a connection once, and keeps those that speak", async () => {
    const { pair, ca } = makeSigned();
    await using listener = await listenTls(
      { respond: (message) => message.slice(), log: silent, tcpLimits: { maxConnections: 3 } },
      { address: ip("127.0.0.1"), port: port(0) },
      () => pair,
    );
    const sockets = await Promise.all(
      Array.from({ length: 3 }, () => openSecurely(listener.port, ca)),
    );
    const [first, second] = sockets;
    assert.ok(first && second);
    assert.equal(await echoed(first, "a"), "a");
    const gone = once(second.resume(), "close");
    const fourth = await openSecurely(listener.port, ca);
    assert.equal(await echoed(first, "b"), "b");
    assert.equal(await echoed(fourth, "c"), "c");
    await gone;
    for (const socket of [...sockets, fourth]) socket.destroy();
  });

  it("shows a renewed certificate from the next handshake on, and drops no connection for it", async () => {
    const made = makeSigned();
    let pair = made.pair;
    await using listener = await listenTls(
      { respond: (message) => message.slice(), log: silent },
      { address: ip("127.0.0.1"), port: port(0) },
      () => pair,
    );
    const old = await openSecurely(listener.port, made.ca);
    pair = made.renew();
    const next = await openSecurely(listener.port, made.ca);
    assert.notEqual(next.getPeerCertificate().serialNumber, old.getPeerCertificate().serialNumber);
    assert.equal(await echoed(old, "on the old one"), "on the old one");
    // What cannot be used changes nothing.
    pair = { cert: "garbage", key: "garbage" };
    const third = await openSecurely(listener.port, made.ca);
    assert.equal(third.getPeerCertificate().serialNumber, next.getPeerCertificate().serialNumber);
    for (const socket of [old, next, third]) socket.destroy();
  });

  it("follows certificates in files, and keeps the old one while they do not belong together", async () => {
    const made = makeSigned();
    const folder = await mkdtemp(join(tmpdir(), "portolan-dns-tls-"));
    const files = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
    await writeFile(files.cert, made.pair.cert);
    await assert.rejects(followCertificateFiles(silent, files, 5), /tls\.key cannot be read/);
    await writeFile(files.key, made.renew().key);
    await assert.rejects(followCertificateFiles(silent, files, 5), /is not the key of/);
    await writeFile(files.key, made.pair.key);
    let complaints = 0;
    const log = { ...silent, warn: () => (complaints += 1) };
    await using following = await followCertificateFiles(log, files, 5);
    assert.equal(following.source().cert, made.pair.cert);
    const renewed = made.renew();
    await writeFile(files.cert, renewed.cert);
    while (complaints === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(following.source().cert, made.pair.cert);
    await writeFile(files.key, renewed.key);
    while (following.source().cert !== renewed.cert) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(following.source().key, renewed.key);
    await rm(folder, { recursive: true });
  });

  it("lets in only clients with a certificate by an authority that it is told, where it has to", {
    skip: hasDig ? false : "needs dig",
  }, async () => {
    const made = makeSigned();
    const other = makeSigned();
    const folder = await mkdtemp(join(tmpdir(), "portolan-dns-tls-"));
    const files = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
    const ca = join(folder, "ca.crt");
    const [mine, stranger] = ["mine", "stranger"].map((name) => join(folder, name));
    assert.ok(mine !== undefined && stranger !== undefined);
    await writeFile(files.cert, made.pair.cert);
    await writeFile(files.key, made.pair.key);
    await writeFile(ca, made.ca);
    for (const [path, signed] of [
      [mine, made],
      [stranger, other],
    ] as const) {
      const { cert, key } = signed.clientPair;
      await writeFile(`${path}.crt`, cert);
      await writeFile(`${path}.key`, key);
    }
    const web = service("web", { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] });
    const index = indexOf([web], []);
    const respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, [
      { zones: [[]], cluster: { index: () => index, zone: zoneOptions }, forwards: [] },
    ]);
    for (const [policy, welcome] of [
      ["require_and_verify", [false, true, false]],
      ["verify_if_given", [true, true, false]],
      ["require", [false, true, true]],
    ] as const) {
      const clients = { policy, ca };
      await using following = await followCertificateFiles(silent, { ...files, clients });
      await using listener = await listenTls(
        { respond, log: silent },
        { address: ip("127.0.0.1"), port: port(0) },
        following.source,
      );
      const answers: readonly Promise<boolean>[] = [undefined, mine, stranger].map(
        async (path): Promise<boolean> => {
          const shown =
            path === undefined
              ? []
              : [`+tls-ca=${ca}`, `+tls-certfile=${path}.crt`, `+tls-keyfile=${path}.key`];
          const where = ["@127.0.0.1", "-p", String(listener.port), "+tls", ...shown];
          const asked = ["+short", "+tries=1", "+time=5", "web.default.svc.cluster.local"];
          const { stdout } = await run("dig", [...where, ...asked]).catch(() => ({ stdout: "" }));
          return stdout.trim() === "10.96.0.10";
        },
      );
      assert.deepEqual(await Promise.all(answers), welcome, policy);
    }
    await writeFile(ca, "garbage");
    const wrong = { ...files, clients: { policy: "require_and_verify", ca } } as const;
    await assert.rejects(
      followCertificateFiles(silent, wrong),
      /ca\.crt has no certificate in PEM/,
    );
    await rm(folder, { recursive: true });
  });

  it("asks for clients' certificates from the next handshake on when it is told to", async () => {
    const made = makeSigned();
    let shown: ServingCertificate = made.pair;
    await using listener = await listenTls(
      { respond: (message) => message.slice(), log: silent, tcpLimits: { idleMs: 200 } },
      { address: ip("127.0.0.1"), port: port(0) },
      () => shown,
    );
    const before = await openSecurely(listener.port, made.ca);
    assert.equal(await echoed(before, "a"), "a");
    shown = { ...made.pair, clients: { policy: "require_and_verify", ca: made.ca } };
    const refused = connectTls({ host: "127.0.0.1", port: listener.port, ca: made.ca });
    const [error] = (await once(refused, "error")) as [Error & { code?: string }];
    assert.equal(error.code, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
    const { cert, key } = made.clientPair;
    const host = { host: "127.0.0.1", port: listener.port, ca: made.ca };
    const known = connectTls({ ...host, cert, key });
    await once(known, "secureConnect");
    assert.equal(await echoed(known, "b"), "b");
    // Whoever says nothing is let go of, before its handshake and after it.
    const silentOne = connect(host);
    await Promise.all([once(silentOne.resume(), "close"), once(known.resume(), "close")]);
    before.destroy();
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
