import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";

// Real kubectl, for what it makes of our answers: protobuf bodies, texts, exit codes.

let server: KubectlServer;
before(async () => {
  server = await startKubectlServer();
  await server.run(["create", "serviceaccount", "app"]);
});
after(() => server[Symbol.asyncDispose]());

const words = (text: string): readonly string[] => text.split(" ");
const run = (text: string) => server.run(words(text));
const fails = async (text: string) => {
  const { code, stderr } = await server.kubectl(words(text));
  assert.notEqual(code, 0);
  return stderr;
};

/** A kubeconfig that shows a token and no certificate. */
async function tokenConfig(token: string): Promise<string> {
  const config = JSON.parse(await server.run(["config", "view", "--raw", "-o", "json"]));
  config.users = [{ name: "u", user: { token } }];
  const path = join(server.kubeconfig, "..", "token.kubeconfig");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

describe("kubectl auth", () => {
  it("whoami shows the certificate's user", async () => {
    assert.equal(
      await run("auth whoami"),
      [
        "ATTRIBUTE   VALUE",
        "Username    kubernetes-admin",
        "Groups      [system:masters system:authenticated]",
        "",
      ].join("\n"),
    );
  });

  it("can-i answers yes and no, with the exit code", async () => {
    assert.equal(await run("auth can-i create pods"), "yes\n");
    const no = await server.kubectl(words("auth can-i create pods --as jane"));
    assert.deepEqual([no.code, no.stdout], [1, "no\n"]);
    assert.equal(await run("auth can-i get /version --as jane"), "yes\n");
  });

  it("can-i --list shows what the roles allow", async () => {
    await run("create clusterrole reader --verb=get,list --resource=pods,services");
    await run("create rolebinding readers --clusterrole=reader --user=lister");
    const list = await run("auth can-i --list --as lister");
    assert.match(list, /^pods +\[\] +\[\] +\[get list\]$/m);
    assert.match(list, /^services +\[\] +\[\] +\[get list\]$/m);
    assert.match(list, /^selfsubjectaccessreviews.authorization.k8s.io +\[\] +\[\] +\[create\]$/m);
    assert.match(await run("auth can-i --list"), /^\*\.\* +\[\] +\[\] +\[\*\]$/m);
  });
});

describe("kubectl create", () => {
  it("makes roles and bindings, and shows them", async () => {
    assert.equal(
      await run("create role pod-reader --verb=get --verb=list --resource=pods,pods/log"),
      "role.rbac.authorization.k8s.io/pod-reader created\n",
    );
    assert.equal(
      await run("create rolebinding app-reads --role=pod-reader --serviceaccount=default:app"),
      "rolebinding.rbac.authorization.k8s.io/app-reads created\n",
    );
    assert.equal(
      await run("create clusterrolebinding app-views --clusterrole=view --group=viewers"),
      "clusterrolebinding.rbac.authorization.k8s.io/app-views created\n",
    );
    assert.match(await run("get role pod-reader"), /^NAME +CREATED AT\npod-reader +20\S+Z\n$/);
    assert.match(
      await run("get rolebinding app-reads -o wide"),
      /^NAME +ROLE +AGE +USERS +GROUPS +SERVICEACCOUNTS\s*\napp-reads +Role\/pod-reader +\d+s +default\/app\s*\n$/,
    );
    const described = await run("describe role pod-reader");
    assert.match(described, /^ {2}pods\/log +\[\] +\[\] +\[get list\]$/m);
    assert.match(
      await fails("create role bad --verb=get --resource=nothing"),
      /doesn't have a resource/,
    );
  });

  it("token gives one that works, with the account's roles and no others", async () => {
    const token = (await run("create token app --duration=20m")).trim();
    const env = { KUBECONFIG: await tokenConfig(token) };
    const as = (text: string) => server.kubectl(words(text), { env });
    assert.match((await as("auth whoami")).stdout, /system:serviceaccount:default:app/);
    await run("create role pod-lister --verb=list --resource=pods");
    await run("create rolebinding app-lists --role=pod-lister --serviceaccount=default:app");
    assert.equal((await as("get pods")).stderr, "No resources found in default namespace.\n");
    assert.equal(
      (await as("get services")).stderr,
      'Error from server (Forbidden): services is forbidden: User "system:serviceaccount:default:app" cannot list resource "services" in API group "" in the namespace "default"\n',
    );
    await run("delete serviceaccount app");
    assert.match((await as("get pods")).stderr, /Unauthorized|logged in/);
    await run("create serviceaccount app");
  });
});

it("kubectl --as shows what another may", async () => {
  const denied = 'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list';
  assert.ok((await fails("get secrets --as jane")).startsWith(denied));
  await run("create rolebinding janes --clusterrole=edit --user=jane");
  await run("create configmap janes --from-literal=a=b --as jane");
  const escalating = "create rolebinding more --clusterrole=cluster-admin --user=jane --as jane";
  assert.match(await fails(escalating), /cannot create resource "rolebindings"/);
  await run("create rolebinding janes-admin --clusterrole=admin --user=jane");
  assert.match(await fails(escalating), /attempting to grant RBAC permissions not currently held/);
  await run("create rolebinding others --clusterrole=view --user=joe --as jane");
  assert.match(await run("auth can-i list pods --as joe"), /^yes/);
});

it("kubectl explain and api-resources know the kinds that are only asked about", async () => {
  assert.match(await run("explain subjectaccessreview.spec.user"), /FIELD: user <string>/);
  const resources = await run("api-resources --api-group=authorization.k8s.io -o wide");
  assert.match(
    resources,
    /^selfsubjectaccessreviews +authorization.k8s.io\/v1 +false +SelfSubjectAccessReview +create/m,
  );
});

it("kubectl auth reconcile makes and mends roles", async () => {
  const manifest = (verbs: readonly string[]) =>
    JSON.stringify({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "mended" },
      rules: [{ verbs, apiGroups: [""], resources: ["pods"] }],
    });
  const reconcile = (verbs: readonly string[]) =>
    server.run(["auth", "reconcile", "-f", "-"], { stdin: manifest(verbs) });
  assert.match(
    await reconcile(["get"]),
    /clusterrole.rbac.authorization.k8s.io\/mended reconciled/,
  );
  await reconcile(["list"]);
  const rules = await run("get clusterrole mended -o jsonpath={.rules[*].verbs}");
  assert.equal(rules, '["get"] ["list"]');
});
