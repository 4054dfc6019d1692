import { serviceKind } from "../api/v1/service.kind.ts";
import type { ApiClient } from "../client/client.ts";
import { createInformers } from "../client/shared-informers.ts";
import { createEventRecorder } from "../client/events.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informers } from "../client/informer.ts";
import { startAllocationRepair } from "../controllers/allocation-repair.ts";
import { startAggregationController } from "../controllers/clusterrole-aggregation.ts";
import { startCronJobController } from "../controllers/cronjob.ts";
import { startDaemonSetController } from "../controllers/daemonset.ts";
import { startDeploymentController } from "../controllers/deployment.ts";
import { startDisruptionController } from "../controllers/disruption.ts";
import { startEndpointsController } from "../controllers/endpoints.ts";
import { startEndpointSliceController } from "../controllers/endpointslice.ts";
import { startEndpointSliceMirroring } from "../controllers/endpointslicemirroring.ts";
import { startGarbageCollector } from "../controllers/garbage-collector.ts";
import { startJobController } from "../controllers/job.ts";
import { startNamespaceController } from "../controllers/namespace.ts";
import { startNodeLifecycleController } from "../controllers/node-lifecycle.ts";
import { startLeaderElection } from "../controllers/leader-election.ts";
import type { LeaderElectionOptions } from "../controllers/leader-election.ts";
import { startPodGcController } from "../controllers/pod-gc.ts";
import { startReplicaSetController } from "../controllers/replicaset.ts";
import { startReplicationControllerController } from "../controllers/replicationcontroller.ts";
import { startScheduler } from "../controllers/scheduler.ts";
import { startServiceAccountController } from "../controllers/serviceaccount.ts";
import { startServiceCidrController } from "../controllers/servicecidr.ts";
import { startStatefulSetController } from "../controllers/statefulset.ts";
import { startTaintEvictionController } from "../controllers/taint-eviction.ts";
import { startLoadBalancerController } from "../loadbalancer/loop.ts";
import { createPoolProvider } from "../loadbalancer/pool/provider.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { Disposables } from "../async/disposables.ts";

export interface ControllersDeps {
  /** Hands over the server's own objects. */
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface ControllersOptions {
  /** Where load balancers have their addresses; a range a family. */
  readonly loadBalancerPools: readonly Cidr[];
  /** PEM of the authority that clients in Pods know the API server by. */
  readonly rootCertificate: string;
  /**
   * For one of several processes: the loops run only in that which holds the Lease
   * `kube-system/portolan-controllers`. Default: they run here, and no Lease is asked for.
   */
  readonly leaderElection?:
    | Pick<LeaderElectionOptions, "identity" | "leaseMs" | "renewMs" | "retryMs">
    | undefined;
}

const LEASE = { namespace: "kube-system", name: "portolan-controllers" };

/** Starts the loops that a cluster needs to be alive, or the contest for who runs them. */
export function startControllers(
  deps: ControllersDeps,
  options: ControllersOptions,
): AsyncDisposable {
  const { leaderElection } = options;
  if (leaderElection === undefined) return startLoops(deps, options);
  const { client, metrics } = deps;
  const log = deps.log.with({ component: "leader-election" });
  const component = "portolan-controllers";
  const events = createEventRecorder({ client, component, host: "", now: Date.now, log });
  const opened = new Disposables();
  opened.add(events);
  opened.add(
    startLeaderElection(
      { client, log, metrics, events },
      { ...LEASE, ...leaderElection, lead: () => startLoops(deps, options) },
    ),
  );
  return opened;
}

/** Each with the name that its events go by upstream. */
function startLoops(deps: ControllersDeps, options: ControllersOptions): AsyncDisposable {
  const { client, informers } = deps;
  const opened = new Disposables();
  const as = (component: string): ControllersDeps & { events: EventRecorder } => {
    const log = deps.log.with({ component });
    const events = createEventRecorder({ client, component, host: "", now: Date.now, log });
    return { ...deps, log, events: opened.add(events) };
  };
  opened.add(startEndpointSliceController(as("endpoint-slice-controller")));
  opened.add(startEndpointsController(as("endpoint-controller")));
  opened.add(startEndpointSliceMirroring(as("endpoint-slice-mirroring-controller")));
  opened.add(startScheduler(as("default-scheduler")));
  opened.add(startNamespaceController(as("namespace-controller")));
  opened.add(startServiceCidrController(as("service-cidr-controller")));
  opened.add(startAllocationRepair(as("ipallocator-repair-controller")));
  opened.add(startNodeLifecycleController(as("node-controller")));
  opened.add(startTaintEvictionController(as("taint-eviction-controller")));
  opened.add(startPodGcController(as("pod-garbage-collector")));
  opened.add(startAggregationController(as("clusterrole-aggregation-controller")));
  opened.add(
    startServiceAccountController({
      ...as("serviceaccount-controller"),
      rootCertificate: options.rootCertificate,
    }),
  );
  opened.add(startDeploymentController(as("deployment-controller")));
  opened.add(startReplicaSetController(as("replicaset-controller")));
  opened.add(startReplicationControllerController(as("replication-controller")));
  opened.add(startStatefulSetController(as("statefulset-controller")));
  opened.add(startDaemonSetController(as("daemonset-controller")));
  opened.add(startJobController(as("job-controller")));
  opened.add(startCronJobController(as("cronjob-controller")));
  opened.add(startDisruptionController(as("disruption-controller")));
  opened.add(
    startGarbageCollector({
      ...as("generic-garbage-collector"),
      informerOf: (kind) => informers.of(kind),
      openInformers: () => createInformers({ client, log: deps.log, isShared: true }),
    }),
  );
  const provider = createPoolProvider(
    { services: informers.of(serviceKind) },
    { pools: options.loadBalancerPools },
  );
  opened.add(startLoadBalancerController({ ...as("service-controller"), provider }));
  return opened;
}
