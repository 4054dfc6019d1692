import { objectKey, refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { serviceAccountKind } from "../api/v1/serviceaccount.kind.ts";
import type { ApiClient } from "../client/client.ts";
import type { Informers } from "../client/informer.ts";
import { startReconciler } from "../client/reconcile.ts";
import type { ReconcileResult } from "../client/reconcile.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { isNamespaceGone } from "./namespace-gone.ts";

export interface ServiceAccountControllerDeps {
  readonly client: Pick<ApiClient, "create" | "update">;
  readonly informers: Informers;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** PEM of the authority that signed the API server's certificate. */
  readonly rootCertificate: string;
}

const ACCOUNT = "default";
const ROOT_CERTIFICATE = "kube-root-ca.crt";
const CONCURRENCY = 4;
const ANNOTATIONS = {
  "kubernetes.io/description":
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
};

/** Gives each Namespace what clients in its Pods need: the account `default` and the cluster's authority. */
export function startServiceAccountController(deps: ServiceAccountControllerDeps): AsyncDisposable {
  const { client, informers, log, metrics, rootCertificate } = deps;
  const namespaces = informers.of(namespaceKind);
  // Only the two names: there may be many others, and large ones.
  const named = (name: string) => ({ fieldSelector: `metadata.name=${name}` });
  const accounts = informers.of(serviceAccountKind, named(ACCOUNT));
  const configMaps = informers.of(configMapKind, named(ROOT_CERTIFICATE));

  const reconcile = async (key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> => {
    await Promise.all([accounts.synced(signal), configMaps.synced(signal)]);
    const namespace = namespaces.get(key)?.metadata;
    if (namespace === undefined || namespace.deletionTimestamp !== undefined) {
      return { kind: "done" };
    }
    try {
      // The account last: Pods come as soon as it is there, and need both.
      await ensureCertificate(namespace.name, signal);
      await ensureAccount(namespace.name, signal);
    } catch (error) {
      // Another was faster, or the namespace goes: either way the next event says what is to be done.
      if (!hasReason(error, "AlreadyExists") && !isNamespaceGone(error)) throw error;
    }
    return { kind: "done" };
  };

  const ensureAccount = async (namespace: string, signal: AbortSignal): Promise<void> => {
    if (accounts.get(objectKey({ namespace, name: ACCOUNT })) !== undefined) return;
    await client.create(serviceAccountKind, { metadata: { namespace, name: ACCOUNT } }, { signal });
    log.debug("service account created", { namespace, name: ACCOUNT });
  };

  const ensureCertificate = async (namespace: string, signal: AbortSignal): Promise<void> => {
    const data = { "ca.crt": rootCertificate };
    const current = configMaps.get(objectKey({ namespace, name: ROOT_CERTIFICATE }));
    if (current === undefined) {
      const metadata = { namespace, name: ROOT_CERTIFICATE, annotations: ANNOTATIONS };
      await client.create(configMapKind, { metadata, data }, { signal });
    } else if (current.data?.["ca.crt"] !== rootCertificate) {
      await client.update(configMapKind, { ...current, data }, { signal });
      log.info("root certificate restored", { namespace });
    }
  };

  const reconciler = startReconciler({
    name: "serviceaccount",
    concurrency: CONCURRENCY,
    reconcile,
    log,
    metrics,
  });
  const look = ({ key }: { readonly key: ObjectKey }): void => {
    const { namespace = "" } = refOf(key);
    reconciler.enqueue(objectKey({ name: namespace }));
  };
  const listeners = [
    namespaces.onChange(({ key }) => {
      reconciler.enqueue(key);
    }),
    accounts.onChange(look),
    configMaps.onChange(look),
  ];

  return {
    [Symbol.asyncDispose]: async () => {
      for (const listener of listeners) listener[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
    },
  };
}
