import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Endpoints } from "../../api/v1/endpoints.ts";
import type { Service } from "../../api/v1/service.ts";
import { mirroredKey, mirrorGroupsOf } from "./mirror-subsets.ts";
import type { MirrorGroup } from "./mirror-subsets.ts";
import { packEndpoints } from "./packing.ts";
import { isSameMap } from "./pod-address.ts";
import { portsKey, slicePortsOf } from "./pod-ports.ts";
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL, TRIGGER_TIME_ANNOTATION } from "./slice-metadata.ts";
import type { NewSlice } from "./slices.ts";

const MIRRORING_CONTROLLER = "endpointslicemirroring-controller.k8s.io";
const SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror";
/** Clients of long ago elect their leader by writing an Endpoints object every few seconds. */
const LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader";
/** What belongs to the Endpoints object alone: its own trigger time, and what `kubectl apply` remembers. */
const NOT_COPIED: readonly string[] = [
  TRIGGER_TIME_ANNOTATION,
  "kubectl.kubernetes.io/last-applied-configuration",
];
/** MIRR-009: upstream's `--mirroring-max-endpoints-per-subset`; also what one slice may hold. */
export const MAX_MIRRORED_PER_SUBSET = 1000;

export interface MirrorPlan {
  readonly create: readonly NewSlice[];
  /** Whole objects with the resourceVersion that was read. */
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
  readonly invalidAddresses: number;
  readonly skippedAddresses: number;
}

/** Slices are made of this Endpoints object (MIRR-002, 013): it is a user's, for a Service without selector. */
export function isMirrored(endpoints: Endpoints, service: Service | undefined): boolean {
  const { labels = {}, annotations = {} } = endpoints.metadata;
  return (
    service !== undefined &&
    Object.keys(service.spec.selector ?? {}).length === 0 &&
    labels[SKIP_MIRROR_LABEL] !== "true" &&
    annotations[LEADER_ANNOTATION] === undefined
  );
}

/** Made by the mirroring controller, of whichever Endpoints object. */
export function isMirrorSlice({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[MANAGED_BY_LABEL] === MIRRORING_CONTROLLER;
}

/**
 * What to write so that slices say what an Endpoints object says (MIRR-001..012).
 * @param slices those that {@link isMirrorSlice} of the Endpoints object's name.
 */
export function planMirror(endpoints: Endpoints, slices: readonly EndpointSlice[]): MirrorPlan {
  const { groups, invalid, skipped } = mirrorGroupsOf(endpoints, MAX_MIRRORED_PER_SUBSET);
  const metadata = metadataOf(endpoints);
  const isOwned = ({ metadata: { ownerReferences = [] } }: EndpointSlice): boolean =>
    ownerReferences.some(({ uid }) => uid === endpoints.metadata.uid);
  const create: NewSlice[] = [];
  const update: EndpointSlice[] = [];
  const unneeded = new Set(slices);
  for (const group of groups) {
    const own = slices
      .filter((slice) => isOwned(slice) && isOfGroup(slice, group))
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const packing = packEndpoints(
      own.map((slice) => ({ slice, endpoints: slice.endpoints })),
      group.wanted,
      MAX_MIRRORED_PER_SUBSET,
      mirroredKey,
    );
    const changed = [...packing.update, ...packing.unchanged.filter(hasOtherMetadata)];
    for (const { slice, endpoints: now } of changed) update.push(rewrite(slice, now));
    for (const { slice } of [...packing.update, ...packing.unchanged]) unneeded.delete(slice);
    for (const now of packing.create) {
      create.push({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          ...metadata,
          generateName: `${endpoints.metadata.name}-`,
          namespace: endpoints.metadata.namespace,
        },
        addressType: group.family,
        endpoints: now,
        ports: group.ports.map((port) => ({ ...port })),
      });
    }
  }
  return {
    create,
    update,
    delete: [...unneeded],
    invalidAddresses: invalid,
    skippedAddresses: skipped,
  };

  function hasOtherMetadata({ slice }: { readonly slice: EndpointSlice }): boolean {
    return (
      !isSameMap(slice.metadata.labels, metadata.labels) ||
      !isSameMap(slice.metadata.annotations, metadata.annotations)
    );
  }

  function rewrite(slice: EndpointSlice, now: EndpointSlice["endpoints"]): EndpointSlice {
    return { ...slice, metadata: { ...slice.metadata, ...metadata }, endpoints: now };
  }
}

function isOfGroup(slice: EndpointSlice, { family, ports }: MirrorGroup): boolean {
  return slice.addressType === family && portsKey(slicePortsOf(slice)) === portsKey(ports);
}

/**
 * What a slice has of its Endpoints object (MIRR-003, 004). An Endpoints object does not say when it changed,
 * so a mirrored slice has no trigger time.
 */
function metadataOf({
  metadata,
}: Endpoints): Pick<NewSlice["metadata"], "labels" | "annotations" | "ownerReferences"> {
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !NOT_COPIED.includes(key),
  );
  return {
    labels: {
      ...metadata.labels,
      [SERVICE_NAME_LABEL]: metadata.name,
      [MANAGED_BY_LABEL]: MIRRORING_CONTROLLER,
    },
    annotations: annotations.length === 0 ? undefined : Object.fromEntries(annotations),
    ownerReferences: [
      {
        apiVersion: "v1",
        kind: "Endpoints",
        name: metadata.name,
        uid: metadata.uid ?? "",
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}
