import assert from "node:assert/strict";
import type { ApiServerDeps } from "../../src/apiserver/server.ts";
import { startTestServer, textAt } from "../apiserver/test-server.ts";
import type { Answer, Json, TestServer } from "../apiserver/test-server.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const STRATEGIC = { headers: { "content-type": "application/strategic-merge-patch+json" } };

/** A real API server, and short ways to what conformance tests do with Services. */
export interface ServiceApi extends AsyncDisposable {
  readonly api: TestServer;
  /** Tries to create; one TCP port 80 and a selector unless the spec says otherwise. */
  post(name: string, spec?: object, query?: string): Promise<Answer>;
  /** Creates, which must succeed. */
  create(name: string, spec?: object): Promise<Json>;
  get(name: string): Promise<Json>;
  /** Merge patch of the spec. */
  patch(name: string, spec: object): Promise<Answer>;
  strategic(name: string, body: object): Promise<Answer>;
  /** PUT of the object with these fields of its spec replaced; undefined takes one out. */
  replace(name: string, spec: object): Promise<Answer>;
  remove(name: string): Promise<void>;
}

export async function startServiceApi(options: Partial<ApiServerDeps> = {}): Promise<ServiceApi> {
  const api = await startTestServer(options);
  const get: ServiceApi["get"] = async (name) => {
    const answer = await api.call("GET", `${SERVICES}/${name}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };
  const post: ServiceApi["post"] = (name, spec = {}, query = "") =>
    api.call("POST", `${SERVICES}${query}`, {
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
    });
  return {
    api,
    post,
    async create(name, spec) {
      const answer = await post(name, spec);
      assert.equal(answer.status, 201, answer.text);
      return answer.json;
    },
    get,
    patch: (name, spec) => api.call("PATCH", `${SERVICES}/${name}`, { spec }, MERGE),
    strategic: (name, body) => api.call("PATCH", `${SERVICES}/${name}`, body, STRATEGIC),
    async replace(name, spec) {
      const object = await get(name);
      const body = { ...object, spec: { ...object["spec"], ...spec } };
      return api.call("PUT", `${SERVICES}/${name}`, body);
    },
    async remove(name) {
      const answer = await api.call("DELETE", `${SERVICES}/${name}`);
      assert.equal(answer.status, 200, answer.text);
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** The answer must be a refusal with this code and exactly this message, or one that matches. */
export function refused(answer: Answer, code: number, message: RegExp | string): void {
  assert.equal(answer.status, code, answer.text);
  const text = textAt(answer.json, "message");
  if (typeof message === "string") assert.equal(text, message);
  else assert.match(text, message);
}

/** What came with a `Warning` header. */
export function warningsOf(answer: Answer): readonly string[] {
  const header = answer.headers["warning"] ?? "";
  return [...header.matchAll(/299 - "((?:\\.|[^"\\])*)"/g)].map(([, text = ""]) =>
    text.replace(/\\(.)/g, "$1"),
  );
}
