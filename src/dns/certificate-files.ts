import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { every } from "../async/every.ts";
import type { TlsConfig } from "../core/dns/corefile/tls-directive.ts";
import type { Logger } from "../telemetry/log.ts";
import { isSameCertificate } from "./serving-certificate.ts";
import type { CertificateSource, ServingCertificate } from "./serving-certificate.ts";

/** Paths, and what clients have to show. */
type CertificatePaths = Pick<TlsConfig, "cert" | "key"> & Partial<TlsConfig>;

export interface CertificateFiles extends AsyncDisposable {
  readonly source: CertificateSource;
}

/** How often the files are looked at. */
const LOOK_MS = 10_000;

/**
 * Follows a certificate and its key in files, for whoever renews them there. Files that cannot be read or do not
 * belong together, as while somebody writes one after the other, change nothing until they do.
 * @throws Error that names the file, when there is nothing to begin with.
 */
export async function followCertificateFiles(
  log: Logger,
  files: CertificatePaths,
  lookMs = LOOK_MS,
): Promise<CertificateFiles> {
  let current = await readAll(files);
  check(current, files);
  let complained: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const found = await readAll(files);
      if (isSameCertificate(found, current)) return;
      check(found, files);
      current = found;
      complained = undefined;
    } catch (error) {
      // Once for each thing that is wrong: it may be so for long.
      if (complained !== String(error)) {
        log.warn("dns certificate not read, the old one stays", { error });
      }
      complained = String(error);
    }
  };
  return { source: () => current, ...every(lookMs, look) };
}

async function readAll({ cert, key, clients }: CertificatePaths): Promise<ServingCertificate> {
  const ca = clients?.ca;
  const [certPem, keyPem, caPem] = await Promise.all([
    readPem(cert),
    readPem(key),
    ca === undefined ? undefined : readPem(ca),
  ]);
  const pair = { cert: certPem, key: keyPem };
  if (clients === undefined) return pair;
  if (caPem !== undefined) checkAuthorities(caPem, ca ?? "");
  return { ...pair, clients: { policy: clients.policy, ca: caPem } };
}

function checkAuthorities(pem: string, path: string): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new Error(`${path} has no certificate in PEM`, { cause });
  }
}

function check({ cert, key }: ServingCertificate, files: CertificatePaths): void {
  let isPair: boolean;
  try {
    isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new Error(`${files.cert} and ${files.key} are no certificate and key in PEM`, { cause });
  }
  if (!isPair) throw new Error(`${files.key} is not the key of the certificate ${files.cert}`);
}

/** @throws Error that names the file. */
export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`${path} cannot be read`, { cause });
  }
}
