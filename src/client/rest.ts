import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import { withDeadline } from "../async/deadline.ts";
import type { Logger } from "../telemetry/log.ts";
import { errorOf, parseJson, readText } from "./body.ts";
import type { ApiClient, ListOptions, Patch } from "./client.ts";
import { resourceUrl } from "./paths.ts";
import type { Query } from "./paths.ts";
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts";
import { watchStream } from "./watch-stream.ts";

export interface ClientDeps {
  readonly transport: Transport;
  /** Default `portolan`. */
  readonly userAgent?: string | undefined;
  /** Gets the server's `Warning` headers, each text once. */
  readonly log?: Logger | undefined;
  /** Objects a page of a list; 0: all at once, for a server in this process. Default 500, as client-go. */
  readonly pageSize?: number | undefined;
}

/** Time for one exchange, from its start to the end of the answer's body. */
const EXCHANGE_TIMEOUT_MS = 30_000;
/** It bounds what the server must hold for one answer. */
const PAGE_SIZE = 500;
/** Distinct warning texts remembered; then the memory starts anew. */
const MAX_WARNINGS = 256;

const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
} as const satisfies Record<Patch["kind"], string>;

interface Call {
  readonly method: TransportRequest["method"];
  readonly url: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal: AbortSignal | undefined;
}

/** A client of the API server that `transport` reaches. */
export function createClient(deps: ClientDeps): ApiClient {
  const warned = new Set<string>();
  const baseHeaders = {
    accept: "application/json",
    "user-agent": deps.userAgent ?? "portolan",
  };

  const noteWarnings = (response: TransportResponse): void => {
    for (const text of warningTexts(response.headers["warning"])) {
      if (warned.has(text)) continue;
      if (warned.size >= MAX_WARNINGS) warned.clear();
      warned.add(text);
      deps.log?.warn("API warning", { text });
    }
  };

  const call = (request: Call): Promise<unknown> =>
    withDeadline(EXCHANGE_TIMEOUT_MS, request.signal, async (signal) => {
      const { method, url, body, contentType = "application/json" } = request;
      const response = await deps.transport({
        method,
        url,
        headers: body === undefined ? baseHeaders : { ...baseHeaders, "content-type": contentType },
        body: body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body)),
        signal,
      });
      noteWarnings(response);
      if (response.value !== undefined) return response.value;
      const text = await readText(response);
      if (response.status >= 300) throw errorOf(response, text);
      return parseJson(text);
    });

  const listPages = async <T extends KubernetesObject>(
    kind: KindDefinition<T>,
    options: ListOptions & { readonly keep?: (object: T) => T },
    limit: number | undefined,
  ): Promise<{ items: T[]; resourceVersion: string }> => {
    const { keep = (object: T) => object } = options;
    const items: T[] = [];
    let resourceVersion: string | undefined;
    let next: string | undefined;
    do {
      const query: Query = { ...selectorsOf(options), limit, continue: next };
      const url = resourceUrl(kind, { namespace: options.namespace }, query);
      // The server answers a list of this kind; it is not checked field by field, and readers are lenient.
      const page = (await call({ method: "GET", url, signal: options.signal })) as ListBody;
      for (const item of page.items ?? []) items.push(keep(typed(kind, item)));
      // All pages are of the first one's version: a watch from there misses nothing.
      resourceVersion ??= page.metadata?.resourceVersion;
      next = page.metadata?.continue;
    } while (next !== undefined && next !== "");
    return { items, resourceVersion: resourceVersion ?? "" };
  };

  return {
    get: async (kind, ref, options) =>
      typed(kind, await call({ method: "GET", url: resourceUrl(kind, ref), ...from(options) })),

    list: async <T extends KubernetesObject>(
      kind: KindDefinition<T>,
      options: ListOptions & { readonly keep?: (object: T) => T } = {},
    ) => {
      const pageSize = deps.pageSize ?? PAGE_SIZE;
      return listPages(kind, options, pageSize || undefined).catch((error: unknown) => {
        // The pages' version was compacted between two pages: one large answer has no such moment.
        if (hasReason(error, "Expired", "Gone")) return listPages(kind, options, undefined);
        throw error;
      });
    },

    create: async (kind, object, options) => {
      const url = resourceUrl(kind, { namespace: object.metadata.namespace });
      const body = typed(kind, object);
      return typed(kind, await call({ method: "POST", url, body, ...from(options) }));
    },

    update: async (kind, object, options) => {
      const url = resourceUrl(kind, object.metadata);
      const body = typed(kind, object);
      return typed(kind, await call({ method: "PUT", url, body, ...from(options) }));
    },

    updateStatus: async (kind, object, options) => {
      const url = resourceUrl(kind, refWith(object.metadata, "status"));
      const body = typed(kind, object);
      return typed(kind, await call({ method: "PUT", url, body, ...from(options) }));
    },

    patch: async (kind, ref, patch, options) => {
      const url = resourceUrl(kind, refWith(ref, options?.subresource));
      const { body } = patch;
      const contentType = PATCH_TYPES[patch.kind];
      return typed(kind, await call({ method: "PATCH", url, body, contentType, ...from(options) }));
    },

    delete: async (kind, ref, options) => {
      const body = {
        kind: "DeleteOptions",
        apiVersion: "v1",
        gracePeriodSeconds: options?.gracePeriodSeconds,
        propagationPolicy: options?.propagationPolicy,
        preconditions: options?.preconditions,
      };
      await call({ method: "DELETE", url: resourceUrl(kind, ref), body, ...from(options) });
    },

    deleteCollection: async (kind, options = {}) => {
      const url = resourceUrl(kind, { namespace: options.namespace }, selectorsOf(options));
      const { propagationPolicy } = options;
      const body = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy };
      await call({ method: "DELETE", url, body, ...from(options) });
    },

    createSubresource: async (kind, ref, subresource, body, options) => {
      const url = resourceUrl(kind, refWith(ref, subresource));
      return call({ method: "POST", url, body, ...from(options) });
    },

    replaceSubresource: async (kind, ref, subresource, body, options) => {
      const url = resourceUrl(kind, refWith(ref, subresource));
      return call({ method: "PUT", url, body, ...from(options) });
    },

    watch: (kind, options) =>
      watchStream({
        transport: deps.transport,
        headers: baseHeaders,
        noteWarnings,
        openTimeoutMs: EXCHANGE_TIMEOUT_MS,
        url: resourceUrl(
          kind,
          { namespace: options.namespace },
          {
            ...selectorsOf(options),
            watch: true,
            allowWatchBookmarks: true,
            resourceVersion: options.resourceVersion,
            timeoutSeconds: options.timeoutSeconds,
          },
        ),
        opened: options.opened,
        signal: options.signal,
      }),
  };
}

interface ListBody {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly object[] | null;
}

function from(options: { readonly signal?: AbortSignal | undefined } | undefined): {
  signal: AbortSignal | undefined;
} {
  return { signal: options?.signal };
}

function refWith(
  ref: { readonly namespace?: string | undefined; readonly name: string },
  subresource: string | undefined,
): { namespace: string | undefined; name: string; subresource: string | undefined } {
  return { namespace: ref.namespace, name: ref.name, subresource };
}

function selectorsOf(options: ListOptions): Query {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

/** With apiVersion and kind, which servers leave out of a list's items, and callers out of what they make. */
function typed<T extends KubernetesObject>(kind: KindDefinition<T>, object: unknown): T {
  // The server's answer, or the caller's own object; unknown fields are kept as the style guide wants.
  const given = object as T;
  if (given.apiVersion && given.kind) return given;
  return { ...given, apiVersion: apiVersionOf(kind), kind: kind.kind };
}

/** Texts of `Warning: 299 - "text"` headers, joined by commas when there are several (RFC 7234 5.5). */
function warningTexts(header: string | undefined): readonly string[] {
  if (header === undefined) return [];
  return [...header.matchAll(/\b\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) =>
    (match[1] ?? "").replace(/\\(.)/g, "$1"),
  );
}
