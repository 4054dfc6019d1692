import { createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import type { Logger } from "../telemetry/log.ts";

/** PEM of what a server of DNS over TLS shows (RFC 7858). */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificate to show now. It is asked at each handshake, so that a renewed one needs no restart, and
 * connections that are open go on with the one that they began with.
 */
export type CertificateSource = () => ServingCertificate;

/**
 * What handshakes are done with. A certificate that cannot be used is said so once, and the one before stays.
 * @throws Error when the first cannot be used.
 */
export function followContext(source: CertificateSource, log: Logger): () => SecureContext {
  let shown = source();
  let refused: ServingCertificate | undefined;
  let context = contextOf(shown);
  return () => {
    const now = source();
    if (isSame(now, shown) || (refused !== undefined && isSame(now, refused))) return context;
    try {
      context = contextOf(now);
      shown = now;
      log.info("dns certificate renewed");
    } catch (error) {
      refused = now;
      log.error("dns certificate not usable, the old one stays", { error });
    }
    return context;
  };
}

function isSame(a: ServingCertificate, b: ServingCertificate): boolean {
  return a.cert === b.cert && a.key === b.key;
}

function contextOf({ cert, key }: ServingCertificate): SecureContext {
  return createSecureContext({ cert, key, minVersion: "TLSv1.2" });
}
