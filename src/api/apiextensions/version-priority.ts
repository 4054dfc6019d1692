const KUBE_LIKE = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/;
const STABILITIES = ["alpha", "beta", undefined];

/**
 * Order of versions in discovery: v2, v1, v11beta2, v3beta1, v12alpha1, then names that are no versions, by
 * alphabet (apimachinery `version.CompareKubeAwareVersionStrings`).
 * @returns less than 0 when `a` comes first.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [KUBE_LIKE.exec(a), KUBE_LIKE.exec(b)];
  if (left === null || right === null) {
    if (left !== null || right !== null) return left === null ? 1 : -1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const stability = (match: RegExpExecArray) => STABILITIES.indexOf(match[2]);
  return (
    stability(right) - stability(left) ||
    Number(right[1]) - Number(left[1]) ||
    Number(right[3] ?? 0) - Number(left[3] ?? 0)
  );
}
