import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { ipToBytes, parseIpAddress } from "../net/address.ts";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  time,
  utf8String,
} from "./der.ts";

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

/** Who signs certificates. */
export interface Authority {
  readonly pem: KeyPair;
  readonly name: Uint8Array;
  readonly keyId: Uint8Array;
  readonly privateKey: KeyObject;
}

const DAY_MS = 86_400_000;
/** Clocks that are slightly behind must not refuse a new certificate. */
const BACKDATE_MS = 5 * 60_000;

const ECDSA_WITH_SHA256 = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const COMMON_NAME = "2.5.4.3";
const ORGANIZATION = "2.5.4.10";
const EXTENDED_KEY_USAGE = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;
/** Bits of KeyUsage (RFC 5280 4.2.1.3): digitalSignature; with keyCertSign and cRLSign. */
const SIGN_ONLY = bitString(Buffer.from([0b1000_0000]), 7);
const SIGN_CERTIFICATES = bitString(Buffer.from([0b1000_0110]), 1);

/** A new certificate authority, valid for ten years. Key: ECDSA P-256. */
export function makeAuthority(commonName: string, nowMs: number): Authority {
  const { publicKey, privateKey } = newKey();
  const name = nameOf([[COMMON_NAME, commonName]]);
  const keyId = keyIdOf(publicKey);
  const certificate = signed(
    {
      issuer: name,
      subject: name,
      publicKey,
      notBefore: nowMs - BACKDATE_MS,
      notAfter: nowMs + 3650 * DAY_MS,
      extensions: [
        extension("2.5.29.19", true, sequence(boolean(true))),
        extension("2.5.29.15", true, SIGN_CERTIFICATES),
        extension("2.5.29.14", false, octetString(keyId)),
      ],
    },
    privateKey,
  );
  return { pem: { certificate, key: pemOfKey(privateKey) }, name, keyId, privateKey };
}

/** An authority that {@link makeAuthority} made before. */
export function loadAuthority(commonName: string, pem: KeyPair): Authority {
  const { publicKey } = new X509Certificate(pem.certificate);
  return {
    pem,
    name: nameOf([[COMMON_NAME, commonName]]),
    keyId: keyIdOf(publicKey),
    privateKey: createPrivateKey(pem.key),
  };
}

/** A certificate signed by the authority, valid for one year, with a new key. */
export function makeCertificate(
  authority: Authority,
  request: CertificateRequest,
  nowMs: number,
): KeyPair {
  const { publicKey, privateKey } = newKey();
  const { organizations, commonName, alternativeNames, usage } = request;
  const extensions = [
    extension("2.5.29.19", true, sequence()),
    extension("2.5.29.15", true, SIGN_ONLY),
    extension("2.5.29.37", false, sequence(objectIdentifier(EXTENDED_KEY_USAGE[usage]))),
    extension("2.5.29.35", false, sequence(implicit(0, authority.keyId))),
  ];
  if (alternativeNames.length > 0) {
    extensions.push(extension("2.5.29.17", false, sequence(...alternativeNames.map(generalName))));
  }
  const certificate = signed(
    {
      issuer: authority.name,
      subject: nameOf([
        ...organizations.map((organization) => [ORGANIZATION, organization] as const),
        [COMMON_NAME, commonName],
      ]),
      publicKey,
      notBefore: nowMs - BACKDATE_MS,
      notAfter: nowMs + 365 * DAY_MS,
      extensions,
    },
    authority.privateKey,
  );
  return { certificate, key: pemOfKey(privateKey) };
}

interface Contents {
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Uint8Array[];
}

/** A version 3 certificate (RFC 5280 4.1), as PEM. */
function signed(contents: Contents, key: KeyObject): string {
  const serialNumber = randomBytes(16);
  // Positive, without a leading zero byte.
  serialNumber[0] = ((serialNumber[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serialNumber),
    ECDSA_WITH_SHA256,
    contents.issuer,
    sequence(time(contents.notBefore), time(contents.notAfter)),
    contents.subject,
    contents.publicKey.export({ type: "spki", format: "der" }),
    explicit(3, sequence(...contents.extensions)),
  );
  const signature = sign("sha256", body, { key, dsaEncoding: "der" });
  const der = sequence(body, ECDSA_WITH_SHA256, bitString(signature));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function newKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** SHA-1 of the public key, as RFC 5280 4.2.1.2 suggests; it identifies and secures nothing. */
function keyIdOf(publicKey: KeyObject): Uint8Array {
  return createHash("sha1")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
}

function nameOf(attributes: readonly (readonly [type: string, text: string])[]): Buffer {
  return sequence(
    ...attributes.map(([type, text]) => setOf(sequence(objectIdentifier(type), utf8String(text)))),
  );
}

function extension(id: string, isCritical: boolean, content: Uint8Array): Buffer {
  return sequence(
    objectIdentifier(id),
    ...(isCritical ? [boolean(true)] : []),
    octetString(content),
  );
}

function generalName(text: string): Buffer {
  const address = parseIpAddress(text);
  return address === undefined
    ? implicit(2, Buffer.from(text, "ascii"))
    : implicit(7, ipToBytes(address));
}
