import type { Container } from "../../api/v1/container.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { ServiceAccount } from "../../api/v1/serviceaccount.ts";
import type { Volume } from "../../api/v1/volume.ts";
import { secretNamesOf } from "../authorization/pod-references.ts";

/** Where programs look for their account's token. */
export const ACCOUNT_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The ConfigMap that every namespace has. */
const ROOT_CERTIFICATE = "kube-root-ca.crt";
export const ACCOUNT_VOLUME_PREFIX = "kube-api-access-";
/** A Pod that stands for one that its node has from a file. */
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** An hour, and by the odd seconds to be told from an hour that somebody asked for. */
const TOKEN_SECONDS = 3607;

/** One for all Pods: nothing in it depends on the Pod, and thousands of Pods have it. */
const TOKEN_SOURCE: NonNullable<Volume["projected"]> = {
  sources: [
    { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
    { configMap: { name: ROOT_CERTIFICATE, items: [{ key: "ca.crt", path: "ca.crt" }] } },
    {
      downwardAPI: {
        items: [
          { path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } },
        ],
      },
    },
  ],
  defaultMode: 0o644,
};

export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

/** Why a mirror Pod is refused; undefined: it is not. It must not need what only the API has. */
export function mirrorPodProblem(pod: Pod): string | undefined {
  if (pod.spec.serviceAccountName) return "a mirror pod may not reference service accounts";
  if (secretNamesOf(pod).some((name) => name !== undefined && name !== "")) {
    return "a mirror pod may not reference secrets";
  }
  const sources = (pod.spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  return sources.some(({ serviceAccountToken: token }) => token !== undefined)
    ? "a mirror pod may not use ServiceAccountToken volume projections"
    : undefined;
}

/**
 * The Pod as it runs as its account: with the account's token mounted in each container that has nothing else
 * there, unless Pod or account decline it, and with the account's secrets for pulling images unless it has its own.
 * Source: upstream `plugin/pkg/admission/serviceaccount`.
 * @param generateName gives a volume's name from its prefix.
 */
export function withAccount(
  pod: Pod,
  account: ServiceAccount,
  generateName: (prefix: string) => string,
): Pod {
  const { name } = account.metadata;
  const own = pod.spec.imagePullSecrets ?? [];
  const imagePullSecrets = own.length > 0 ? own : (account.imagePullSecrets ?? []);
  const spec = {
    ...pod.spec,
    serviceAccountName: name,
    // The old name of the field stays in step with the new one.
    serviceAccount: name,
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets }),
  };
  const automount =
    pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  return { ...pod, spec: automount ? withToken(spec, generateName) : spec };
}

function withToken(spec: Pod["spec"], generateName: (prefix: string) => string): Pod["spec"] {
  const { containers, initContainers, volumes = [] } = spec;
  const all = [...(initContainers ?? []), ...containers];
  if (all.every(hasMount)) return spec;
  const existing = volumes.find((volume) => volume.name.startsWith(ACCOUNT_VOLUME_PREFIX))?.name;
  const name = existing ?? generateName(ACCOUNT_VOLUME_PREFIX);
  const mounted = (container: Container): Container => {
    if (hasMount(container)) return container;
    const mount = { name, readOnly: true, mountPath: ACCOUNT_MOUNT_PATH };
    return { ...container, volumeMounts: [...(container.volumeMounts ?? []), mount] };
  };
  return {
    ...spec,
    containers: containers.map(mounted),
    ...(initContainers && { initContainers: initContainers.map(mounted) }),
    volumes: existing === undefined ? [...volumes, { name, projected: TOKEN_SOURCE }] : volumes,
  };
}

function hasMount({ volumeMounts = [] }: Container): boolean {
  return volumeMounts.some(({ mountPath }) => mountPath === ACCOUNT_MOUNT_PATH);
}
