import { X509Certificate, createPrivateKey } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { loadAuthority, makeAuthority, makeCertificate } from "./certificate-maker.ts";
import type { CertificateRequest, KeyPair } from "./certificate-maker.ts";
import { writeWhole } from "./whole-file.ts";

export interface ClusterCertificates {
  /** PEM of the authority that signed all others; its key stays in the data directory. */
  readonly authority: string;
  /** The API server's serving certificate. */
  readonly apiServer: KeyPair;
  /** User `kubernetes-admin` in `system:masters`: for the kubeconfig. */
  readonly admin: KeyPair;
  /** The API server as a client of node agents. */
  readonly agentClient: KeyPair;
  /** The node agent's serving certificate. */
  readonly agent: KeyPair;
}

export interface CertificateOptions {
  /** Where certificates are kept and reused from; undefined: nowhere. */
  readonly dir: string | undefined;
  /** Names and addresses beyond those that every API server has. */
  readonly apiServerNames: readonly string[];
  /** Names and addresses at which the agent serves. */
  readonly agentNames: readonly string[];
  readonly clusterDomain: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** A certificate with less than this left is made anew at start. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * The certificates of a cluster: read from the data directory where they are still good, made where not.
 * Keys are written with mode 0600.
 * @throws Error when the directory cannot be read or written, naming the file.
 */
export async function clusterCertificates(
  options: CertificateOptions,
): Promise<ClusterCertificates> {
  const { dir, now } = options;
  const requests = requestsOf(options);
  const [ca, ...pairs] = await Promise.all(
    ["ca", ...requests.map(({ file }) => file)].map((file) => readPair(dir, file)),
  );
  const authority = ca !== undefined && isGood(ca, undefined, [], now()) ? ca : undefined;
  const kept = requests.map(({ request }, i) => {
    const pair = pairs[i];
    const isKept =
      pair !== undefined &&
      authority !== undefined &&
      isGood(pair, authority, request.alternativeNames, now());
    return isKept ? pair : undefined;
  });
  const made = kept.every((pair) => pair !== undefined)
    ? { authority, pairs: kept }
    : await makeMissing(options, authority, requests, kept);
  const [apiServer, admin, agentClient, agent] = made.pairs;
  if (!made.authority || !apiServer || !admin || !agentClient || !agent) {
    throw new Error("a certificate is missing after all were made");
  }
  return { authority: made.authority.certificate, apiServer, admin, agentClient, agent };
}

/**
 * A new client certificate by the authority in `dir`, which {@link clusterCertificates} made there.
 * @throws Error when there is none.
 */
export async function clientCertificate(
  dir: string,
  options: { readonly user: string; readonly groups: readonly string[]; readonly nowMs: number },
): Promise<KeyPair> {
  const pem = await readPair(dir, "ca");
  if (pem === undefined) throw new Error(`no certificate authority in ${dir}`);
  return makeCertificate(
    loadAuthority(AUTHORITY_NAME, pem),
    {
      commonName: options.user,
      organizations: options.groups,
      alternativeNames: [],
      usage: "client",
    },
    options.nowMs,
  );
}

/**
 * A server's certificate by the authority in `dir`, which {@link clusterCertificates} made there, for a part that is
 * to show one for years: what this gives is to be asked for the one to show at each handshake. It is made anew, with
 * another key, when less than a month of it is left, and is nowhere but in memory.
 * @throws Error when there is no authority.
 */
export async function renewingCertificate(
  dir: string,
  options: {
    readonly commonName: string;
    /** Names and addresses. */
    readonly names: readonly string[];
    /** Epoch milliseconds. */
    readonly now: () => number;
  },
): Promise<() => KeyPair> {
  const { commonName, names, now } = options;
  const pem = await readPair(dir, "ca");
  if (pem === undefined) throw new Error(`no certificate authority in ${dir}`);
  const authority = loadAuthority(AUTHORITY_NAME, pem);
  const alternativeNames = [...new Set(names)];
  const make = (): { readonly pair: KeyPair; readonly renewAtMs: number } => {
    const request = { commonName, organizations: [], alternativeNames, usage: "server" } as const;
    const pair = makeCertificate(authority, request, now());
    const { validTo } = new X509Certificate(pair.certificate);
    return { pair, renewAtMs: Date.parse(validTo) - RENEW_BEFORE_MS };
  };
  let current = make();
  return () => {
    if (now() >= current.renewAtMs) current = make();
    return current.pair;
  };
}

interface NamedRequest {
  readonly file: string;
  readonly request: CertificateRequest;
}

function requestsOf(options: CertificateOptions): readonly NamedRequest[] {
  const domain = options.clusterDomain;
  const serverNames = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${domain}`,
    ...options.apiServerNames,
  ];
  const client = (commonName: string, organizations: readonly string[]): CertificateRequest => ({
    commonName,
    organizations,
    alternativeNames: [],
    usage: "client",
  });
  const server = (commonName: string, names: readonly string[]): CertificateRequest => ({
    commonName,
    organizations: [],
    alternativeNames: [...new Set(names)],
    usage: "server",
  });
  return [
    { file: "apiserver", request: server("kube-apiserver", serverNames) },
    { file: "admin", request: client("kubernetes-admin", ["system:masters"]) },
    {
      file: "apiserver-kubelet-client",
      request: client("kube-apiserver-kubelet-client", ["system:masters"]),
    },
    {
      file: "kubelet",
      request: server("portolan-agent", ["localhost", "127.0.0.1", "::1", ...options.agentNames]),
    },
  ];
}

const AUTHORITY_NAME = "portolan-ca";

async function makeMissing(
  { dir, now }: CertificateOptions,
  known: KeyPair | undefined,
  requests: readonly NamedRequest[],
  kept: readonly (KeyPair | undefined)[],
): Promise<{ readonly authority: KeyPair; readonly pairs: readonly KeyPair[] }> {
  const authority =
    known === undefined
      ? makeAuthority(AUTHORITY_NAME, now())
      : loadAuthority(AUTHORITY_NAME, known);
  const pairs = requests.map(
    ({ request }, i) => kept[i] ?? makeCertificate(authority, request, now()),
  );
  if (dir !== undefined) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writePair(dir, "ca", authority.pem);
    await Promise.all(pairs.map((pair, i) => writePair(dir, requests[i]?.file ?? "", pair)));
  }
  return { authority: authority.pem, pairs };
}

/** Not expired soon, signed by the authority, its key beside it, and valid for all names. */
function isGood(
  pair: KeyPair,
  authority: KeyPair | undefined,
  names: readonly string[],
  nowMs: number,
): boolean {
  try {
    const certificate = new X509Certificate(pair.certificate);
    const issuer =
      authority === undefined ? certificate : new X509Certificate(authority.certificate);
    return (
      Date.parse(certificate.validTo) - nowMs > RENEW_BEFORE_MS &&
      certificate.verify(issuer.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(pair.key)) &&
      names.every((name) =>
        isIP(name) === 0
          ? certificate.checkHost(name) !== undefined
          : certificate.checkIP(name) !== undefined,
      )
    );
  } catch {
    // Files that do not parse are as good as none: they are made anew.
    return false;
  }
}

async function readPair(dir: string | undefined, file: string): Promise<KeyPair | undefined> {
  if (dir === undefined) return undefined;
  const [certificate, key] = await Promise.all([
    readIfThere(join(dir, `${file}.crt`)),
    readIfThere(join(dir, `${file}.key`)),
  ]);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}

async function writePair(dir: string, file: string, pair: KeyPair): Promise<void> {
  await writeWhole(join(dir, `${file}.key`), pair.key, 0o600);
  await writeWhole(join(dir, `${file}.crt`), pair.certificate, 0o644);
}
