import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openApiDigest } from "../../test/golden/openapi-digest.ts";
import type { Json, TestServer } from "../../test/apiserver/test-server.ts";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
const GOLDEN = join(import.meta.dirname, "../../test/golden/openapi.txt");
const PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

describe("OpenAPI", () => {
  let api: TestServer;
  before(async () => {
    api = await startTestServer();
  });
  after(() => api[Symbol.asyncDispose]());

  const documents = async (): Promise<ReadonlyMap<string, Json>> => {
    const index = await api.call("GET", "/openapi/v3");
    const paths = Object.keys(index.json["paths"] ?? {});
    const found = new Map<string, Json>();
    for (const path of paths) {
      found.set(path, (await api.call("GET", `/openapi/v3/${path}`)).json);
    }
    return found;
  };
  /** Whether the server knows what is asked for, whatever comes of it. */
  const isServed = async (method: (typeof METHODS)[number], path: string): Promise<boolean> => {
    const url = path
      .replace("{namespace}", "default")
      .replace("{name}", "nothing")
      .replace("{path}", "x");
    // A version that is none ends watches before they begin.
    const answer = await api.call(method, `${url}?dryRun=All&resourceVersion=none`, "");
    const isUnknown =
      answer.status === 404 &&
      textAt(answer.json, "message") === "the server could not find the requested resource";
    return !isUnknown && answer.status !== 405;
  };

  it("tells of exactly the methods that the server answers, at every path", async () => {
    let count = 0;
    for (const document of (await documents()).values()) {
      for (const [path, item] of Object.entries(document["paths"] ?? {})) {
        for (const method of METHODS) {
          const isTold = Object.hasOwn(item, method.toLowerCase());
          assert.equal(await isServed(method, path), isTold, `${method} ${path}`);
          count++;
        }
      }
    }
    assert.ok(count > 400, String(count));
  });

  it("tells of every resource and subresource that discovery tells of, and the kinds at them", async () => {
    const accept =
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let subresources = 0;
    for (const [path, document] of await documents()) {
      const list = await api.call("GET", `/${path}`, undefined, { headers: { accept } });
      const resources: unknown = list.json["resources"];
      assert.ok(Array.isArray(resources));
      for (const { name, namespaced, kind } of resources as {
        name: string;
        namespaced: boolean;
        kind: string;
      }[]) {
        const [plural = "", subresource] = name.split("/");
        const scope = namespaced ? "/namespaces/{namespace}" : "";
        const collection = `/${path}${scope}/${plural}`;
        const at = subresource === undefined ? collection : `${collection}/{name}/${subresource}`;
        const item = document["paths"]?.[at];
        assert.ok(item !== undefined, at);
        const operations = METHODS.flatMap((method) => item[method.toLowerCase()] ?? []);
        for (const operation of operations) {
          assert.equal(operation["x-kubernetes-group-version-kind"]?.["kind"], kind, at);
        }
        if (subresource !== undefined) subresources++;
      }
    }
    assert.ok(subresources >= 12, String(subresources));
  });

  it("says how to log, exec, forward, proxy, bind and ask for tokens", async () => {
    const document = (await documents()).get("api/v1")?.["paths"];
    const pod = "/api/v1/namespaces/{namespace}/pods/{name}";
    const namesOf = (path: string, method: string): readonly string[] => {
      const parameters: unknown = document?.[path]?.[method]?.["parameters"];
      assert.ok(Array.isArray(parameters), path);
      return parameters.map(({ name }: { name: string }) => name);
    };
    assert.ok(namesOf(`${pod}/log`, "get").includes("tailLines"));
    assert.deepEqual(namesOf(`${pod}/exec`, "post"), [
      "command",
      "container",
      "stderr",
      "stdin",
      "stdout",
      "tty",
    ]);
    assert.deepEqual(namesOf(`${pod}/portforward`, "get"), ["ports"]);
    for (const method of ["delete", "get", "head", "options", "patch", "post", "put"]) {
      const item = document?.[`${pod}/proxy/{path}`]?.[method];
      assert.equal(item?.["x-kubernetes-action"], "connect", method);
    }
    const bodyOf = (path: string) =>
      textAt(document?.[path]?.["post"] ?? {}, "requestBody.content.*/*.schema.$ref");
    assert.equal(bodyOf(`${pod}/binding`), "#/components/schemas/io.k8s.api.core.v1.Binding");
    assert.equal(
      bodyOf("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"),
      "#/components/schemas/io.k8s.api.authentication.v1.TokenRequest",
    );
  });

  it("names operations as upstream does, each once, for generators of clients", async () => {
    const pods = "/api/v1/namespaces/{namespace}/pods";
    const nameOf: Readonly<Record<string, string>> = {
      "get /api/v1/pods": "listCoreV1PodForAllNamespaces",
      [`get ${pods}`]: "listCoreV1NamespacedPod",
      [`post ${pods}`]: "createCoreV1NamespacedPod",
      [`delete ${pods}`]: "deleteCoreV1CollectionNamespacedPod",
      [`get ${pods}/{name}`]: "readCoreV1NamespacedPod",
      [`put ${pods}/{name}`]: "replaceCoreV1NamespacedPod",
      [`delete ${pods}/{name}`]: "deleteCoreV1NamespacedPod",
      [`patch ${pods}/{name}/status`]: "patchCoreV1NamespacedPodStatus",
      [`get ${pods}/{name}/log`]: "readCoreV1NamespacedPodLog",
      [`post ${pods}/{name}/exec`]: "connectCoreV1PostNamespacedPodExec",
      [`post ${pods}/{name}/binding`]: "createCoreV1NamespacedPodBinding",
      [`get ${pods}/{name}/proxy/{path}`]: "connectCoreV1GetNamespacedPodProxyWithPath",
      "get /api/v1/watch/pods": "watchCoreV1PodListForAllNamespaces",
      "get /api/v1/watch/namespaces/{namespace}/pods": "watchCoreV1NamespacedPodList",
      "get /api/v1/watch/namespaces/{namespace}/pods/{name}": "watchCoreV1NamespacedPod",
      "get /api/v1/nodes": "listCoreV1Node",
      "get /api/v1/watch/nodes": "watchCoreV1NodeList",
      "put /api/v1/namespaces/{name}/finalize": "replaceCoreV1NamespaceFinalize",
      "post /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
        "createAuthorizationV1SelfSubjectAccessReview",
      "get /apis/rbac.authorization.k8s.io/v1/clusterroles": "listRbacAuthorizationV1ClusterRole",
    };
    const found = new Map<string, Json>();
    for (const document of (await documents()).values()) {
      for (const [path, item] of Object.entries(document["paths"] ?? {})) {
        for (const [method, operation] of Object.entries(item)) {
          if (method !== "parameters") found.set(`${method} ${path}`, operation);
        }
      }
    }
    for (const [operation, name] of Object.entries(nameOf)) {
      assert.equal(textAt(found.get(operation) ?? {}, "operationId"), name, operation);
    }
    const names = [...found.values()].map((operation) => textAt(operation, "operationId"));
    assert.equal(new Set(names).size, found.size);
    const roles = found.get("get /apis/rbac.authorization.k8s.io/v1/clusterroles");
    assert.deepEqual(roles?.["tags"], ["rbacAuthorization_v1"]);
  });

  it("is there as one document of version 2, in JSON and in the protobuf that kubectl wants", async () => {
    const all = await api.call("GET", "/openapi/v2", undefined, {
      headers: { accept: `application/json,${PROTOBUF}` },
    });
    assert.equal(all.status, 200);
    assert.equal(textAt(all.json, "swagger"), "2.0");
    const own = new Set(
      [...(await documents()).values()].flatMap((d) => Object.keys(d["paths"] ?? {})),
    );
    assert.deepEqual(new Set(Object.keys(all.json["paths"] ?? {})), own);
    const again = await api.call("GET", "/openapi/v2", undefined, {
      headers: { "if-none-match": all.headers["etag"] ?? "" },
    });
    assert.equal(again.status, 304);
    const type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    const wanted = [type, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"];
    for (const accept of wanted) {
      const protobuf = await api.call("GET", "/openapi/v2", undefined, { headers: { accept } });
      assert.equal(protobuf.status, 200);
      assert.equal(protobuf.headers["content-type"], type);
    }
    const other = await api.call("GET", "/openapi/v2", undefined, {
      headers: { accept: "application/vnd.kubernetes.protobuf" },
    });
    assert.equal(other.status, 406);
  });

  it("is what test/golden/openapi.txt says: if the change is meant, run node --import tsx test/golden/openapi-digest.ts", async () => {
    assert.equal(await openApiDigest(), await readFile(GOLDEN, "utf8"));
  });
});
