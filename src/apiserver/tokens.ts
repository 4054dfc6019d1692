import { createHash, randomUUID, sign } from "node:crypto";
import type { TokenKeys } from "./token-keys.ts";

/** A name with the UID that tells objects of that name apart. */
export interface NamedObject {
  readonly name: string;
  readonly uid: string;
}

/** The private part of a token, as upstream's bound tokens have it. */
export interface AccountClaims {
  readonly namespace: string;
  readonly serviceaccount: NamedObject;
  readonly pod?: NamedObject | undefined;
  readonly node?: NamedObject | undefined;
  readonly secret?: NamedObject | undefined;
}

/** A token whose signature and times are good. */
export interface VerifiedToken {
  readonly id: string;
  readonly audiences: readonly string[];
  readonly account: AccountClaims;
}

interface Remembered {
  readonly token: VerifiedToken;
  readonly expiresMs: number;
}

const CLAIM = "kubernetes.io";
/** Verified tokens that are remembered: a signature costs a hundred times what a look-up does. */
const MAX_REMEMBERED = 2048;

export interface TokensOptions {
  readonly keys: TokenKeys;
  readonly issuer: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Signs and verifies ServiceAccount tokens (JWT). Whether their objects still exist is for others to say. */
export class Tokens {
  readonly #options: TokensOptions;
  /** By hash of the token, oldest first. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  get issuer(): string {
    return this.#options.issuer;
  }

  get keys(): TokenKeys {
    return this.#options.keys;
  }

  async sign(
    subject: string,
    account: AccountClaims,
    audiences: readonly string[],
    expiresMs: number,
  ): Promise<string> {
    const { keys, issuer, now } = this.#options;
    const [{ algorithm, id, privateKey }] = await keys.all();
    const nowSeconds = Math.floor(now() / 1000);
    const claims = {
      [CLAIM]: account,
      iss: issuer,
      sub: subject,
      aud: audiences,
      iat: nowSeconds,
      nbf: nowSeconds,
      exp: Math.floor(expiresMs / 1000),
      jti: randomUUID(),
    };
    // RFC 7515, section 5.1. The package that verifies tokens takes long to load, and a Pod's first token is needed
    // before it starts.
    const text = [{ alg: algorithm, kid: id }, claims].map(base64url).join(".");
    const signature = sign("sha256", Buffer.from(text), {
      key: privateKey,
      // RFC 7518, section 3.4; of no meaning for RS256.
      dsaEncoding: "ieee-p1363",
    });
    return `${text}.${signature.toString("base64url")}`;
  }

  /** @returns undefined for a token that is not ours, is not well signed, or is over. */
  async verify(text: string): Promise<VerifiedToken | undefined> {
    const hash = createHash("sha256").update(text).digest("base64");
    const known = this.#remembered.get(hash);
    const nowMs = this.#options.now();
    if (known !== undefined) {
      if (known.expiresMs > nowMs) return known.token;
      this.#remembered.delete(hash);
      return undefined;
    }
    const verified = await this.#verify(text, nowMs);
    if (verified === undefined) return undefined;
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size < MAX_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(hash, verified);
    return verified.token;
  }

  async #verify(text: string, nowMs: number): Promise<Remembered | undefined> {
    const { keys, issuer } = this.#options;
    // Loaded on first use: few clusters are shown tokens, and the package costs start-up time.
    const [{ errors, jwtVerify }, all] = await Promise.all([import("jose"), keys.all()]);
    try {
      const { payload } = await jwtVerify(
        text,
        ({ kid, alg }) => {
          const key = all.find(({ id, algorithm }) => id === kid && algorithm === alg);
          if (key === undefined) throw new errors.JWKSNoMatchingKey();
          return key.publicKey;
        },
        {
          issuer,
          algorithms: ["ES256", "RS256"],
          requiredClaims: ["exp", "aud"],
          currentDate: new Date(nowMs),
        },
      );
      const account = accountClaims(payload[CLAIM]);
      if (account === undefined) return undefined;
      const audiences = [payload.aud ?? []].flat();
      const token = { id: payload.jti ?? "", audiences, account };
      return { token, expiresMs: (payload.exp ?? 0) * 1000 };
    } catch (error) {
      // Every way in which a token can be bad; the caller answers 401 to them all.
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** Only we sign, but an operator's key may have signed other things too. */
function accountClaims(claim: unknown): AccountClaims | undefined {
  if (typeof claim !== "object" || claim === null) return undefined;
  const { namespace, serviceaccount, pod, node, secret } = claim as Record<string, unknown>;
  const account = namedObject(serviceaccount);
  if (typeof namespace !== "string" || account === undefined) return undefined;
  return {
    namespace,
    serviceaccount: account,
    pod: namedObject(pod),
    node: namedObject(node),
    secret: namedObject(secret),
  };
}

function namedObject(value: unknown): NamedObject | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, uid } = value as Record<string, unknown>;
  return typeof name === "string" && typeof uid === "string" ? { name, uid } : undefined;
}
