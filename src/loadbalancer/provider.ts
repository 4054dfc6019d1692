import type { Node } from "../api/v1/node.ts";
import type { LoadBalancerStatus, Service } from "../api/v1/service.ts";

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
   * @throws UnavailableError when that cannot be now.
   */
  ensure(
    service: Service,
    nodes: readonly Node[],
    signal: AbortSignal,
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
