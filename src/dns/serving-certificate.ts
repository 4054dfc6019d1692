import type { ClientPolicy } from "../core/dns/corefile/tls-directive.ts";

/** PEM of what a server of DNS over TLS shows (RFC 7858). */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
  /** What clients have to show; undefined: nothing. */
  readonly clients?: ClientAuthentication | undefined;
}

interface ClientAuthentication {
  readonly policy: ClientPolicy;
  /** PEM of the authorities of clients; undefined: the system's. */
  readonly ca: string | undefined;
}

export function isSameCertificate(a: ServingCertificate, b: ServingCertificate): boolean {
  return (
    a.cert === b.cert &&
    a.key === b.key &&
    a.clients?.policy === b.clients?.policy &&
    a.clients?.ca === b.clients?.ca
  );
}

/**
 * The certificate to show now. It is asked at each handshake, so that a renewed one needs no restart, and
 * connections that are open go on with the one that they began with.
 */
export type CertificateSource = () => ServingCertificate;
