import type { Directive } from "./directive.ts";

/** The `tls` directive: files of what a server of DNS over TLS shows, and of who may come in. */
export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
  /** Undefined: clients need not say who they are. */
  readonly clients: ClientConfig | undefined;
}

/** `require` takes any certificate, whoever made it; the others those of known authorities. */
export type ClientPolicy = "require" | "verify_if_given" | "require_and_verify";

interface ClientConfig {
  readonly policy: ClientPolicy;
  /** The file of the authorities; undefined: the system's. */
  readonly ca: string | undefined;
}

const POLICIES = ["nocert", "request", "require", "verify_if_given", "require_and_verify"] as const;

/** `tls CERT KEY [CA] { client_auth POLICY }`. */
export function readTls(directive: Directive): TlsConfig {
  const cert = directive.required("the file of a certificate");
  const key = directive.required("the file of its key");
  const ca = directive.optional();
  let policy: (typeof POLICIES)[number] = "nocert";
  directive.options({
    client_auth: (option) => {
      policy = option.oneOf("a policy", POLICIES);
    },
  });
  // What is only asked for, and then not looked at, need not be asked for.
  const clients = policy === "nocert" || policy === "request" ? undefined : { policy, ca };
  return { cert, key, clients };
}
