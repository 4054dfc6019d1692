import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import type { Change, Informer } from "../client/informer.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import { SERVICE_NAME_LABEL } from "../core/endpoints/slice-metadata.ts";
import type { NewSlice } from "../core/endpoints/slices.ts";
import { deleteThis } from "./delete-this.ts";
import { OWN_WRITE_TTL_MS, OwnWrites } from "./own-writes.ts";

const BY_SERVICE = "service-name";

interface SliceWrites {
  readonly create: readonly NewSlice[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
}

/**
 * The slices of one manager, by the Service that they are for: carries plans out, and shows them done before
 * the watch does (EPS-017).
 */
export class SliceWriter {
  readonly #client: Pick<ApiClient, "create" | "update" | "delete">;
  readonly #slices: Informer<EndpointSlice>;
  readonly #isOwn: (slice: EndpointSlice) => boolean;
  readonly #own: OwnWrites<EndpointSlice>;
  /** Services of which others changed slices while this writer wrote some. */
  readonly #news = new Set<ObjectKey>();

  constructor(
    client: Pick<ApiClient, "create" | "update" | "delete">,
    slices: Informer<EndpointSlice>,
    isOwn: (slice: EndpointSlice) => boolean,
  ) {
    this.#client = client;
    this.#slices = slices;
    this.#isOwn = isOwn;
    this.#own = new OwnWrites(slices, serviceKeyOf);
    slices.addIndex(BY_SERVICE, (slice) => {
      const key = serviceKeyOf(slice);
      return key === undefined ? [] : [key];
    });
  }

  /** This manager's slices for a Service. */
  of(service: ObjectKey): readonly EndpointSlice[] {
    return this.#own.view(service, this.#slices.byIndex(BY_SERVICE, service)).filter(this.#isOwn);
  }

  /** What is left to do for a Service after its writes; one that the watch never shows is forgotten after a time. */
  resultOf(service: ObjectKey): ReconcileResult {
    if (this.#news.delete(service)) return { kind: "again", afterMs: 0 };
    const isWaiting = this.#own.isWaiting(service);
    return isWaiting ? { kind: "again", afterMs: OWN_WRITE_TTL_MS } : { kind: "done" };
  }

  /** Tells what the informer says. @returns the Services to look at, none after a write of this writer. */
  observe(change: Change<EndpointSlice>): ReadonlySet<ObjectKey> {
    const keys = new Set<ObjectKey>();
    if (this.#own.observe(change)) return keys;
    for (const slice of [change.before, change.after]) {
      const key = slice === undefined || !this.#isOwn(slice) ? undefined : serviceKeyOf(slice);
      if (key !== undefined) keys.add(key);
    }
    return keys;
  }

  /**
   * Updates go first: they may make room for what the others depend on. Gives the updated and created slices;
   * rejects with the first refusal. One at a time for each Service.
   */
  async apply(
    service: ObjectKey,
    plan: SliceWrites,
    signal: AbortSignal,
  ): Promise<readonly EndpointSlice[]> {
    if (plan.create.length + plan.update.length + plan.delete.length === 0) return [];
    this.#own.begin(service);
    try {
      return await this.#apply(plan, signal);
    } finally {
      if (this.#own.end(service)) this.#news.add(service);
    }
  }

  async #apply(plan: SliceWrites, signal: AbortSignal): Promise<readonly EndpointSlice[]> {
    const written: EndpointSlice[] = [];
    for (const slice of plan.update) written.push(await this.#update(slice, signal));
    for (const draft of plan.create) {
      const made = await this.#client.create(endpointSliceKind, draft, { signal });
      this.#own.wrote(made);
      written.push(made);
    }
    for (const slice of plan.delete) await this.#remove(slice, signal);
    return written;
  }

  async #update(slice: EndpointSlice, signal: AbortSignal): Promise<EndpointSlice> {
    try {
      const written = await this.#client.update(endpointSliceKind, slice, { signal });
      this.#own.wrote(written);
      return written;
    } catch (error) {
      // Somebody else wrote or deleted it: the cache will say what there is now.
      if (hasReason(error, "Conflict", "NotFound")) this.#own.forget(slice);
      throw error;
    }
  }

  async #remove(slice: EndpointSlice, signal: AbortSignal): Promise<void> {
    await deleteThis(this.#client, endpointSliceKind, slice, { signal });
    this.#own.deleted(slice);
  }
}

/** The key of the Service that a slice says it is for. */
function serviceKeyOf(slice: EndpointSlice): ObjectKey | undefined {
  const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : objectKey({ ...slice.metadata, name });
}
