import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ServiceAccount } from "../api/v1/serviceaccount.ts";
import { accountOf } from "../core/authorization/pod-references.ts";
import { isMirrorPod, mirrorPodProblem, withAccount } from "../core/serviceaccounts/admission.ts";
import { forbidden } from "./failures.ts";
import type { KindCache } from "./kind-cache.ts";
import { generateName } from "./object-identity.ts";
import { NO_COMPANIONS } from "./write-hook.ts";
import type { WriteHook } from "./write-hook.ts";

/** Upstream asks three times within this. */
const PATIENCE_MS = 400;
/** The account `default` comes a moment after its namespace, by a loop that may be busy. */
const DEFAULT_PATIENCE_MS = 5_000;

/**
 * Admission plug-in ServiceAccount: each new Pod runs as an account that exists, and has its token.
 * @param random in [0, 1), for names.
 * @param stopping ends all waits; who aborts it also wakes those who wait for changes.
 */
export function podAccountHook(
  podKind: KindDefinition,
  accounts: KindCache,
  random: () => number,
  stopping: AbortSignal,
): WriteHook {
  const find = (namespace: string, name: string) =>
    accounts.get(objectKey({ namespace, name }))?.object;
  return {
    beforeCreate(object) {
      const pod = podOf(object);
      const { namespace = "" } = pod.metadata;
      const name = accountOf(pod);
      const isThere = () => find(namespace, name) !== undefined;
      if (isMirrorPod(pod) || isThere()) return undefined;
      const patienceMs = name === "default" ? DEFAULT_PATIENCE_MS : PATIENCE_MS;
      return changed(accounts, () => isThere() || stopping.aborted, patienceMs);
    },
    admit(object, old) {
      const release = () => {};
      if (old !== undefined) return { object, companions: NO_COMPANIONS, release };
      const pod = podOf(object);
      const refuse = (why: string) => forbidden(podKind, pod.metadata.name, why);
      if (isMirrorPod(pod)) {
        const problem = mirrorPodProblem(pod);
        if (problem !== undefined) throw refuse(problem);
        return { object, companions: NO_COMPANIONS, release };
      }
      const { namespace = "" } = pod.metadata;
      const name = accountOf(pod);
      const account = find(namespace, name);
      if (account === undefined) {
        const what = `service account ${namespace}/${name}`;
        throw refuse(`error looking up ${what}: serviceaccount ${JSON.stringify(name)} not found`);
      }
      // From the cache of accounts, which their schema decoded.
      const admitted = withAccount(pod, account as ServiceAccount, (prefix) =>
        generateName(prefix, random),
      );
      return { object: admitted, companions: NO_COMPANIONS, release };
    },
  };
}

/** The hook is registered for Pods alone, whose schema decoded it. */
function podOf(object: KubernetesObject): Pod {
  return object as Pod;
}

/** Resolves when `holds` does after a change, or the time is over. */
function changed(cache: KindCache, holds: () => boolean, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      listener[Symbol.dispose]();
      resolve();
    };
    const timer = setTimeout(end, patienceMs);
    const listener = cache.onChange(() => {
      if (holds()) end();
    });
  });
}
