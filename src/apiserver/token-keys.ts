import { createHash, createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import type { JsonWebKey, KeyObject } from "node:crypto";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { writeWhole } from "./whole-file.ts";

/** A key that signs tokens. */
export interface SigningKey {
  /** `kid` in tokens and in the key set: base64url of the SHA-256 of the public key, as upstream. */
  readonly id: string;
  readonly algorithm: "ES256" | "RS256";
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly madeMs: number;
}

/** Tokens live no longer than this, so that keys can be forgotten. */
export const MAX_TOKEN_MS = 365 * 86_400_000;
/** The newest key is followed by a new one after so long. */
const ROTATE_AFTER_MS = 90 * 86_400_000;
/** The number is when the key was made, in seconds since 1970. */
const FILE = /^service-account-(\d{1,11})\.key$/;

/**
 * The keys of ServiceAccount tokens: the newest signs, all verify. They lie as PEM files of mode 0600 beside
 * the certificates, `service-account-SECONDS.key`; RSA keys that are put there work too. Made and read on
 * first use, since most clusters never ask for a token.
 */
export class TokenKeys {
  readonly #dir: string | undefined;
  readonly #now: () => number;
  /** Newest first. Calls follow one another, so that two do not make a key each. */
  #keys: Promise<readonly SigningKey[]> | undefined;

  /** @param options.dir undefined: keys are kept in memory only. */
  constructor(options: { readonly dir: string | undefined; readonly now: () => number }) {
    this.#dir = options.dir;
    this.#now = options.now;
  }

  /**
   * Newest first, never empty.
   * @throws Error when the folder cannot be read or written, naming it.
   */
  async all(): Promise<readonly [SigningKey, ...SigningKey[]]> {
    const before = this.#keys ?? this.#read();
    const next = before.then((keys) => this.#current(keys));
    this.#keys = next;
    try {
      const [newest, ...older] = await next;
      if (newest === undefined) throw new Error("no signing key was made");
      return [newest, ...older];
    } catch (error) {
      // The next call reads anew: the disk may be back.
      if (this.#keys === next) this.#keys = undefined;
      throw error;
    }
  }

  /** The public keys as a JSON Web Key Set (RFC 7517). */
  async publicSet(): Promise<{ readonly keys: readonly JsonWebKey[] }> {
    const keys = await this.all();
    return {
      keys: keys.map(({ id, algorithm, publicKey }) => ({
        use: "sig",
        kid: id,
        alg: algorithm,
        ...publicKey.export({ format: "jwk" }),
      })),
    };
  }

  /** With a new key where the newest is too old, without those that no living token can be signed with. */
  async #current(keys: readonly SigningKey[]): Promise<readonly SigningKey[]> {
    const nowMs = this.#now();
    const [newest] = keys;
    const isFresh = newest !== undefined && nowMs - newest.madeMs < ROTATE_AFTER_MS;
    const all = isFresh ? keys : [await this.#make(nowMs), ...keys];
    const kept = all.filter((_, i) => {
      const successor = all[i - 1];
      return successor === undefined || nowMs - successor.madeMs < MAX_TOKEN_MS;
    });
    for (const { madeMs } of all.slice(kept.length)) {
      if (this.#dir !== undefined) await rm(join(this.#dir, fileOf(madeMs)), { force: true });
    }
    return kept;
  }

  async #make(nowMs: number): Promise<SigningKey> {
    const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
    const madeMs = Math.floor(nowMs / 1000) * 1000;
    if (this.#dir !== undefined) {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      const path = join(this.#dir, fileOf(madeMs));
      const pem = privateKey.export({ type: "pkcs8", format: "pem" });
      await writeWhole(path, pem);
    }
    return signingKey(privateKey, madeMs);
  }

  async #read(): Promise<readonly SigningKey[]> {
    const dir = this.#dir;
    if (dir === undefined) return [];
    const names = await readdir(dir).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw new Error(`cannot read the keys of ServiceAccount tokens in ${dir}`, { cause: error });
    });
    const found = names.flatMap((name) => {
      const seconds = FILE.exec(name)?.[1];
      return seconds === undefined ? [] : [{ name, madeMs: Number(seconds) * 1000 }];
    });
    const keys = found.map(async ({ name, madeMs }) => {
      const path = join(dir, name);
      try {
        return signingKey(createPrivateKey(await readFile(path)), madeMs);
      } catch (error) {
        throw new Error(`${path} is no private key that can be used`, { cause: error });
      }
    });
    return (await Promise.all(keys)).toSorted((a, b) => b.madeMs - a.madeMs);
  }
}

function fileOf(madeMs: number): string {
  return `service-account-${String(madeMs / 1000)}.key`;
}

function signingKey(privateKey: KeyObject, madeMs: number): SigningKey {
  const publicKey = createPublicKey(privateKey);
  const der = publicKey.export({ type: "spki", format: "der" });
  const type = privateKey.asymmetricKeyType;
  if (type !== "ec" && type !== "rsa") {
    throw new Error(`a key of type ${String(type)} cannot sign tokens; it must be EC P-256 or RSA`);
  }
  return {
    id: createHash("sha256").update(der).digest("base64url"),
    algorithm: type === "rsa" ? "RS256" : "ES256",
    privateKey,
    publicKey,
    madeMs,
  };
}
