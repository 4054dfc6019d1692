import { resourceNameOf } from "../api/machinery/kind.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { withDefaultTolerations } from "../api/v1/pod.tolerations.ts";
import type { Service } from "../api/v1/service.ts";
import type { NodePortRange } from "../core/allocation/node-port-allocator.ts";
import type { Cidr } from "../net/cidr.ts";
import { definitionHook } from "./custom-kinds.ts";
import type { User } from "./exchange.ts";
import { denyNewExternalIps } from "./external-ips.ts";
import { endpointsAddresses, loopbackHook, sliceAddresses } from "./loopback-writers.ts";
import { podAccountHook } from "./pod-accounts.ts";
import type { Registry } from "./registry.ts";
import { ServicePools } from "./service-pools.ts";
import type { WatchCache } from "./watch-cache.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import type { WriteHook } from "./write-hook.ts";

export interface WriteHooksDeps {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly kinds: readonly KindDefinition[];
  readonly serviceCidrs: readonly Cidr[];
  readonly nodePortRange: NodePortRange;
  readonly loopbackPodCidrs?: readonly Cidr[] | undefined;
  readonly loopbackWriters?: ((user: User) => boolean) | undefined;
  readonly denyServiceExternalIps?: boolean | undefined;
  readonly serviceAccountAdmission?: boolean | undefined;
  /** Aborts when the server ends. */
  readonly stopping: AbortSignal;
  readonly now: () => number;
  readonly random: () => number;
  readonly newUid: () => string;
}

/** As upstream's NamespaceLifecycle. */
const IMMORTAL_NAMESPACES = ["default", "kube-system", "kube-public"];

/** What single kinds need beyond their strategy, by resource name. */
export function writeHooks(deps: WriteHooksDeps): Map<string, WriteHook> {
  const { loopbackPodCidrs: podCidrs = [], loopbackWriters: mayWrite = () => false } = deps;
  const hooks = new Map<string, WriteHook>();
  hooks.set("endpoints", loopbackHook(endpointsAddresses, podCidrs, mayWrite));
  hooks.set("endpointslices.discovery.k8s.io", loopbackHook(sliceAddresses, podCidrs, mayWrite));
  hooks.set("namespaces", {
    refuseDeletion: ({ metadata }) =>
      IMMORTAL_NAMESPACES.includes(metadata.name) ? "this namespace may not be deleted" : undefined,
  });
  hooks.set("customresourcedefinitions.apiextensions.k8s.io", definitionHook(deps.now));
  const kinds = new Map(deps.kinds.map((kind) => [resourceNameOf(kind), kind]));
  const services = kinds.get("services");
  const [pods, accounts] = [kinds.get("pods"), kinds.get("serviceaccounts")];
  const accountHook =
    deps.serviceAccountAdmission === true && pods && accounts
      ? podAccountHook(pods, deps.cache.of(accounts), deps.random, deps.stopping)
      : {};
  hooks.set("pods", withTolerations(accountHook));
  if (services !== undefined) hooks.set("services", serviceHook(deps, kinds, services));
  return hooks;
}

/** Admission plug-in DefaultTolerationSeconds, after what `before` does. */
function withTolerations(before: WriteHook): WriteHook {
  return {
    ...before,
    admit(object, old, dryRun) {
      const admitted = before.admit?.(object, old, dryRun) ?? {
        object,
        companions: NO_COMPANIONS,
        release: () => undefined,
      };
      if (old !== undefined) return admitted;
      // Registered for Pods alone, whose schema decoded it.
      return { ...admitted, object: withDefaultTolerations(admitted.object as Pod) };
    },
  };
}

function serviceHook(
  deps: WriteHooksDeps,
  kinds: ReadonlyMap<string, KindDefinition>,
  services: KindDefinition,
): WriteHook {
  const { cache, registry, denyServiceExternalIps = false } = deps;
  const cacheOf = (name: string) => {
    const kind = kinds.get(name);
    return kind && cache.of(kind);
  };
  const pools = new ServicePools(
    {
      services: cache.of(services),
      ipAddresses: cacheOf("ipaddresses.networking.k8s.io"),
      serviceCidrs: cacheOf("servicecidrs.networking.k8s.io"),
    },
    deps,
  );
  const endpoints = kinds.get("endpoints");
  return {
    admit(object, old, dryRun) {
      // Registered for Services alone, whose schema decoded both.
      if (denyServiceExternalIps) {
        denyNewExternalIps(services, object as Service, old as Service | undefined);
      }
      return pools.admit(object, old, dryRun);
    },
    alsoDeleted(object) {
      const given = pools.given(object);
      // SVC-018: Endpoints go with the Service of their name.
      const { metadata: ref } = object;
      const current = endpoints && registry.get(endpoints, ref);
      if (endpoints === undefined || current === undefined) return given;
      const step = { kind: endpoints, ref, current, next: undefined };
      return { ...given, steps: [...given.steps, step] };
    },
  };
}
