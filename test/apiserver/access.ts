import type { Answer, TestServer } from "./test-server.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** Rules as `VERBS GROUP/RESOURCES`, e.g. `get,list /pods,services`. */
function rulesOf(rules: readonly string[]): readonly object[] {
  return rules.map((text) => {
    const [verbs = "", what = ""] = text.split(" ");
    const slash = what.indexOf("/");
    return {
      verbs: verbs.split(","),
      apiGroups: [what.slice(0, slash)],
      resources: what.slice(slash + 1).split(","),
    };
  });
}

/** A body of a ClusterRole. */
export function clusterRole(name: string, ...rules: readonly string[]): object {
  return { metadata: { name }, rules: rulesOf(rules) };
}

/** Gives a user a ClusterRole of these rules in the whole cluster, as an administrator. */
export async function grant(
  server: TestServer,
  user: string,
  ...rules: readonly string[]
): Promise<void> {
  const name = `of-${user}`;
  await created(server.call("POST", `${RBAC}/clusterroles`, clusterRole(name, ...rules)));
  const binding = {
    metadata: { name },
    subjects: [{ kind: "User", name: user }],
    roleRef: { kind: "ClusterRole", name },
  };
  await created(server.call("POST", `${RBAC}/clusterrolebindings`, binding));
}

export async function created(answer: Promise<Answer>): Promise<Answer> {
  const { status, text } = await answer;
  if (status !== 201) throw new Error(`not created: ${String(status)} ${text}`);
  return answer;
}
