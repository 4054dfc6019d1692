import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { clusterCertificates, renewingCertificate } from "./certificates.ts";
import type { CertificateOptions } from "./certificates.ts";

const DAY_MS = 86_400_000;
const START = Date.now();

function options(dir: string | undefined, more: Partial<CertificateOptions> = {}) {
  return {
    dir,
    apiServerNames: ["10.96.0.1"],
    agentNames: ["127.112.0.1"],
    clusterDomain: "cluster.local",
    now: () => START,
    ...more,
  };
}

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "portolan-pki-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe("clusterCertificates()", () => {
  it("makes certificates that the authority signed and that their keys fit", async () => {
    const made = await clusterCertificates(options(undefined));
    const authority = new X509Certificate(made.authority);
    assert.equal(authority.ca, true);
    for (const { certificate } of [made.apiServer, made.admin, made.agentClient, made.agent]) {
      const parsed = new X509Certificate(certificate);
      assert.equal(parsed.checkIssued(authority), true);
      assert.equal(parsed.verify(authority.publicKey), true);
      assert.equal(parsed.ca, false);
    }
  });

  it("puts names and addresses into the server's certificate", async () => {
    const { apiServer } = await clusterCertificates(options(undefined));
    const certificate = new X509Certificate(apiServer.certificate);
    assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(certificate.checkIP("10.96.0.1"), "10.96.0.1");
    assert.ok(certificate.checkIP("::1"));
    assert.ok(certificate.checkHost("kubernetes.default.svc.cluster.local"));
    assert.equal(certificate.checkIP("10.96.0.2"), undefined);
  });

  it("names user and groups in the admin's certificate", async () => {
    const { admin } = await clusterCertificates(options(undefined));
    const { subject } = new X509Certificate(admin.certificate);
    assert.equal(subject, "O=system:masters\nCN=kubernetes-admin");
  });

  it("reuses what is still good, and keeps keys from others", async () => {
    await using dir = await temporary();
    const first = await clusterCertificates(options(dir.path));
    const second = await clusterCertificates(options(dir.path));
    assert.deepEqual(second, first);
    assert.equal((await stat(join(dir.path, "ca.key"))).mode & 0o777, 0o600);
    assert.equal((await stat(join(dir.path, "admin.key"))).mode & 0o777, 0o600);
  });

  it("makes a certificate anew when it runs out or lacks a name, under the same authority", async () => {
    await using dir = await temporary();
    const first = await clusterCertificates(options(dir.path));
    const renamed = await clusterCertificates(options(dir.path, { apiServerNames: ["10.96.0.9"] }));
    assert.notEqual(renamed.apiServer.certificate, first.apiServer.certificate);
    assert.equal(renamed.admin.certificate, first.admin.certificate);
    const later = await clusterCertificates(options(dir.path, { now: () => START + 340 * DAY_MS }));
    assert.notEqual(later.admin.certificate, first.admin.certificate);
    assert.equal(later.authority, first.authority);
  });

  it("makes everything anew when the authority's file is damaged", async () => {
    await using dir = await temporary();
    const first = await clusterCertificates(options(dir.path));
    await writeFile(join(dir.path, "ca.crt"), "nonsense");
    const second = await clusterCertificates(options(dir.path));
    assert.notEqual(second.authority, first.authority);
    assert.equal(await readFile(join(dir.path, "ca.crt"), "utf8"), second.authority);
    const authority = new X509Certificate(second.authority);
    assert.equal(new X509Certificate(second.admin.certificate).verify(authority.publicKey), true);
  });
});

describe("renewingCertificate()", () => {
  it("gives one certificate until a month of it is left, and then another by the same authority", async () => {
    await using dir = await temporary();
    const made = await clusterCertificates(options(dir.path));
    const authority = new X509Certificate(made.authority);
    let now = START;
    const names = ["10.96.0.10", "kube-dns.kube-system.svc.cluster.local"];
    const give = await renewingCertificate(dir.path, {
      commonName: "portolan-dns",
      names,
      now: () => now,
    });
    const first = give();
    now += 334 * DAY_MS;
    assert.equal(give(), first);
    now += 2 * DAY_MS;
    const second = give();
    assert.notEqual(second.key, first.key);
    assert.equal(give(), second);
    for (const { certificate } of [first, second]) {
      const parsed = new X509Certificate(certificate);
      assert.ok(parsed.verify(authority.publicKey));
      assert.equal(parsed.checkIP("10.96.0.10"), "10.96.0.10");
      assert.ok(parsed.checkHost("kube-dns.kube-system.svc.cluster.local"));
    }
    assert.ok(Date.parse(new X509Certificate(second.certificate).validTo) > now + 364 * DAY_MS);
  });

  it("says when there is no authority", async () => {
    await using dir = await temporary();
    const given = renewingCertificate(dir.path, { commonName: "x", names: [], now: () => START });
    await assert.rejects(given, /no certificate authority in/);
  });
});
