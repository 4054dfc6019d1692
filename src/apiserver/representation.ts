import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { bytesResponse, valueResponse } from "./exchange.ts";
import type { ApiRequest, ApiResponse } from "./exchange.ts";
import type { Page } from "./list.ts";
import { partialMetadata } from "./partial-metadata.ts";
import type { Served } from "./stored.ts";
import { renderTable } from "./table.ts";
import type { View } from "./view.ts";
import type { EventRenderer } from "./watch-frames.ts";

interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** One object, as JSON. */
function renderItem(view: View, item: Served): string {
  const { form } = view;
  switch (form.kind) {
    case "object":
      return item.json;
    case "metadata":
      return JSON.stringify(partialMetadata(item.object, form.version));
    case "table": {
      const { resourceVersion = "" } = item.object.metadata;
      return JSON.stringify(renderTable(view, form.version, [item.object], { resourceVersion }));
    }
  }
}

/** A page of objects, as JSON. Whole objects are joined from what is already serialized. */
function renderList(view: View, page: Page): Uint8Array {
  const { form, kind } = view;
  const meta = listMetaOf(page);
  switch (form.kind) {
    case "object": {
      const head = `{"kind":"${listKindOf(kind)}","apiVersion":"${apiVersionOf(kind)}","metadata":${JSON.stringify(meta)},"items":[`;
      return Buffer.from(`${head}${page.items.map(({ json }) => json).join()}]}`);
    }
    case "metadata":
      return toBytes({
        kind: "PartialObjectMetadataList",
        apiVersion: `meta.k8s.io/${form.version}`,
        metadata: meta,
        items: page.items.map(({ object }) => partialMetadata(object, form.version)),
      });
    case "table":
      return toBytes(
        renderTable(
          view,
          form.version,
          page.items.map(({ object }) => object),
          meta,
        ),
      );
  }
}

/** For the events of one watch. In a watch of tables only the first event carries the columns. */
export function eventRenderer(view: View, now: () => number): EventRenderer {
  const { form, kind } = view;
  let isFirst = true;
  return {
    shared: form.kind === "object",
    object: (item) => {
      if (form.kind !== "table") return renderItem(view, item);
      const { resourceVersion = "" } = item.object.metadata;
      const table = renderTable({ ...view, nowMs: now() }, form.version, [item.object], {
        resourceVersion,
      });
      if (isFirst) {
        isFirst = false;
        return JSON.stringify(table);
      }
      return JSON.stringify({ ...table, columnDefinitions: null });
    },
    bookmark: (revision, isInitialEnd) => {
      const metadata = bookmarkMetadata(revision, isInitialEnd);
      switch (form.kind) {
        case "object":
          return JSON.stringify({ kind: kind.kind, apiVersion: apiVersionOf(kind), metadata });
        case "metadata":
          return JSON.stringify({
            kind: "PartialObjectMetadata",
            apiVersion: `meta.k8s.io/${form.version}`,
            metadata,
          });
        case "table":
          return JSON.stringify({
            kind: "Table",
            apiVersion: `meta.k8s.io/${form.version}`,
            metadata,
            columnDefinitions: null,
            rows: [],
          });
      }
    },
  };
}

/** The answer with one object: as JSON, or the object itself for a caller that takes it. */
export function itemResponse(
  { takesObjects = false }: Pick<ApiRequest, "takesObjects">,
  view: View,
  status: number,
  item: Served,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  return takesObjects && view.form.kind === "object"
    ? valueResponse(status, item.object, headers)
    : bytesResponse(status, Buffer.from(renderItem(view, item)), headers);
}

/** The answer with a page of objects, likewise. */
export function listResponse(
  { takesObjects = false }: Pick<ApiRequest, "takesObjects">,
  view: View,
  page: Page,
): ApiResponse {
  if (!takesObjects || view.form.kind !== "object") {
    return bytesResponse(200, renderList(view, page));
  }
  return valueResponse(200, {
    kind: listKindOf(view.kind),
    apiVersion: apiVersionOf(view.kind),
    metadata: listMetaOf(page),
    items: page.items.map(({ object }) => object),
  });
}

function listKindOf(kind: KindDefinition): string {
  return kind.custom?.listKind ?? `${kind.kind}List`;
}

function listMetaOf(page: Page): ListMeta {
  return {
    resourceVersion: String(page.revision),
    ...(page.continueToken === "" ? {} : { continue: page.continueToken }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
}

export function bookmarkMetadata(revision: number, isInitialEnd: boolean): object {
  return {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(isInitialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
  };
}

function toBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
