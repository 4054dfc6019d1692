import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { renewingCertificate } from "../../apiserver/certificates.ts";
import { writeWhole } from "../../apiserver/whole-file.ts";
import { every } from "../../async/every.ts";
import type { Logger } from "../../telemetry/log.ts";
import { dnsNames } from "../kube-dns.ts";
import { DNS_CERTIFICATE } from "./parts.ts";
import type { ControlConfig } from "./parts.ts";

/** How often it is looked whether the certificate is to be renewed: it has a month for that. */
const LOOK_MS = 3_600_000;

/**
 * Gives each node the certificate of its DNS server over TLS, by the cluster's authority, and a new one in time. All
 * nodes have the same: each is the server at the cluster's DNS address.
 */
export async function renewDnsCertificates(
  config: ControlConfig,
  log: Logger,
): Promise<AsyncDisposable> {
  const certificate = await renewingCertificate(join(config.dir, "certificates"), {
    commonName: "portolan-dns",
    names: dnsNames(config.clusterDomain, config.clusterDns),
    now: Date.now,
  });
  let written = certificate();
  const write = async (): Promise<void> => {
    for (const { name } of config.nodes) {
      const dir = join(config.nodesDir, name);
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeWhole(join(dir, DNS_CERTIFICATE.key), written.key);
      await writeWhole(join(dir, DNS_CERTIFICATE.cert), written.certificate);
    }
  };
  await write();
  return every(LOOK_MS, async () => {
    if (certificate() === written) return;
    written = certificate();
    await write().catch((error: unknown) => {
      log.error("dns certificate not written", { error });
    });
  });
}
