import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { every } from "../async/every.ts";
import type { Logger } from "../telemetry/log.ts";
import type { CertificateSource, ServingCertificate } from "./serving-certificate.ts";

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
  files: { readonly cert: string; readonly key: string },
  lookMs = LOOK_MS,
): Promise<CertificateFiles> {
  let current = await readBoth(files);
  check(current, files);
  let complained: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const found = await readBoth(files);
      if (found.cert === current.cert && found.key === current.key) return;
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

async function readBoth(files: {
  readonly cert: string;
  readonly key: string;
}): Promise<ServingCertificate> {
  const [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)]);
  return { cert, key };
}

function check({ cert, key }: ServingCertificate, files: { cert: string; key: string }): void {
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
