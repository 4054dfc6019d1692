import { apiVersionOf } from "../api/machinery/kind.ts";
import type { Page } from "./list.ts";
import { partialMetadata } from "./partial-metadata.ts";
import type { Served } from "./stored.ts";
import { renderTable } from "./table.ts";
import type { View } from "./view.ts";
import type { EventRenderer } from "./watch.ts";

interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

const COMMA = Buffer.from(",");
const LIST_END = Buffer.from("]}");

/** One object, as JSON. */
export function renderItem(view: View, item: Served): Uint8Array {
  const { form } = view;
  switch (form.kind) {
    case "object":
      return item.bytes;
    case "metadata":
      return toBytes(partialMetadata(item.object, form.version));
    case "table": {
      const { resourceVersion = "" } = item.object.metadata;
      return toBytes(renderTable(view, form.version, [item.object], { resourceVersion }));
    }
  }
}

/** A page of objects, as JSON. Whole objects are joined from what is already serialized. */
export function renderList(view: View, page: Page): Uint8Array {
  const { form, kind } = view;
  const meta: ListMeta = {
    resourceVersion: String(page.revision),
    ...(page.continueToken === "" ? {} : { continue: page.continueToken }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  switch (form.kind) {
    case "object": {
      const head = `{"kind":"${kind.custom?.listKind ?? `${kind.kind}List`}","apiVersion":"${apiVersionOf(kind)}","metadata":${JSON.stringify(meta)},"items":[`;
      const parts: Uint8Array[] = [Buffer.from(head)];
      for (const [i, item] of page.items.entries()) {
        if (i > 0) parts.push(COMMA);
        parts.push(item.bytes);
      }
      parts.push(LIST_END);
      return Buffer.concat(parts);
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
        return toBytes(table);
      }
      return toBytes({ ...table, columnDefinitions: null });
    },
    bookmark: (revision, isInitialEnd) => {
      const metadata = {
        resourceVersion: String(revision),
        creationTimestamp: null,
        ...(isInitialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
      };
      switch (form.kind) {
        case "object":
          return toBytes({ kind: kind.kind, apiVersion: apiVersionOf(kind), metadata });
        case "metadata":
          return toBytes({
            kind: "PartialObjectMetadata",
            apiVersion: `meta.k8s.io/${form.version}`,
            metadata,
          });
        case "table":
          return toBytes({
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

function toBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
