import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { clusterRole, created, grant } from "../../test/apiserver/access.ts";
import { SILENT, never, startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { Answer, TestServer } from "../../test/apiserver/test-server.ts";
import { KINDS } from "../api/kinds.ts";
import { clusterRoleBindingKind, clusterRoleKind } from "../api/rbac/rbac.kinds.ts";
import { openAuditLog } from "./audit.ts";
import { readAll } from "./exchange.ts";
import type { User } from "./exchange.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const PODS = "/api/v1/namespaces/default/pods";
const MAPS = "/api/v1/namespaces/default/configmaps";
const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const MERGE = { "content-type": "application/merge-patch+json" };

function user(name: string, ...groups: readonly string[]): User {
  return { name, groups: [...groups, "system:authenticated"] };
}

function refused({ status, json }: Answer, code: number, message: string | RegExp): void {
  const text = textAt(json, "message");
  assert.equal(status, code, text);
  if (typeof message === "string") assert.equal(text, message);
  else assert.match(text, message);
}

let api: TestServer;
before(async () => {
  api = await startTestServer();
});
after(() => api[Symbol.asyncDispose]());

describe("authorization", () => {
  it("refuses in upstream's words what no role allows", async () => {
    const jane = { user: user("jane") };
    const answer = await api.call("GET", "/api/v1/namespaces/default/services", undefined, jane);
    refused(
      answer,
      403,
      'services is forbidden: User "jane" cannot list resource "services" in API group "" in the namespace "default"',
    );
    assert.deepEqual(answer.json["details"], { kind: "services" });
    refused(
      await api.call("DELETE", `${RBAC}/clusterroles/view`, undefined, jane),
      403,
      'clusterroles.rbac.authorization.k8s.io "view" is forbidden: User "jane" cannot delete resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope',
    );
    refused(
      await api.call("GET", "/metrics", undefined, jane),
      403,
      'forbidden: User "jane" cannot get path "/metrics"',
    );
    assert.equal((await api.call("GET", "/apis", undefined, jane)).status, 200);
  });

  const forms = [
    ["GET", PODS, "list"],
    ["GET", `${PODS}?watch=1`, "watch"],
    ["GET", "/api/v1/watch/namespaces/default/pods", "watch"],
    ["GET", `${PODS}/a`, "get"],
    ["HEAD", `${PODS}/a`, "get"],
    ["GET", `${PODS}/a?watch=true`, "watch"],
    ["POST", PODS, "create"],
    ["PUT", `${PODS}/a`, "update"],
    ["PATCH", `${PODS}/a`, "patch"],
    ["DELETE", `${PODS}/a`, "delete"],
    ["DELETE", PODS, "deletecollection"],
  ] as const;
  for (const [method, url, verb] of forms) {
    it(`knows ${method} ${url.slice("/api/v1".length)} as ${verb}`, async () => {
      const body = method === "POST" || method === "PUT" || method === "PATCH" ? {} : undefined;
      const { status, json } = await api.call(method, url, body, { user: user("nobody") });
      assert.equal(status, 403);
      assert.match(textAt(json, "message"), new RegExp(`cannot ${verb} resource "pods"`));
    });
  }

  it("takes a field selector for one name as that name, and nothing else", async () => {
    const rule = { verbs: ["list"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a"] };
    await created(
      api.call("POST", `${RBAC}/clusterroles`, { metadata: { name: "one" }, rules: [rule] }),
    );
    await created(
      api.call("POST", `${RBAC}/clusterrolebindings`, {
        metadata: { name: "one" },
        subjects: [{ kind: "User", name: "one" }],
        roleRef: { kind: "ClusterRole", name: "one" },
      }),
    );
    const list = async (selector: string) => {
      const url = `/api/v1/secrets?fieldSelector=${encodeURIComponent(selector)}`;
      return (await api.call("GET", url, undefined, { user: user("one") })).status;
    };
    assert.equal(await list("metadata.name=a"), 200);
    for (const other of ["", "metadata.name=b", "metadata.name!=a", "type!=\\,metadata.name=a"]) {
      assert.equal(await list(other), 403, other);
    }
  });

  it("wants the permission to create for a PUT that creates", async () => {
    await grant(api, "putter", "get,update /services");
    const service = { metadata: { name: "put" }, spec: { ports: [{ port: 80 }] } };
    const url = "/api/v1/namespaces/default/services/put";
    const putter = { user: user("putter") };
    refused(await api.call("PUT", url, service, putter), 403, /cannot create resource "services"/);
  });

  it("wants it for an apply that creates, too", async () => {
    await grant(api, "applier", "get,patch /configmaps");
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" } };
    const options = {
      user: user("applier"),
      headers: { "content-type": "application/apply-patch+yaml" },
    };
    const url = `${MAPS}/applied?fieldManager=test`;
    refused(await api.call("PATCH", url, map, options), 403, /cannot create resource "configmaps"/);
    await created(api.call("POST", MAPS, map));
    assert.equal((await api.call("PATCH", url, map, options)).status, 200);
  });

  it("sees a new binding at once, and its end", async () => {
    const late = { user: user("late") };
    assert.equal((await api.call("GET", MAPS, undefined, late)).status, 403);
    await grant(api, "late", "list /configmaps");
    assert.equal((await api.call("GET", MAPS, undefined, late)).status, 200);
    await api.call("DELETE", `${RBAC}/clusterrolebindings/of-late`);
    assert.equal((await api.call("GET", MAPS, undefined, late)).status, 403);
  });
});

describe("escalation", () => {
  before(async () => {
    await grant(
      api,
      "boss",
      "get,list /pods",
      "create,update,patch rbac.authorization.k8s.io/clusterroles,rolebindings,clusterrolebindings",
    );
  });
  const boss = { user: user("boss") };

  it("lets nobody make a role of more than they have", async () => {
    const url = `${RBAC}/clusterroles`;
    await created(api.call("POST", url, clusterRole("less", "get /pods"), boss));
    refused(
      await api.call("POST", url, clusterRole("more", "get,delete /pods,secrets"), boss),
      403,
      [
        'clusterroles.rbac.authorization.k8s.io "more" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:',
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
      ].join("\n"),
    );
    const patch = { rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] };
    const more = { ...boss, headers: MERGE };
    refused(await api.call("PATCH", `${url}/less`, patch, more), 403, /not currently held/);
    const labels = { metadata: { labels: { a: "b" } } };
    assert.equal((await api.call("PATCH", `${url}/cluster-admin`, labels, more)).status, 200);
  });

  it("lets nobody make a role that takes in others'", async () => {
    const aggregating = {
      metadata: { name: "taker" },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] },
    };
    refused(
      await api.call("POST", `${RBAC}/clusterroles`, aggregating, boss),
      403,
      /not currently held:\n{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]}/,
    );
  });

  it("lets nobody bind a role of more than they have, unless they may bind it", async () => {
    const binding = (name: string, role: string) => ({
      metadata: { name },
      subjects: [{ kind: "User", name: "boss" }],
      roleRef: { kind: "ClusterRole", name: role },
    });
    const url = `${RBAC}/clusterrolebindings`;
    await created(api.call("POST", url, binding("b1", "less"), boss));
    refused(
      await api.call("POST", url, binding("b2", "cluster-admin"), boss),
      403,
      /not currently held/,
    );
    refused(await api.call("POST", url, binding("b3", "none"), boss), 404, /"none" not found/);
    await grant(api, "binder", "create rbac.authorization.k8s.io/clusterrolebindings");
    const rule = {
      verbs: ["bind"],
      apiGroups: ["rbac.authorization.k8s.io"],
      resources: ["clusterroles"],
      resourceNames: ["view"],
    };
    const change = await api.call("GET", `${RBAC}/clusterroles/of-binder`);
    const rules = [...(change.json["rules"] as unknown as object[]), rule];
    await api.call("PATCH", `${RBAC}/clusterroles/of-binder`, { rules }, { headers: MERGE });
    const binder = { user: user("binder") };
    await created(api.call("POST", url, binding("b4", "view"), binder));
    refused(await api.call("POST", url, binding("b5", "edit"), binder), 403, /not currently held/);
  });

  it("keeps a binding's role, whoever asks", async () => {
    const roleRef = { roleRef: { kind: "ClusterRole", name: "view" } };
    const url = `${RBAC}/clusterrolebindings/of-boss`;
    const answer = await api.call("PATCH", url, roleRef, { headers: MERGE });
    refused(answer, 422, /roleRef: Invalid value: .*: cannot change roleRef/);
  });
});

describe("a node", () => {
  const n1 = { user: user("system:node:n1", "system:nodes") };

  it("registers itself and no other", async () => {
    const node = (name: string) => ({ metadata: { name } });
    await created(api.call("POST", "/api/v1/nodes", node("n1"), n1));
    refused(
      await api.call("POST", "/api/v1/nodes", node("n2"), n1),
      403,
      'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
    );
    await created(api.call("POST", "/api/v1/nodes", node("n2")));
    refused(await api.call("GET", "/api/v1/nodes/n2", undefined, n1), 403, /only its own Node/);
    assert.equal((await api.call("GET", "/api/v1/nodes/n1", undefined, n1)).status, 200);
  });

  it("reads the Secrets of its Pods while it has them, and asks for their tokens", async () => {
    const secrets = "/api/v1/namespaces/default/secrets";
    await created(api.call("POST", secrets, { metadata: { name: "s" } }));
    await created(api.call("POST", ACCOUNTS, { metadata: { name: "worker" } }));
    const pod = {
      metadata: { name: "p" },
      spec: {
        nodeName: "n1",
        serviceAccountName: "worker",
        containers: [{ name: "c", image: "i", envFrom: [{ secretRef: { name: "s" } }] }],
      },
    };
    const read = async () => (await api.call("GET", `${secrets}/s`, undefined, n1)).status;
    assert.equal(await read(), 403);
    const { json } = await created(api.call("POST", PODS, pod));
    assert.equal(await read(), 200);
    const bound = { kind: "Pod", apiVersion: "v1", name: "p", uid: textAt(json, "metadata.uid") };
    const ask = (spec: object) => api.call("POST", `${ACCOUNTS}/worker/token`, { spec }, n1);
    await created(ask({ boundObjectRef: bound }));
    refused(await ask({}), 403, /node requested token not bound to a pod/);
    await api.call("DELETE", `${PODS}/p?gracePeriodSeconds=0`);
    assert.equal(await read(), 403);
  });
});

/** A token of an account, by TokenRequest. */
async function token(server: TestServer, account: string, spec: object = {}): Promise<string> {
  const { json } = await created(server.call("POST", `${ACCOUNTS}/${account}/token`, { spec }));
  return textAt(json, "status.token");
}

async function who(server: TestServer, bearer: string) {
  const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
  const url = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const request = {
    method: "POST" as const,
    url,
    headers,
    body: Buffer.from("{}"),
    signal: never(),
  };
  const response = await server.server.handle(request, undefined);
  const json = JSON.parse((await readAll(response.body)).toString());
  return { status: response.status, user: json.status?.userInfo };
}

describe("tokens of ServiceAccounts", () => {
  it("say who holds them, with the claims of upstream's bound tokens", async () => {
    const { json } = await created(api.call("POST", ACCOUNTS, { metadata: { name: "app" } }));
    const uid = textAt(json, "metadata.uid");
    const text = await token(api, "app", { expirationSeconds: 600 });
    const [header, claims] = text
      .split(".", 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    assert.equal(header.alg, "ES256");
    const { iat, nbf, exp, jti, ...fixed } = claims;
    assert.equal(exp - iat, 600);
    assert.equal(nbf, iat);
    assert.deepEqual(fixed, {
      aud: ["https://kubernetes.default.svc.cluster.local"],
      iss: "https://kubernetes.default.svc.cluster.local",
      sub: "system:serviceaccount:default:app",
      "kubernetes.io": { namespace: "default", serviceaccount: { name: "app", uid } },
    });
    const { status, user: holder } = await who(api, text);
    assert.equal(status, 201);
    assert.deepEqual(holder, {
      username: "system:serviceaccount:default:app",
      uid,
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
      extra: { "authentication.kubernetes.io/credential-id": [`JTI=${String(jti)}`] },
    });
  });

  it("end with the account, though another of its name is made", async () => {
    await created(api.call("POST", ACCOUNTS, { metadata: { name: "brief" } }));
    const text = await token(api, "brief");
    assert.equal((await who(api, text)).status, 201);
    await api.call("DELETE", `${ACCOUNTS}/brief`);
    assert.equal((await who(api, text)).status, 401);
    await created(api.call("POST", ACCOUNTS, { metadata: { name: "brief" } }));
    assert.equal((await who(api, text)).status, 401);
  });

  it("end with the Pod that they are bound to", async () => {
    const pod = {
      metadata: { name: "bound" },
      spec: { serviceAccountName: "app", containers: [{ name: "c", image: "i" }] },
    };
    await created(api.call("POST", PODS, pod));
    const spec = { boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "bound" } };
    const text = await token(api, "app", spec);
    assert.deepEqual((await who(api, text)).user.extra["authentication.kubernetes.io/pod-name"], [
      "bound",
    ]);
    await api.call("DELETE", `${PODS}/bound?gracePeriodSeconds=0`);
    assert.equal((await who(api, text)).status, 401);
  });

  it("are refused when they are for others, changed, or over", async () => {
    const text = await token(api, "app", { audiences: ["vault"] });
    assert.equal((await who(api, text)).status, 401);
    const good = await token(api, "app");
    const [head = "", body = "", signature = ""] = good.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    const forged = Buffer.from(
      JSON.stringify({ ...claims, sub: "system:serviceaccount:kube-system:root" }),
    ).toString("base64url");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    for (const bad of [
      `${head}.${forged}.${signature}`,
      `${none}.${body}.`,
      `${head}.${body}.`,
      "nonsense",
      "a.b.c",
    ]) {
      assert.equal((await who(api, bad)).status, 401, bad);
    }
  });

  it("are reviewed for the audiences that they are asked about", async () => {
    const text = await token(api, "app", { audiences: ["vault", "bank"] });
    const url = "/apis/authentication.k8s.io/v1/tokenreviews";
    const review = async (audiences: readonly string[]) =>
      (await api.call("POST", url, { spec: { token: text, audiences } })).json["status"];
    const good = await review(["bank", "other"]);
    assert.equal(textAt(good ?? {}, "user.username"), "system:serviceaccount:default:app");
    assert.deepEqual(good?.["audiences"], ["bank"]);
    assert.equal((await review(["other"]))?.["authenticated"], undefined);
  });

  it("are refused by TokenRequest where they could not be meant", async () => {
    const ask = (spec: object, account = "app") =>
      api.call("POST", `${ACCOUNTS}/${account}/token`, { spec });
    refused(
      await ask({ expirationSeconds: 60 }),
      422,
      /spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes/,
    );
    refused(await ask({}, "none"), 404, 'serviceaccounts "none" not found');
    refused(
      await ask({ boundObjectRef: { kind: "Pod", name: "none" } }),
      404,
      'pods "none" not found',
    );
    const { json } = await created(ask({ expirationSeconds: 2 ** 31 }));
    assert.equal(Number(json["spec"]?.["expirationSeconds"]), 365 * 86_400);
  });
});

describe("the keys of tokens", () => {
  it("are kept, are followed by new ones, and verify until no token can be left", async () => {
    const keysDir = await mkdtemp(join(tmpdir(), "portolan-keys-"));
    let nowMs = Date.parse("2030-01-01T00:00:00Z");
    const days = (count: number) => (nowMs += count * 86_400_000);
    await using server = await startTestServer({ keysDir, now: () => nowMs });
    await created(server.call("POST", ACCOUNTS, { metadata: { name: "app" } }));
    const first = await token(server, "app", { expirationSeconds: 300 * 86_400 });
    const [file = ""] = await readdir(keysDir);
    assert.equal((await stat(join(keysDir, file))).mode & 0o777, 0o600);
    await server.restart();
    assert.equal((await who(server, first)).status, 201);
    days(91);
    const second = await token(server, "app");
    const kid = (text: string) =>
      JSON.parse(Buffer.from(text.split(".")[0] ?? "", "base64url").toString()).kid as string;
    assert.notEqual(kid(first), kid(second));
    await server.restart();
    assert.equal((await who(server, first)).status, 201);
    const keys = async () => {
      const { json } = await server.call("GET", "/openid/v1/jwks");
      return (json["keys"] as unknown as { kid: string }[]).map((key) => key.kid);
    };
    assert.deepEqual(await keys(), [kid(second), kid(first)]);
    days(210);
    assert.equal((await who(server, first)).status, 401);
    days(200);
    assert.ok(!(await keys()).includes(kid(first)));
    assert.ok(!(await readdir(keysDir)).includes(file));
    await rm(keysDir, { recursive: true });
  });

  it("are told to ServiceAccounts, with what OpenID Connect wants to know", async () => {
    const account = { user: user("system:serviceaccount:a:b", "system:serviceaccounts") };
    const path = "/.well-known/openid-configuration";
    const { json } = await api.call("GET", path, undefined, account);
    assert.equal(json["issuer"], "https://kubernetes.default.svc.cluster.local");
    assert.match(textAt(json, "jwks_uri"), /\/openid\/v1\/jwks$/);
    assert.equal((await api.call("GET", path, undefined, { user: user("jane") })).status, 403);
  });
});

it("a bootstrap token lets in until it is over, as whom it says among bootstrappers", async () => {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const secret = (id: string, more: Readonly<Record<string, string>>) => {
    const data = {
      "token-id": id,
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-authentication": "true",
      ...more,
    };
    return {
      metadata: { name: `bootstrap-token-${id}` },
      type: "bootstrap.kubernetes.io/token",
      data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
    };
  };
  const put = (id: string, more: Readonly<Record<string, string>> = {}) =>
    created(api.call("POST", "/api/v1/namespaces/kube-system/secrets", secret(id, more)));
  await put("aaaaaa", { "auth-extra-groups": "system:bootstrappers:workers" });
  await put("bbbbbb", { expiration: "2020-01-01T00:00:00Z" });
  await put("cccccc", { "auth-extra-groups": "system:masters" });
  await put("dddddd", { "usage-bootstrap-authentication": "false" });
  const good = await who(api, "aaaaaa.0123456789abcdef");
  assert.deepEqual(good.user, {
    username: "system:bootstrap:aaaaaa",
    groups: ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"],
  });
  for (const bad of ["aaaaaa.0123456789abcdeg", "bbbbbb.0123456789abcdef"]) {
    assert.equal((await who(api, bad)).status, 401);
  }
  assert.equal((await who(api, "cccccc.0123456789abcdef")).status, 401);
  assert.equal((await who(api, "dddddd.0123456789abcdef")).status, 401);
});

describe("impersonation", () => {
  const as = (headers: Readonly<Record<string, string>>, asker?: User) =>
    api.call(
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      {},
      {
        headers,
        ...(asker === undefined ? {} : { user: asker }),
      },
    );

  it("makes who may into whom they name, and all that follows", async () => {
    const headers = {
      "impersonate-user": "jane",
      "impersonate-group": "ops, dev",
      "impersonate-uid": "7",
      "impersonate-extra-reason%2fwhy": "test",
    };
    const { json } = await as(headers);
    assert.deepEqual(json["status"]?.["userInfo"], {
      username: "jane",
      uid: "7",
      groups: ["ops", "dev", "system:authenticated"],
      extra: { "reason/why": ["test"] },
    });
    const account = await as({ "impersonate-user": "system:serviceaccount:web:app" });
    assert.deepEqual(account.json["status"]?.["userInfo"]?.["groups"], [
      "system:serviceaccounts",
      "system:serviceaccounts:web",
      "system:authenticated",
    ]);
  });

  it("wants the permission for each part", async () => {
    await grant(api, "proxy", "impersonate /users");
    const proxy = user("proxy");
    assert.equal((await as({ "impersonate-user": "jane" }, proxy)).status, 201);
    refused(
      await as({ "impersonate-user": "jane", "impersonate-group": "a, system:masters" }, proxy),
      403,
      'groups "a" is forbidden: User "proxy" cannot impersonate resource "groups" in API group "" at the cluster scope',
    );
    const account = { "impersonate-user": "system:serviceaccount:web:app" };
    refused(
      await as(account, proxy),
      403,
      /cannot impersonate resource "serviceaccounts" in API group "" in the namespace "web"/,
    );
    refused(
      await as({ "impersonate-user": "jane", "impersonate-uid": "1" }, proxy),
      403,
      /cannot impersonate resource "uids" in API group "authentication.k8s.io"/,
    );
    refused(
      await as({ "impersonate-group": "system:masters" }, proxy),
      500,
      /without impersonating a user/,
    );
  });
});

describe("default roles", () => {
  it("are valid, and hold what those that they aggregate hold from the start", async () => {
    for (const kind of [clusterRoleKind, clusterRoleBindingKind]) {
      const { json } = await api.call("GET", `${RBAC}/${kind.plural}`);
      for (const item of json["items"] as unknown as never[]) {
        assert.deepEqual(kind.strategy.validateCreate(item), []);
      }
    }
    const may = async (group: string, verb: string, resource: string) => {
      const spec = {
        user: "u",
        groups: [group],
        resourceAttributes: { verb, resource, namespace: "default" },
      };
      const url = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
      return (await api.call("POST", url, { spec })).json["status"]?.["allowed"];
    };
    for (const role of ["view", "edit", "admin"]) {
      await created(
        api.call("POST", `${RBAC}/namespaces/default/rolebindings`, {
          metadata: { name: role },
          subjects: [{ kind: "Group", name: role }],
          roleRef: { kind: "ClusterRole", name: role },
        }),
      );
      assert.equal(await may(role, "list", "pods"), true);
      assert.equal(await may(role, "get", "secrets"), role !== "view");
      assert.equal(await may(role, "delete", "services"), role !== "view");
    }
  });

  it("come in one commit, and are given back at start what was taken, and no more", async () => {
    await using server = await startTestServer({
      kinds: KINDS.filter(({ plural }) => plural !== "events"),
    });
    const revisions = new Set<string>();
    for (const plural of ["clusterroles", "clusterrolebindings"]) {
      const { json } = await server.call("GET", `${RBAC}/${plural}`);
      for (const item of json["items"] as unknown as object[]) {
        revisions.add(textAt(item as never, "metadata.resourceVersion"));
      }
    }
    assert.equal(revisions.size, 1);
    await server.call(
      "PATCH",
      `${RBAC}/clusterroles/system:discovery`,
      { rules: [] },
      { headers: MERGE },
    );
    await server.call("DELETE", `${RBAC}/clusterrolebindings/cluster-admin`);
    const metadata = {
      annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" },
    };
    const kept = { metadata, rules: [] };
    await server.call("PATCH", `${RBAC}/clusterroles/system:monitoring`, kept, { headers: MERGE });
    await server.restart();
    const { revision } = server.store;
    const rules = async (name: string) =>
      (await server.call("GET", `${RBAC}/clusterroles/${name}`)).json["rules"];
    const [rule] = (await rules("system:discovery")) as unknown as { verbs: string[] }[];
    assert.deepEqual(rule?.verbs, ["get"]);
    assert.equal(await rules("system:monitoring"), undefined);
    const { status } = await server.call("GET", `${RBAC}/clusterrolebindings/cluster-admin`);
    assert.equal(status, 200);
    await server.restart();
    assert.equal(server.store.revision, revision);
  });
});

describe("request limits", () => {
  it("let a noisy client wait and refuse it, while others are answered", async () => {
    const limits = {
      ...DEFAULT_LIMITS,
      running: 4,
      runningPerUser: 2,
      waitingPerUser: 10,
      waiting: 100,
    };
    await using server = await startTestServer({ limits });
    const admin = (name: string) => ({ user: user(name, "system:masters") });
    const order: string[] = [];
    const create = async (who: string, i: number) => {
      const body = { metadata: { name: `${who}-${String(i)}` } };
      const { status, headers } = await server.call("POST", MAPS, body, admin(who));
      order.push(who);
      return { status, retryAfter: headers["retry-after"] };
    };
    const noisy = Array.from({ length: 40 }, (_, i) => create("noisy", i));
    const quiet = Array.from({ length: 3 }, (_, i) => create("quiet", i));
    assert.deepEqual(
      (await Promise.all(quiet)).map(({ status }) => status),
      [201, 201, 201],
    );
    const answers = await Promise.all(noisy);
    const refusals = answers.filter(({ status }) => status === 429);
    assert.equal(refusals.length, 40 - limits.runningPerUser - limits.waitingPerUser);
    assert.ok(refusals.every(({ retryAfter }) => retryAfter === "1"));
    assert.equal(answers.filter(({ status }) => status === 201).length, 12);
    // Of what was answered at all, the quiet one's did not have to wait for the noisy one's.
    const served = order.slice(refusals.length);
    assert.ok(served.lastIndexOf("quiet") < served.length - 3, served.join(" "));
  });

  it("bound the watches of each user, and count those that ended no more", async () => {
    await using server = await startTestServer({
      limits: { ...DEFAULT_LIMITS, streamsPerUser: 2 },
    });
    const open = (name: string) => {
      const gone = new AbortController();
      const options = { user: user(name, "system:masters"), signal: gone.signal };
      return { gone, answer: server.open(`${MAPS}?watch=1`, options) };
    };
    const [a, b, c, other] = [open("a"), open("a"), open("a"), open("b")];
    const statuses = await Promise.all(
      [a, b, c, other].map(async (one) => (await one.answer).status),
    );
    assert.deepEqual(statuses, [200, 200, 429, 200]);
    a.gone.abort();
    const again = open("a");
    assert.equal((await again.answer).status, 200);
    for (const one of [b, again, other]) one.gone.abort();
  });
});

it("the audit log has a line for each request: who, what, and how it ended", async () => {
  const dir = await mkdtemp(join(tmpdir(), "portolan-audit-"));
  const path = join(dir, "logs", "audit.log");
  const audit = await openAuditLog(path, SILENT);
  {
    await using server = await startTestServer({ audit });
    await server.call("POST", MAPS, { metadata: { name: "a" }, data: { secret: "hidden" } });
    const headers = { "impersonate-user": "jane", "user-agent": "test" };
    await server.call("GET", `${PODS}/p/log`, undefined, { headers });
    await server.call("GET", "/readyz");
  }
  await audit[Symbol.asyncDispose]();
  const text = await readFile(path, "utf8");
  assert.ok(!text.includes("hidden"));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(events.length, 2);
  const [create, denied] = events;
  assert.equal(create.verb, "create");
  assert.deepEqual(create.objectRef, {
    resource: "configmaps",
    namespace: "default",
    apiVersion: "v1",
  });
  assert.equal(create.user.username, "admin");
  assert.equal(create.responseStatus.code, 201);
  assert.equal(create.annotations["authorization.k8s.io/decision"], "allow");
  assert.equal(denied.responseStatus.code, 403);
  assert.equal(denied.impersonatedUser.username, "jane");
  assert.equal(denied.objectRef.subresource, "log");
  assert.equal(denied.userAgent, "test");
  assert.equal(denied.annotations["authorization.k8s.io/decision"], "forbid");
  await rm(dir, { recursive: true });
});
