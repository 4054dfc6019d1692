import type { Pod } from "./pod.ts";
import type { Toleration } from "./taint.ts";

/** Upstream's default-not-ready-toleration-seconds and default-unreachable-toleration-seconds. */
const SECONDS = 300;

const DEFAULTS: readonly Toleration[] = ["not-ready", "unreachable"].map((state) => ({
  key: `node.kubernetes.io/${state}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: SECONDS,
}));

/**
 * Lets a Pod that says nothing else stay five minutes on a node that is not ready. Source: upstream's admission
 * plugin DefaultTolerationSeconds.
 */
export function withDefaultTolerations(pod: Pod): Pod {
  const tolerations = pod.spec.tolerations ?? [];
  const missing = DEFAULTS.filter(
    ({ key }) =>
      !tolerations.some(
        (one) =>
          (one.key === key || (one.key ?? "") === "") &&
          (one.effect === "NoExecute" || (one.effect ?? "") === ""),
      ),
  );
  if (missing.length === 0) return pod;
  return { ...pod, spec: { ...pod.spec, tolerations: [...tolerations, ...missing] } };
}
