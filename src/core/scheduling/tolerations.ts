import type { Taint, Toleration } from "../../api/v1/taint.ts";

/**
 * The first taint of the node that keeps the Pod off, or undefined: effects NoSchedule and NoExecute do,
 * PreferNoSchedule does not.
 */
export function untoleratedTaint(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
): Taint | undefined {
  return taints.find(
    (taint) =>
      (taint.effect === "NoSchedule" || taint.effect === "NoExecute") &&
      !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

/** An empty key, value or effect of a toleration matches all; operator Exists ignores the value. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = "", operator = "", value = "", effect = "" } = toleration;
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  if (operator === "Exists") return true;
  // An empty key with Equal is refused by validation; upstream reads it as matching nothing.
  return key !== "" && value === (taint.value ?? "");
}
