import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { keyOf, objectKey } from "../../src/api/machinery/object-key.ts";
import type { Endpoints } from "../../src/api/v1/endpoints.ts";
import type { Node } from "../../src/api/v1/node.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import type { Service } from "../../src/api/v1/service.ts";
import { isManagedEndpoints, planEndpoints } from "../../src/core/endpoints/endpoints.ts";
import { isMirrored, isMirrorSlice, planMirror } from "../../src/core/endpoints/mirror.ts";
import { hasManagedEndpoints, selectsPod } from "../../src/core/endpoints/selection.ts";
import { isManagedSlice, SERVICE_NAME_LABEL } from "../../src/core/endpoints/slice-metadata.ts";
import { planSlices } from "../../src/core/endpoints/slices.ts";

export interface EndpointState {
  readonly services: readonly Service[];
  readonly pods: readonly Pod[];
  readonly nodes: readonly Node[];
  readonly slices: readonly EndpointSlice[];
  readonly endpoints: readonly Endpoints[];
}

/**
 * What is not as the pure functions say: Services whose slices, Endpoints or mirrored slices would still be
 * written, and objects that belong to nothing. Every slice is held against exactly one plan.
 */
export function endpointProblems(
  state: EndpointState,
  maxEndpointsPerSlice: number,
): readonly string[] {
  const services = new Map(state.services.map((service) => [keyOf(service), service]));
  const sources = new Map(state.endpoints.map((object) => [keyOf(object), object]));
  const nodes = new Map(state.nodes.map((node) => [node.metadata.name, node]));
  const problems: string[] = [];
  const of = (name: string, isKind: (slice: EndpointSlice) => boolean): readonly EndpointSlice[] =>
    state.slices.filter(
      (slice) => slice.metadata.labels?.[SERVICE_NAME_LABEL] === name && isKind(slice),
    );
  for (const service of state.services) {
    if (!hasManagedEndpoints(service)) continue;
    const pods = state.pods.filter((pod) => selectsPod(service, pod));
    const plan = planSlices({
      service,
      pods,
      nodeOf: (name) => nodes.get(name),
      slices: of(service.metadata.name, isManagedSlice),
      maxEndpointsPerSlice,
    });
    const writes = [plan.create.length, plan.update.length, plan.delete.length];
    if (writes.some((count) => count > 0)) {
      problems.push(`slices of ${keyOf(service)}: ${writes.join(" + ")} writes are missing`);
    }
    const todo = planEndpoints({ service, pods, existing: sources.get(keyOf(service)) });
    if (todo.kind !== "none") problems.push(`Endpoints of ${keyOf(service)}: ${todo.kind}`);
  }
  for (const source of state.endpoints) {
    const service = services.get(keyOf(source));
    if (isManagedEndpoints(source) && service === undefined) {
      problems.push(`Endpoints ${keyOf(source)} belong to nothing`);
    }
    if (!isMirrored(source, service)) continue;
    const plan = planMirror(source, of(source.metadata.name, isMirrorSlice));
    const writes = [plan.create.length, plan.update.length, plan.delete.length];
    if (writes.some((count) => count > 0)) {
      problems.push(`mirror of ${keyOf(source)}: ${writes.join(" + ")} writes are missing`);
    }
  }
  for (const slice of state.slices) {
    const name = slice.metadata.labels?.[SERVICE_NAME_LABEL] ?? "";
    const key = objectKey({ ...slice.metadata, name });
    const service = services.get(key);
    const source = sources.get(key);
    const isWanted = isMirrorSlice(slice)
      ? source !== undefined && isMirrored(source, service)
      : service !== undefined;
    if (!isWanted) problems.push(`slice ${keyOf(slice)} belongs to nothing`);
  }
  return problems;
}
