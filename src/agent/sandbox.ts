import type { Pod } from "../api/v1/pod.ts";

/** Where a Pod's programs run: words put before each of their command lines. */
export interface Sandbox {
  /**
   * The program that enters the sandbox and its arguments, up to the command; empty: the agent's own place.
   * @param workingDir where the command begins.
   */
  enter(workingDir: string): readonly string[];
}

/** The places of a node's Pods. */
export interface Sandboxes {
  /**
   * The Pod's sandbox, made when it is first asked for.
   * @param podIps the Pod's addresses, the first its primary one.
   * @throws Error when it cannot be made; asking again tries again.
   */
  open(pod: Pod, podIps: readonly string[]): Promise<Sandbox>;
  /** Ends what is left of the Pod's sandbox. Idempotent. */
  close(podUid: string): Promise<void>;
}

const HERE: Sandbox = { enter: () => [] };

/** Pods share the agent's namespaces: all that can be had without privileges. */
export const SHARED: Sandboxes = {
  open: () => Promise.resolve(HERE),
  close: () => Promise.resolve(),
};
