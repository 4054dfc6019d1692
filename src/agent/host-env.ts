/**
 * What Pods get of the host's environment: enough to find programs, temporary space and the language. HOME,
 * since package managers and runtimes keep their caches there. All else stays out on purpose: the
 * environment of whoever started us may hold credentials (KUBECONFIG, AWS_*, tokens) that a Pod has no
 * business with.
 */
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ"] as const;

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The environment that every container starts from. */
export function hostEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const passed: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const name of PASSED_ON) {
    const value = environment[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}
