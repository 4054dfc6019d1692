import type { IpFamily } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { customResourceDefinitionKind } from "./apiextensions/customresourcedefinition.kind.ts";
import { controllerRevisionKind } from "./apps/controllerrevision.kind.ts";
import { daemonSetKind } from "./apps/daemonset.kind.ts";
import { deploymentKind } from "./apps/deployment.kind.ts";
import { replicaSetKind } from "./apps/replicaset.kind.ts";
import { statefulSetKind } from "./apps/statefulset.kind.ts";
import { horizontalPodAutoscalerKind } from "./autoscaling/horizontalpodautoscaler.kind.ts";
import { cronJobKind } from "./batch/cronjob.kind.ts";
import { jobKind } from "./batch/job.kind.ts";
import { leaseKind } from "./coordination/lease.kind.ts";
import { endpointSliceKindFor } from "./discovery/endpointslice.kind.ts";
import { eventKind as newEventKind } from "./events/event.kind.ts";
import type { KindDefinition } from "./machinery/kind.ts";
import { ingressClassKind, ingressKind } from "./networking/ingress.kinds.ts";
import { ipAddressKind } from "./networking/ipaddress.kind.ts";
import { networkPolicyKind } from "./networking/networkpolicy.kind.ts";
import { serviceCidrKind } from "./networking/servicecidr.kind.ts";
import { podDisruptionBudgetKind } from "./policy/poddisruptionbudget.kind.ts";
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
} from "./rbac/rbac.kinds.ts";
import { configMapKind } from "./v1/configmap.kind.ts";
import { endpointsKindFor } from "./v1/endpoints.kind.ts";
import { eventKind } from "./v1/event.kind.ts";
import { namespaceKind } from "./v1/namespace.kind.ts";
import { nodeKind } from "./v1/node.kind.ts";
import { podKind } from "./v1/pod.kind.ts";
import { replicationControllerKind } from "./v1/replicationcontroller.kind.ts";
import { secretKind } from "./v1/secret.kind.ts";
import { serviceKindFor } from "./v1/service.kind.ts";
import { serviceAccountKind } from "./v1/serviceaccount.kind.ts";

/**
 * Every kind, in the order of discovery, which decides who owns a name that two kinds claim.
 * @param options.podCidrs ranges of Pod addresses. Loopback addresses in them may stand in EndpointSlices and
 *   Endpoints; elsewhere they are refused (CVE-2021-25737).
 * @param options.primaryFamily the first family of the cluster's service addresses; default IPv4.
 */
export function servedKinds(options: {
  readonly podCidrs: readonly Cidr[];
  readonly primaryFamily?: IpFamily | undefined;
}): readonly KindDefinition[] {
  return [
    configMapKind,
    endpointsKindFor(options.podCidrs),
    eventKind,
    namespaceKind,
    nodeKind,
    podKind,
    replicationControllerKind,
    secretKind,
    serviceAccountKind,
    serviceKindFor(options.primaryFamily ?? "IPv4"),
    controllerRevisionKind,
    daemonSetKind,
    deploymentKind,
    replicaSetKind,
    statefulSetKind,
    horizontalPodAutoscalerKind,
    cronJobKind,
    jobKind,
    leaseKind,
    endpointSliceKindFor(options.podCidrs),
    newEventKind,
    ingressClassKind,
    ingressKind,
    ipAddressKind,
    networkPolicyKind,
    serviceCidrKind,
    podDisruptionBudgetKind,
    customResourceDefinitionKind,
    clusterRoleBindingKind,
    clusterRoleKind,
    roleBindingKind,
    roleKind,
  ];
}

/** Every kind, as clients know them. */
export const KINDS: readonly KindDefinition[] = servedKinds({ podCidrs: [] });
