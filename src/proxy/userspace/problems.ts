import { frontendKey } from "../../core/proxy/frontend.ts";
import type { Frontend } from "../../core/proxy/frontend.ts";
import type { IpAddress } from "../../net/address.ts";
import { formatHostPort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import type { FrontendProblem, ProblemReason } from "../data-plane.ts";

/** What can be said before a socket is made; undefined when it may be tried. */
export function hopeless(
  frontend: Frontend,
  mayServe: (address: IpAddress) => boolean,
): FrontendProblem | undefined {
  const where = nameOf(frontend);
  if (frontend.protocol === "SCTP") {
    return problem(frontend, "ProtocolNotSupported", `${where}: SCTP needs the kernel data plane.`);
  }
  if (!mayServe(frontend.address)) {
    const message = `${where} is not served: in loopback mode only addresses in 127.0.0.0/8 are.`;
    return problem(frontend, "AddressNotLocal", message);
  }
  return undefined;
}

/** `standIn` is the high port that is served instead of a privileged one. */
export function bindProblem(
  frontend: Frontend,
  code: string,
  standIn: Port | undefined,
): FrontendProblem {
  const where = nameOf(frontend);
  switch (code) {
    case "EACCES":
    case "EPERM":
      return problem(
        frontend,
        "PrivilegedPort",
        `${where}: this user may not bind port ${String(frontend.port)}. ` +
          `To allow it: sudo sysctl net.ipv4.ip_unprivileged_port_start=${String(Math.min(80, frontend.port))}. ` +
          (standIn === undefined
            ? "No high port beside it is free."
            : `Meanwhile served on ${formatHostPort(frontend.address, standIn)}.`),
      );
    case "EADDRINUSE":
      return problem(
        frontend,
        "AddressInUse",
        `${where} is in use by another process; it is served once that process lets it go.`,
      );
    case "EADDRNOTAVAIL":
      return problem(frontend, "AddressNotLocal", `${where} is no address of this machine.`);
    case "EMFILE":
    case "ENFILE":
      return problem(
        frontend,
        "LimitReached",
        `${where}: no more files may be opened; raise the limit of open files (ulimit -n).`,
      );
    default:
      return problem(frontend, "BindFailed", `${where} cannot be bound: ${code}.`);
  }
}

function problem(frontend: Frontend, reason: ProblemReason, message: string): FrontendProblem {
  return {
    frontend: frontendKey(frontend),
    service: frontend.target.service,
    reason,
    message,
    isRetryable: reason !== "AddressNotLocal" && reason !== "ProtocolNotSupported",
  };
}

function nameOf(frontend: Frontend): string {
  return `${frontend.protocol} ${formatHostPort(frontend.address, frontend.port)}`;
}
