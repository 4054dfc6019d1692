import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Draft, KubernetesObject } from "../api/machinery/metadata.ts";
import type { ObjectRef } from "../api/machinery/object-key.ts";

export interface CallOptions {
  /** Ends the call. Each exchange also ends by itself after 30 seconds; a watch may stay open. */
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions extends CallOptions {
  /** Only this namespace; default all. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface WatchOptions extends ListOptions {
  /** Changes after this version, as a list or an earlier event gave it. */
  readonly resourceVersion: string;
  /** Asks the server to end the watch after so long; default is the server's choice. */
  readonly timeoutSeconds?: number | undefined;
  /** Called once the server has accepted the watch, before the first event. */
  readonly opened?: (() => void) | undefined;
}

export const WATCH_EVENT_TYPES = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"] as const;

export interface WatchEvent<T> {
  /** Of a bookmark's object only metadata.resourceVersion counts: all changes up to it have been sent. */
  readonly type: (typeof WATCH_EVENT_TYPES)[number];
  readonly object: T;
}

export type Patch =
  | { readonly kind: "merge"; readonly body: unknown }
  | { readonly kind: "strategic"; readonly body: unknown }
  | { readonly kind: "json"; readonly body: readonly unknown[] };

export interface DeleteOptions extends CallOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: "Foreground" | "Background" | "Orphan" | undefined;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string } | undefined;
}

/**
 * A typed client of any Kubernetes API. Every method rejects with `StatusError` when the server refuses
 * (`hasReason(error, "NotFound")`), and with the transport's error when it cannot be reached.
 */
export interface ApiClient {
  get<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    ref: ObjectRef,
    options?: CallOptions,
  ): Promise<T>;
  /** `keep` is applied page by page, so that of a large list only what it returns is held at once. */
  list<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    options?: ListOptions & { readonly keep?: (object: T) => T },
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  create<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    object: Draft<T>,
    options?: CallOptions,
  ): Promise<T>;
  /** PUT with the object's resourceVersion: rejects with Conflict when somebody was faster. */
  update<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    object: T,
    options?: CallOptions,
  ): Promise<T>;
  updateStatus<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    object: T,
    options?: CallOptions,
  ): Promise<T>;
  patch<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    ref: ObjectRef,
    patch: Patch,
    options?: CallOptions & { readonly subresource?: string },
  ): Promise<T>;
  delete(kind: KindDefinition, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  deleteCollection(
    kind: KindDefinition,
    options?: ListOptions & Pick<DeleteOptions, "propagationPolicy">,
  ): Promise<void>;
  /** POST to a subresource, such as `pods/web/binding`. */
  createSubresource(
    kind: KindDefinition,
    ref: ObjectRef,
    subresource: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<unknown>;
  /** PUT to a subresource, such as `namespaces/web/finalize`. */
  replaceSubresource(
    kind: KindDefinition,
    ref: ObjectRef,
    subresource: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<unknown>;
  /** Ends when the server ends it; rejects with Expired (410) when the version is too old. */
  watch<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
}
