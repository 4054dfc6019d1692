import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { objectKey } from "../../api/machinery/object-key.ts";
import {
  IMPORTED_SERVICE_LABEL,
  SOURCE_CLUSTER_LABEL,
} from "../../api/multicluster/serviceimport.ts";
import type { ServiceImport } from "../../api/multicluster/serviceimport.ts";
import { parseIpAddress } from "../../net/address.ts";
import { byFamily, sliceView } from "./views.ts";
import type { ServiceView, SliceView } from "./views.ts";

/** A Service of a set of clusters, read as the one of a cluster that has the same names (KEP-1645). */
export function serviceImportView({ metadata, spec }: ServiceImport): ServiceView {
  const ports = (spec?.ports ?? []).map(({ name = "", protocol = "TCP", port }) => ({
    name,
    protocol: protocol.toLowerCase(),
    port,
  }));
  const isHeadless = spec?.type === "Headless";
  const ips = isHeadless ? [] : (spec?.ips ?? []);
  return {
    key: objectKey(metadata),
    kind: isHeadless ? "headless" : "clusterIP",
    clusterIps: byFamily(ips.flatMap((ip) => parseIpAddress(ip) ?? [])),
    ports,
    target: undefined,
  };
}

/**
 * An EndpointSlice that was imported from a cluster of the set: its endpoints' names end in that cluster's,
 * since each cluster has hostnames of its own. One that does not say where it is from has them without.
 * @returns undefined for a slice of this cluster.
 */
export function importedSliceView(
  slice: EndpointSlice,
  usesPodNames = false,
): SliceView | undefined {
  const { labels = {} } = slice.metadata;
  const service = labels[IMPORTED_SERVICE_LABEL];
  if (service === undefined) return undefined;
  const cluster = (labels[SOURCE_CLUSTER_LABEL] ?? "").toLowerCase();
  const metadata = { ...slice.metadata, labels: { "kubernetes.io/service-name": service } };
  const view = sliceView({ ...slice, metadata }, usesPodNames);
  if (view === undefined || cluster === "") return view;
  const endpoints = view.endpoints.map(({ name, address }) => ({
    name: `${name}.${cluster}`,
    address,
  }));
  return { ...view, endpoints };
}
