import { customVersions } from "../api/apiextensions/custom-kind.ts";
import { customResourceDefinitionKind } from "../api/apiextensions/customresourcedefinition.kind.ts";
import type { CustomResourceDefinition } from "../api/apiextensions/customresourcedefinition.ts";
import { conditionOf } from "../api/apiextensions/customresourcedefinition.validation.ts";
import { asServed } from "../api/apiextensions/definition-status.ts";
import { KINDS } from "../api/kinds.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import { withDeadline } from "../async/deadline.ts";
import type { ApiClient } from "../client/client.ts";

type Named = Pick<KindDefinition, "kind"> & { readonly apiVersion: string };

/** The server accepts names within milliseconds; who waits longer than this waits for ever. */
const ESTABLISHED_TIMEOUT_MS = 10_000;

/** Whether a manifest's object defines a kind, so that it must come before those of that kind. */
export function isDefinition({ kind, apiVersion }: Named): boolean {
  const definition = customResourceDefinitionKind;
  return kind === definition.kind && apiVersion === apiVersionOf(definition);
}

/**
 * The kind of an object: built in, or one that a CustomResourceDefinition of the cluster adds, for which it
 * waits until the cluster serves it.
 * @throws Error with one line that says why there is no such kind.
 */
export async function kindOfManifest(
  client: Pick<ApiClient, "list" | "watch">,
  object: Named,
  signal: AbortSignal,
): Promise<KindDefinition> {
  const builtIn = KINDS.find((kind) => isOf(kind, object));
  if (builtIn !== undefined) return builtIn;
  const { items } = await client.list(customResourceDefinitionKind, { signal });
  const definition = items.find(({ spec }) =>
    spec.versions.some(
      ({ name: version, served }) =>
        served && isOf({ group: spec.group, version, kind: spec.names.kind }, object),
    ),
  );
  if (definition === undefined) {
    throw new Error(
      `no matches for kind ${JSON.stringify(object.kind)} in version ${JSON.stringify(object.apiVersion)}: ` +
        "it is not built in, and no CustomResourceDefinition here adds it",
    );
  }
  const served = await established(client, definition.metadata.name, signal);
  const kind = customVersions(served)
    .map((version) => version.definition)
    .find((one) => isOf(one, object));
  if (kind === undefined) throw new Error(`${definition.metadata.name} was changed meanwhile`);
  return kind;
}

function isOf(kind: Pick<KindDefinition, "group" | "version" | "kind">, object: Named): boolean {
  return kind.kind === object.kind && apiVersionOf(kind) === object.apiVersion;
}

/** The definition as the cluster serves it, as soon as it does. */
function established(
  client: Pick<ApiClient, "list" | "watch">,
  name: string,
  signal: AbortSignal,
): Promise<CustomResourceDefinition> {
  return withDeadline(ESTABLISHED_TIMEOUT_MS, signal, async (until) => {
    const only = { fieldSelector: `metadata.name=${name}`, signal: until };
    const { items, resourceVersion } = await client.list(customResourceDefinitionKind, only);
    const [now] = items;
    const served = now && servedOrRefused(now);
    if (served !== undefined) return served;
    const watch = { ...only, resourceVersion };
    for await (const { type, object } of client.watch(customResourceDefinitionKind, watch)) {
      if (type !== "ADDED" && type !== "MODIFIED") continue;
      const changed = servedOrRefused(object);
      if (changed !== undefined) return changed;
    }
    throw new Error(`CustomResourceDefinition ${name} was not served before its watch ended`);
  });
}

/** undefined: not yet decided. @throws Error when its names are refused. */
function servedOrRefused(crd: CustomResourceDefinition): CustomResourceDefinition | undefined {
  const served = asServed(crd);
  if (served !== undefined) return served;
  const accepted = conditionOf(crd, "NamesAccepted");
  if (accepted?.status !== "False") return undefined;
  throw new Error(
    `CustomResourceDefinition ${crd.metadata.name} is not served: ${accepted.message ?? ""}`,
  );
}
