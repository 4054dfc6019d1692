import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Attributes } from "../core/authorization/attributes.ts";
import { Authenticator } from "./authenticator.ts";
import { createAuthorizer } from "./authorizer.ts";
import type { Authorizer } from "./authorizer.ts";
import type { ApiRequest, User } from "./exchange.ts";
import { unauthorized } from "./failures.ts";
import { impersonated } from "./impersonation.ts";
import type { Registry } from "./registry.ts";
import { TokenKeys } from "./token-keys.ts";
import { Tokens } from "./tokens.ts";
import type { WatchCache } from "./watch-cache.ts";

export interface SecurityDeps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  /** By resource name. */
  readonly kinds: ReadonlyMap<string, KindDefinition>;
  /** Where the keys of tokens are kept; undefined: in memory. */
  readonly keysDir: string | undefined;
  /** `iss` of tokens, and the audience of those for the API server. */
  readonly issuer: string;
  readonly now: () => number;
}

/** Who asked, and as whom it is taken. */
export interface Caller {
  readonly asker: User;
  /** The asker itself, or whom it impersonates. */
  readonly user: User;
}

/** Who somebody is and what they may do. */
export class Security {
  readonly authorizer: Authorizer;
  readonly authenticator: Authenticator;
  readonly tokens: Tokens;

  constructor({ cache, registry, kinds, keysDir, issuer, now }: SecurityDeps) {
    this.authorizer = createAuthorizer(cache, kinds);
    this.tokens = new Tokens({ keys: new TokenKeys({ dir: keysDir, now }), issuer, now });
    this.authenticator = new Authenticator({ registry, kinds, tokens: this.tokens, now });
  }

  /**
   * Who a request comes from.
   * @param shown whom the connection's certificate names; it goes before any token.
   * @throws StatusError 401 for nobody, 403 for who may not impersonate.
   */
  async callerOf(request: ApiRequest, shown: User | undefined): Promise<Caller> {
    const asker = shown ?? (await this.authenticator.byHeaders(request.headers));
    if (asker === undefined) throw unauthorized();
    return { asker, user: impersonated(this.authorizer, asker, request.headers) };
  }

  /** @throws StatusError 403 unless the user may. */
  check(user: User, attributes: Attributes): void {
    this.authorizer.check(user, attributes);
  }
}
