import { invalidObject, notAcceptable } from "./failures.ts";

/** The form in which objects are answered. Always JSON. */
export type Form =
  | { readonly kind: "object" }
  | { readonly kind: "table"; readonly version: "v1" | "v1beta1" }
  | { readonly kind: "metadata"; readonly version: "v1" | "v1beta1" };

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const OFFERED = ["application/json"] as const;

/** Media ranges of an Accept header in the caller's order of preference. Bounded: 32 ranges are read. */
export function parseAccept(header: string | undefined): readonly MediaRange[] {
  const ranges = (header ?? "*/*")
    .split(",", 32)
    .map((text, index) => {
      const [type = "", ...rest] = text.split(";").map((part) => part.trim());
      const parameters = new Map(
        rest.map((part) => {
          const at = part.indexOf("=");
          return at === -1 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
        }),
      );
      const quality = Number(parameters.get("q") ?? "1");
      return { type: type.toLowerCase(), parameters, index, quality };
    })
    .filter((range) => range.type !== "" && range.quality > 0);
  return ranges.toSorted((a, b) => b.quality - a.quality || a.index - b.index);
}

/**
 * The form that the caller likes best among those we have. Protobuf alone is refused, since answers are JSON;
 * every client that asks for protobuf also accepts JSON.
 * @throws StatusError 406 when nothing fits.
 */
export function negotiateForm(accept: string | undefined): Form {
  for (const range of parseAccept(accept)) {
    if (!acceptsJson(range.type)) continue;
    const as = range.parameters.get("as");
    if (as === undefined) return { kind: "object" };
    const version = range.parameters.get("v");
    if (range.parameters.get("g") !== "meta.k8s.io") continue;
    if (version !== "v1" && version !== "v1beta1") continue;
    if (as === "Table") return { kind: "table", version };
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") {
      return { kind: "metadata", version };
    }
  }
  throw notAcceptable(OFFERED);
}

function acceptsJson(type: string): boolean {
  return type === "application/json" || type === "*/*" || type === "application/*";
}

/**
 * As {@link negotiateForm}, with the options of a table looked at too: to be asked before anything is written
 * or a stream begins.
 * @throws StatusError 406, 422.
 */
export function requestedForm(accept: string | undefined, query: URLSearchParams): Form {
  const form = negotiateForm(accept);
  if (form.kind === "table") includedPart(query);
  return form;
}

/** How much of an object comes with its row. @throws StatusError 422 for what `includeObject` cannot be. */
export function includedPart(query: URLSearchParams): string {
  const include = query.get("includeObject") ?? "Metadata";
  if (["", "None", "Metadata", "Object"].includes(include)) return include;
  throw invalidObject({ kind: "TableOptions", group: "meta.k8s.io" }, "", [
    {
      type: "FieldValueInvalid",
      field: "includeObject",
      message: `Invalid value: ${JSON.stringify(include)}: must be 'Metadata', 'Object', 'None', or empty`,
    },
  ]);
}
