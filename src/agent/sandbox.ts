import type { Pod } from "../api/v1/pod.ts";
import type { Mount } from "./container-mounts.ts";

/** Where a Pod's programs run. */
export interface Sandbox {
  /** @param workingDir where a command begins, as the sandbox has it. */
  enter(workingDir: string): Entry;
}

/** The way in, for a command. */
export interface Entry {
  /**
   * Put before the command: the program that enters, by its absolute path, and its arguments; empty: the agent's own
   * place.
   */
  readonly words: readonly string[];
  /** Where this process is to start them. */
  readonly cwd: string;
  /** The folder in which this process sees the sandbox's files; empty: they are where the agent sees them. */
  readonly root: string;
}

/** A container's volumes cannot be mounted; the message is the system's. */
export class MountError extends Error {
  readonly code = "MOUNT";
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MountError";
  }
}

/** A container and what it sees of its Pod's volumes. */
export interface ContainerPlace {
  readonly name: string;
  readonly mounts: readonly Mount[];
}

/** The places of a node's Pods. */
export interface Sandboxes {
  /** Mounts what must not come to a disk, once; undefined where nothing can be mounted. @throws MountError */
  readonly mountMemory: (() => Promise<void>) | undefined;
  /** Whether they have mounts of their own. */
  readonly canMount: boolean;
  /** Begins to make the Pod's sandbox, so that it is there sooner when it is opened. */
  prepare(pod: Pod, podIps: readonly string[]): void;
  /**
   * The Pod's sandbox, made when it is first asked for, and in it the container's mounts, made anew.
   * @param podIps the Pod's addresses, the first its primary one.
   * @throws MountError when a volume cannot be mounted, Error when the sandbox cannot be made; asking again tries
   * again.
   */
  open(pod: Pod, podIps: readonly string[], container: ContainerPlace): Promise<Sandbox>;
  /** The sandbox of a container that an earlier agent started. */
  reopen(pod: Pod, podIps: readonly string[], container: string): Promise<Sandbox>;
  /** Ends what is left of the Pod's sandbox. Idempotent. */
  close(podUid: string): Promise<void>;
}

const HERE: Sandbox = { enter: (cwd) => ({ words: [], cwd, root: "" }) };

/** Pods share the agent's namespaces: all that can be had without privileges. */
export const SHARED: Sandboxes = {
  canMount: false,
  mountMemory: undefined,
  prepare: () => undefined,
  open: () => Promise.resolve(HERE),
  reopen: () => Promise.resolve(HERE),
  close: () => Promise.resolve(),
};
