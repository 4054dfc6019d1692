import type { Container } from "../../api/v1/container.ts";
import type { Pod } from "../../api/v1/pod.ts";

/** The ServiceAccount of a Pod; what names none runs as `default`. */
export function accountOf(pod: Pod): string {
  return pod.spec?.serviceAccountName || "default";
}

/** Whether a Pod needs the Secret, ConfigMap or ServiceAccount of its namespace that has this name. */
export function referenceOf(pod: Pod, resource: string, name: string): boolean {
  switch (resource) {
    case "secrets":
      return secretNamesOf(pod).includes(name);
    case "configmaps":
      return configMapNames(pod).includes(name);
    case "serviceaccounts":
      return accountOf(pod) === name;
    default:
      return false;
  }
}

/** The Secrets that a Pod needs, by name. */
export function secretNamesOf(pod: Pod): readonly (string | undefined)[] {
  return [
    ...(pod.spec?.imagePullSecrets ?? []).map(({ name }) => name),
    ...(pod.spec?.volumes ?? []).flatMap(({ secret, projected }) => [
      secret?.secretName,
      ...(projected?.sources ?? []).map((source) => source.secret?.name),
    ]),
    ...containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
      ...envFrom.map(({ secretRef }) => secretRef?.name),
    ]),
  ];
}

function configMapNames(pod: Pod): readonly (string | undefined)[] {
  return [
    ...(pod.spec?.volumes ?? []).flatMap(({ configMap, projected }) => [
      configMap?.name,
      ...(projected?.sources ?? []).map((source) => source.configMap?.name),
    ]),
    ...containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
      ...envFrom.map(({ configMapRef }) => configMapRef?.name),
    ]),
  ];
}

function containersOf({ spec }: Pod): readonly Container[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
