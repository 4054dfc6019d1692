import { leaseKind } from "../api/coordination/lease.kind.ts";
import { hasReason } from "../api/machinery/status.ts";
import { withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import {
  APPLIED_ANNOTATION,
  DATA_PLANE_LABEL,
  DATA_PLANE_NAMESPACE,
  laterVersion,
} from "../core/endpoints/draining.ts";
import type { Logger } from "../telemetry/log.ts";

const LEASE_SECONDS = 45;
const RENEW_MS = 15_000;
const RETRY_MS = 200;
/** At the end the Lease is taken back, so that no Pod waits for this data plane; but not at any price. */
const LAST_WRITE_MS = 1_000;

export interface AppliedLeaseDeps {
  readonly client: Pick<ApiClient, "create" | "patch" | "delete">;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * The Lease by which this node's data plane says that it is up and how far it has come with EndpointSlices.
 * It is written every 15 seconds, and when somebody waits for it: when an endpoint begins to terminate.
 */
export class AppliedLease implements AsyncDisposable {
  readonly #deps: AppliedLeaseDeps;
  readonly #nodeName: string;
  readonly #ended = new AbortController();
  readonly #loop: Promise<void>;
  #applied = "0";
  /** What the Lease says; undefined before it was first written. */
  #written: string | undefined;
  #wake: () => void = () => undefined;

  constructor(deps: AppliedLeaseDeps, nodeName: string) {
    this.#deps = deps;
    this.#nodeName = nodeName;
    this.#loop = this.#run(this.#ended.signal);
  }

  /** All changes of EndpointSlices up to `version` are carried out. */
  confirm(version: string): void {
    this.#applied = laterVersion(this.#applied, version);
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("the proxy was stopped"));
    this.#wake();
    await this.#loop;
    if (this.#written === undefined) return;
    try {
      await withDeadline(LAST_WRITE_MS, undefined, (signal) =>
        this.#deps.client.delete(leaseKind, this.#ref, { signal }),
      );
    } catch (error) {
      if (!hasReason(error, "NotFound"))
        this.#deps.log.debug("data plane's lease not taken back", { error });
    }
  }

  get #ref(): { readonly namespace: string; readonly name: string } {
    return { namespace: DATA_PLANE_NAMESPACE, name: `portolan-proxy-${this.#nodeName}` };
  }

  async #run(signal: AbortSignal): Promise<void> {
    let hasFailed = false;
    while (!signal.aborted) {
      const version = this.#applied;
      try {
        await this.#write(version, signal);
        this.#written = version;
        if (hasFailed) this.#deps.log.info("data plane's lease is written again");
        hasFailed = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!hasFailed)
          this.#deps.log.warn("data plane's lease not written, pods end without its word", {
            error,
          });
        hasFailed = true;
      }
      if (hasFailed) await sleep(RETRY_MS, signal).catch(() => undefined);
      else if (this.#applied === version) await this.#idle(signal);
    }
  }

  /** Until there is something to confirm, or the Lease must be renewed. */
  async #idle(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => {
      woken.abort();
    };
    if (signal.aborted) return;
    await sleep(RENEW_MS, woken.signal).catch(() => undefined);
    this.#wake = () => undefined;
  }

  async #write(version: string, signal: AbortSignal): Promise<void> {
    const { client, now } = this.#deps;
    const metadata = {
      labels: { [DATA_PLANE_LABEL]: "true" },
      annotations: { [APPLIED_ANNOTATION]: version },
    };
    const spec = {
      holderIdentity: this.#nodeName,
      leaseDurationSeconds: LEASE_SECONDS,
      // MicroTime has six digits.
      renewTime: new Date(now()).toISOString().replace("Z", "000Z"),
    };
    try {
      await client.patch(
        leaseKind,
        this.#ref,
        { kind: "merge", body: { metadata, spec } },
        { signal },
      );
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      await client.create(leaseKind, { metadata: { ...this.#ref, ...metadata }, spec }, { signal });
    }
  }
}
