import { TLSSocket, createSecureContext, createServer } from "node:tls";
import type { SecureContext, Server } from "node:tls";
import type { Socket } from "node:net";
import type { Logger } from "../telemetry/log.ts";
import { isSameCertificate } from "./serving-certificate.ts";
import type { CertificateSource, ServingCertificate } from "./serving-certificate.ts";

/** Secures a connection that was accepted, and hands it out; or closes it. */
export type Handshake = (accepted: Socket, taken: (socket: TLSSocket) => void) => void;

type Taken = (socket: TLSSocket) => void;

const SECURE = { minVersion: "TLSv1.2", ALPNProtocols: ["dot"] } as const;

/**
 * Handshakes with the certificate that is true now. One that cannot be used is said so once, and the one before stays.
 * A connection whose client need not say who it is, is handed out at once; others when their client has shown it,
 * for which it has as long as `handshakeMs`.
 * @throws Error when the first certificate cannot be used.
 */
export function startHandshakes(
  source: CertificateSource,
  log: Logger,
  handshakeMs: number,
): Handshake {
  /** By the client's address and port: nothing else tells whose a secured socket is. */
  const waiting = new Map<string, Taken>();
  const make = (shown: ServingCertificate): SecureContext | Server =>
    shown.clients === undefined
      ? createSecureContext({ cert: shown.cert, key: shown.key, minVersion: SECURE.minVersion })
      : gateOf(shown, handshakeMs, waiting);
  const current = followUsable(source, log, make);
  return (accepted, taken) => {
    const means = current();
    if (!("emit" in means)) {
      const { ALPNProtocols } = SECURE;
      taken(new TLSSocket(accepted, { isServer: true, secureContext: means, ALPNProtocols }));
      return;
    }
    const peer = peerOf(accepted);
    waiting.set(peer, taken);
    accepted.once("close", () => {
      // The port may be another connection's by now.
      if (waiting.get(peer) === taken) waiting.delete(peer);
    });
    // Node's way to secure a socket that somebody else accepted, and to have the certificate checked.
    means.emit("connection", accepted);
  };
}

/** A server that does not listen: it knows what to do with certificates of clients, which a single socket does not. */
function gateOf(
  { cert, key, clients }: ServingCertificate,
  handshakeMs: number,
  waiting: ReadonlyMap<string, Taken>,
): Server {
  const policy = clients?.policy;
  const server = createServer({
    ...SECURE,
    ALPNProtocols: [...SECURE.ALPNProtocols],
    cert,
    key,
    ca: clients?.ca,
    handshakeTimeout: handshakeMs,
    requestCert: true,
    rejectUnauthorized: policy === "require_and_verify",
  });
  server.on("secureConnection", (socket) => {
    const isShown = socket.getPeerX509Certificate() !== undefined;
    const isWelcome =
      policy === "require"
        ? isShown
        : socket.authorized || (policy === "verify_if_given" && !isShown);
    const taken = waiting.get(peerOf(socket));
    if (isWelcome && taken !== undefined) taken(socket);
    else socket.destroy();
  });
  // Whoever fails is not let in; there is nobody to tell.
  server.on("tlsClientError", (_error, socket) => {
    socket.destroy();
  });
  return server;
}

function peerOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${String(remotePort)}`;
}

/** What is made of the certificate that is true now, as far as that can be used. */
function followUsable<T>(
  source: CertificateSource,
  log: Logger,
  make: (shown: ServingCertificate) => T,
): () => T {
  let shown = source();
  let refused: ServingCertificate | undefined;
  let made = make(shown);
  return () => {
    const now = source();
    if (isSameCertificate(now, shown) || (refused !== undefined && isSameCertificate(now, refused)))
      return made;
    try {
      made = make(now);
      shown = now;
      log.info("dns certificate renewed");
    } catch (error) {
      refused = now;
      log.error("dns certificate not usable, the old one stays", { error });
    }
    return made;
  };
}
