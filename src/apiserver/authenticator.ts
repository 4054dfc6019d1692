import { timingSafeEqual } from "node:crypto";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { parseTimestamp } from "../api/machinery/time.ts";
import type { Secret } from "../api/v1/secret.ts";
import { accountGroups, accountUserName } from "../core/authorization/attributes.ts";
import type { User } from "./exchange.ts";
import type { Registry } from "./registry.ts";
import type { NamedObject, Tokens, VerifiedToken } from "./tokens.ts";

const AUTHENTICATED = "system:authenticated";
const EXTRA = "authentication.kubernetes.io";
const BOOTSTRAP_TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const BOOTSTRAP_GROUPS = "system:bootstrappers";
/** Browsers cannot set headers of a websocket, so the token comes as the name of a protocol. */
const PROTOCOL_PREFIX = "base64url.bearer.authorization.k8s.io.";

export interface AuthenticatorDeps {
  readonly registry: Registry;
  /** By resource name. */
  readonly kinds: ReadonlyMap<string, KindDefinition>;
  readonly tokens: Tokens;
  readonly now: () => number;
}

export interface Authenticated {
  readonly user: User;
  /** Of those asked for, whom the token is for. */
  readonly audiences: readonly string[];
}

/** Tells whose a bearer token is. */
export class Authenticator {
  readonly #deps: AuthenticatorDeps;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
  }

  /** Of a request's headers; undefined when they carry none that is good. */
  async byHeaders(headers: Readonly<Record<string, string>>): Promise<User | undefined> {
    const token = bearerOf(headers);
    if (token === undefined) return undefined;
    return (await this.byToken(token, [this.#deps.tokens.issuer]))?.user;
  }

  /** @param audiences the token must be for one of them. */
  async byToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    const [, id, secret] = BOOTSTRAP_TOKEN.exec(token) ?? [];
    if (id !== undefined && secret !== undefined) {
      const user = this.#byBootstrapToken(id, secret);
      // As upstream: such tokens are for the API server, and for whoever asks it.
      return user && { user, audiences };
    }
    const verified = await this.#deps.tokens.verify(token);
    if (verified === undefined) return undefined;
    const meant = audiences.filter((one) => verified.audiences.includes(one));
    if (meant.length === 0) return undefined;
    const user = this.#byAccount(verified);
    return user && { user, audiences: meant };
  }

  /** The account, and what the token is bound to, must still be the same objects. */
  #byAccount({ id, account }: VerifiedToken): User | undefined {
    const { namespace, serviceaccount, pod, node, secret } = account;
    const { name, uid } = serviceaccount;
    if (!this.#isThere("serviceaccounts", namespace, serviceaccount)) return undefined;
    if (pod !== undefined && !this.#isThere("pods", namespace, pod)) return undefined;
    if (secret !== undefined && !this.#isThere("secrets", namespace, secret)) return undefined;
    // With a Pod the node is only where it runs; alone it is what the token is bound to.
    if (pod === undefined && node !== undefined && !this.#isThere("nodes", "", node)) {
      return undefined;
    }
    return {
      name: accountUserName(namespace, name),
      uid,
      groups: [...accountGroups(namespace), AUTHENTICATED],
      extra: {
        [`${EXTRA}/credential-id`]: [`JTI=${id}`],
        ...(pod && { [`${EXTRA}/pod-name`]: [pod.name], [`${EXTRA}/pod-uid`]: [pod.uid] }),
        ...(node && { [`${EXTRA}/node-name`]: [node.name], [`${EXTRA}/node-uid`]: [node.uid] }),
      },
    };
  }

  #isThere(resource: string, namespace: string, { name, uid }: NamedObject): boolean {
    return this.#get(resource, namespace, name)?.metadata.uid === uid;
  }

  #get(resource: string, namespace: string, name: string): KubernetesObject | undefined {
    const { registry, kinds } = this.#deps;
    const kind = kinds.get(resource);
    return kind && registry.get(kind, { namespace, name })?.object;
  }

  /** A Secret of kube-system lets a node in for the first time. Source: upstream bootstrap token authenticator. */
  #byBootstrapToken(id: string, secret: string): User | undefined {
    // The cache of secrets holds Secrets.
    const object = this.#get("secrets", "kube-system", `bootstrap-token-${id}`) as
      | Secret
      | undefined;
    if (object?.type !== "bootstrap.kubernetes.io/token") return undefined;
    if (object.metadata.deletionTimestamp !== undefined) return undefined;
    const text = (key: string): string =>
      Buffer.from(object.data?.[key] ?? "", "base64").toString();
    const expected = Buffer.from(text("token-secret"));
    const given = Buffer.from(secret);
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
    if (text("token-id") !== id || text("usage-bootstrap-authentication") !== "true") {
      return undefined;
    }
    if (this.#isOver(text("expiration"))) return undefined;
    const groups = text("auth-extra-groups")
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== "");
    // A group outside of the bootstrappers' would let a token in kube-system make administrators.
    if (groups.some((one) => !/^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/.test(one))) {
      return undefined;
    }
    return {
      name: `system:bootstrap:${id}`,
      groups: [BOOTSTRAP_GROUPS, ...groups, AUTHENTICATED],
    };
  }

  /** An expiration that cannot be read is over, as upstream has it. */
  #isOver(expiration: string): boolean {
    if (expiration === "") return false;
    const time = parseTimestamp(expiration);
    return time === undefined || time.seconds * 1000 <= this.#deps.now();
  }
}

/** Whether the name of a websocket's protocol is a token instead. */
export function isBearerProtocol(protocol: string): boolean {
  return protocol.startsWith(PROTOCOL_PREFIX);
}

function bearerOf(headers: Readonly<Record<string, string>>): string | undefined {
  const [, token] = /^bearer +(\S+) *$/i.exec(headers["authorization"] ?? "") ?? [];
  if (token !== undefined) return token;
  const protocol = (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((one) => one.trim())
    .find(isBearerProtocol);
  return protocol === undefined
    ? undefined
    : Buffer.from(protocol.slice(PROTOCOL_PREFIX.length), "base64url").toString();
}
