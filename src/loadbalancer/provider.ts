import type { Node } from "../api/v1/node.ts";
import type { LoadBalancerStatus, Service } from "../api/v1/service.ts";
import type { Cidr } from "../net/cidr.ts";

/**
 * Makes load balancers (LB-016). Each method is idempotent, so that the loop may call it again after a crash
 * at any point, and ends early with the signal's reason.
 */
export interface LoadBalancerProvider {
  /** In logs, e.g. `pool`. */
  readonly name: string;
  /** Its load balancers send to nodes: they must be told when those change. */
  readonly usesNodes: boolean;
  /** What there is for the Service now; undefined when there is nothing. */
  get(service: Service, signal: AbortSignal): Promise<LoadBalancerStatus | undefined>;
  /**
   * Makes the load balancer be as the Service says.
   * @param sourceRanges from where it may be reached (LB-018).
   * @throws UnavailableError when that cannot be now, RetryLaterError when it may be at a known time,
   *   ImplementedElsewhereError when somebody else makes it.
   */
  ensure(
    service: Service,
    nodes: readonly Node[],
    signal: AbortSignal,
    sourceRanges: readonly Cidr[],
  ): Promise<LoadBalancerStatus>;
  /** Only the nodes have changed. */
  updateNodes(service: Service, nodes: readonly Node[], signal: AbortSignal): Promise<void>;
  /** Also when there is nothing. */
  delete(service: Service, signal: AbortSignal): Promise<void>;
}

/** A load balancer cannot be had now; the message says why to the Service's owner. */
export class UnavailableError extends Error {
  readonly code = "LoadBalancerUnavailable";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnavailableError";
  }
}

/** Not now, but there is no use in asking before `afterMs` have gone by (LB-009). */
export class RetryLaterError extends Error {
  readonly code = "LoadBalancerRetryLater";
  readonly afterMs: number;

  constructor(message: string, afterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryLaterError";
    this.afterMs = afterMs;
  }
}

/** Another controller makes the Service's load balancer: nothing is wrong, and nothing to do (LB-017). */
export class ImplementedElsewhereError extends Error {
  readonly code = "LoadBalancerImplementedElsewhere";

  constructor() {
    super("the load balancer is implemented elsewhere");
    this.name = "ImplementedElsewhereError";
  }
}
