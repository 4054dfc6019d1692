import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { TableChange } from "../core/proxy/diff.ts";
import type { FrontendKey } from "../core/proxy/frontend.ts";

/** Why a frontend is not served as the table says; the reason of the Service's condition. In order of urgency. */
export const PROBLEM_REASONS = [
  /** The port is below 1024 and this user may not bind it; a high port stands in. */
  "PrivilegedPort",
  /** Another process has the address and port. */
  "AddressInUse",
  /** The process may not open more files. */
  "LimitReached",
  "BindFailed",
  /** This data plane cannot serve the address: it is not one of this machine's loopback addresses. */
  "AddressNotLocal",
  /** Some of its endpoints are left out: loopback, link-local or no addresses of hosts. */
  "InvalidEndpoint",
  /** Clients are spread otherwise than the Service asks: the kernel lacks what it takes. */
  "BalanceNotSupported",
  "ProtocolNotSupported",
] as const;
export type ProblemReason = (typeof PROBLEM_REASONS)[number];

export interface FrontendProblem {
  readonly frontend: FrontendKey;
  readonly service: ObjectKey;
  readonly reason: ProblemReason;
  /** A sentence for people: what is wrong, and how to mend it where there is a way. */
  readonly message: string;
  /** Trying again later may help. */
  readonly isRetryable: boolean;
}

/** Something that carries packets as a forwarding table says: sockets of this process, or the kernel's rules. */
export interface DataPlane extends AsyncDisposable {
  /**
   * Makes `change` so. New backends take connections, and removed ones stop, as soon as it is called;
   * resolves when new frontends are served. A frontend in `changed` whose two sides are equal is only
   * tried again, if it is not being served.
   * @returns what is wrong with the added and changed frontends now; frontends without endpoints keep what
   * was last known of them. Never rejects for a frontend that cannot be served.
   */
  apply(change: TableChange): Promise<readonly FrontendProblem[]>;
}
