import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { parseIpAddress } from "../net/address.ts";

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** The user, for client certificates. */
  readonly commonName: string;
  /** The user's groups, for client certificates. */
  readonly organizations: readonly string[];
  /** DNS names and addresses that a server certificate holds for; empty for a client. */
  readonly alternativeNames: readonly string[];
  readonly usage: "client" | "server";
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Clocks that are slightly behind must not refuse a new certificate. */
const BACKDATE_MS = 5 * 60_000;

interface Authority {
  readonly pem: KeyPair;
  readonly subject: string;
  readonly privateKey: webcrypto.CryptoKey;
}

/** A new certificate authority, valid for ten years. Key: ECDSA P-256. */
export async function makeAuthority(commonName: string, nowMs: number): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + 3650 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature |
          x509.KeyUsageFlags.keyCertSign |
          x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    pem: { certificate: pemOf(certificate), key: await privatePem(keys.privateKey) },
    subject: certificate.subject,
    privateKey: keys.privateKey,
  };
}

/** An authority that was made before. */
export async function loadAuthority(pem: KeyPair): Promise<Authority> {
  const certificate = new x509.X509Certificate(pem.certificate);
  const der = x509.PemConverter.decodeFirst(pem.key);
  const privateKey = await crypto.subtle.importKey("pkcs8", der, ALGORITHM, true, ["sign"]);
  return { pem, subject: certificate.subject, privateKey };
}

/** A certificate signed by the authority, valid for one year, with a new key. */
export async function makeCertificate(
  authority: Authority,
  request: CertificateRequest,
  nowMs: number,
): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const names = request.alternativeNames.map((value): x509.JsonGeneralName => {
    const address = parseIpAddress(value);
    return address === undefined ? { type: "dns", value } : { type: "ip", value: address };
  });
  const usage =
    request.usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [
      ...request.organizations.map((organization) => ({ O: [organization] })),
      { CN: [request.commonName] },
    ],
    issuer: authority.subject,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + 365 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return { certificate: pemOf(certificate), key: await privatePem(keys.privateKey) };
}

/** 16 random bytes, positive, as hexadecimal. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`;
}
