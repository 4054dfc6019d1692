import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

const NAMESPACE = "/api/v1/namespaces/default";

describe("proxy subresources", () => {
  let pods: PodCluster;
  before(async () => (pods = await startPodCluster()));
  after(() => pods[Symbol.asyncDispose]());

  const targets = [
    "services/shop:80",
    "services/shop:web",
    "services/http:shop:web",
    "pods/web",
    "pods/web:8080",
    "pods/http:web:8080",
  ];
  for (const target of targets) {
    it(`APIS-005: relays to ${target}, path and query as they are`, async () => {
      const { text } = await pods.fetch("GET", `${NAMESPACE}/${target}/proxy/a%2Fb//c/?d=%20e`);
      assert.equal(text, "GET /a%2Fb//c/?d=%20e 0");
    });
  }

  it("APIS-005: serves kubectl get --raw", async () => {
    const { stdout, stderr } = await pods.kubectl([
      "get",
      "--raw",
      `${NAMESPACE}/services/shop:80/proxy/`,
    ]);
    assert.equal(stdout, "GET / 0", stderr);
  });

  for (const method of ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"]) {
    it(`APIS-006: relays ${method} with its body`, async () => {
      const { status, text } = await pods.fetch(method, `${NAMESPACE}/pods/web/proxy/x`, {
        body: method === "GET" ? "" : "hello",
      });
      assert.deepEqual([status, text], [200, `${method} /x ${method === "GET" ? "0" : "5"}`]);
    });
  }

  it("APIS-006: sends GET and HEAD to the slash, and relays the others", async () => {
    const path = `${NAMESPACE}/services/shop:80/proxy`;
    for (const method of ["GET", "HEAD"]) {
      const { status, headers } = await pods.fetch(method, `${path}?a=b`);
      assert.deepEqual([status, headers["location"]], [301, `${path}/?a=b`]);
    }
    assert.equal((await pods.fetch("POST", path, { body: "abc" })).text, "POST / 3");
    assert.equal((await pods.fetch("HEAD", `${path}/`)).status, 200);
  });

  it("APIS-007: says what is missing", async () => {
    const message = async (path: string) => {
      const { status, text } = await pods.fetch("GET", `${NAMESPACE}/${path}/proxy/`);
      const status0: unknown = JSON.parse(text);
      return [status, Object(status0).message];
    };
    assert.deepEqual(await message("services/shop:81"), [
      503,
      'no service port 81 found for service "shop"',
    ]);
    assert.deepEqual(await message("services/shop:other"), [
      503,
      'no endpoints available for service "shop:other"',
    ]);
    assert.deepEqual(await message("services/gone"), [404, 'services "gone" not found']);
    assert.deepEqual(await message("pods/ftp:web:1"), [400, 'invalid pod request "ftp:web:1"']);
    const [code, text] = await message("pods/web:9");
    assert.equal(code, 503);
    assert.match(String(text), /^error trying to reach service: connect ECONNREFUSED/);
  });

  it("APIS-008: makes links and redirects lead back through the proxy", async () => {
    const prefix = `${NAMESPACE}/pods/web/proxy`;
    const page = await pods.fetch("GET", `${prefix}/html`);
    assert.equal(page.text, `<a href="${prefix}/rewriteme">test</a>`);
    const { status, headers } = await pods.fetch("GET", `${prefix}/moved`);
    assert.deepEqual([status, headers["location"]], [302, `${prefix}/there`]);
  });

  it("APIS-009: fails none of 20 rounds of 16 at once", async () => {
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, i) => {
          const target = targets[i % targets.length] ?? "";
          return pods.fetch("GET", `${NAMESPACE}/${target}/proxy/${String(i)}`);
        }),
      );
      assert.deepEqual(
        answers.map(({ text }) => text),
        answers.map((_, i) => `GET /${String(i)} 0`),
      );
    }
  });

  it("streams bodies of any size", async () => {
    async function* large(): AsyncIterable<Uint8Array> {
      const chunk = Buffer.alloc(1024 * 1024);
      for (let i = 0; i < 20; i++) yield chunk;
    }
    const { text } = await pods.fetch("POST", `${NAMESPACE}/pods/web/proxy/`, { body: large() });
    assert.equal(text, `POST / ${String(20 * 1024 * 1024)}`);
  });

  it("keeps credentials back, and says who is asked for", async () => {
    const { text } = await pods.fetch("GET", `${NAMESPACE}/pods/web/proxy/headers`, {
      headers: { authorization: "Bearer secret", "x-own": "1", connection: "x-hop", "x-hop": "2" },
    });
    const headers: Record<string, unknown> = Object(JSON.parse(text));
    assert.equal(headers["authorization"], undefined);
    assert.equal(headers["x-hop"], undefined);
    assert.equal(headers["x-own"], "1");
    assert.equal(headers["x-forwarded-uri"], `${NAMESPACE}/pods/web/proxy/headers`);
  });

  it("hands each cookie on by itself", async () => {
    const { headers } = await pods.fetch("GET", `${NAMESPACE}/pods/web/proxy/cookies`);
    assert.deepEqual(headers["set-cookie"], ["a=1", "b=2; Expires=Wed, 25 Nov 2026 00:00:00 GMT"]);
  });

  it("lets a Pod and its client change protocols", async () => {
    const { status, headers, text } = await pods.fetch("GET", `${NAMESPACE}/pods/web/proxy/`, {
      headers: { connection: "Upgrade", upgrade: "echo" },
    });
    assert.deepEqual([status, headers["upgrade"], text], [101, "echo", "ping"]);
  });

  it("answers an upgrade that nobody serves like any other request", async () => {
    const { status, text } = await pods.fetch("GET", `${NAMESPACE}/services/shop`, {
      headers: { connection: "Upgrade", upgrade: "echo" },
    });
    assert.equal(status, 200);
    assert.match(text, /"kind":"Service"/);
  });

  it("reaches a node's agent, and nothing else on the node", async () => {
    const healthy = await pods.fetch("GET", "/api/v1/nodes/local/proxy/healthz");
    assert.deepEqual([healthy.status, healthy.text], [200, "ok"]);
    const other = await pods.fetch("GET", "/api/v1/nodes/local:22/proxy/");
    assert.equal(other.status, 400);
    assert.match(other.text, /port 22 of node local is not its agent's/);
  });
});
