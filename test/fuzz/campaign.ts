import assert from "node:assert/strict";
import { KINDS } from "../../src/api/kinds.ts";
import { apiVersionOf } from "../../src/api/machinery/kind.ts";
import { readAll } from "../../src/apiserver/exchange.ts";
import { withDeadline } from "../../src/async/deadline.ts";
import { sampleOf } from "./samples.ts";
import { ADMIN, startTestServer, textAt } from "../apiserver/test-server.ts";
import type { Json, TestServer } from "../apiserver/test-server.ts";
import { checkAnswer, describeRequest } from "./oracle.ts";
import { Random } from "./random.ts";
import { FUZZ_NAMESPACE, randomRequest } from "./requests.ts";
import type { FuzzRequest } from "./requests.ts";

/** How often each code was answered. */
export type Counts = Map<number, number>;

export interface CampaignOptions {
  readonly seed: number;
  /** Asked before each request. */
  readonly goesOn: (done: number) => boolean;
}

/** Far beyond what any request may take: only a hang comes here. */
const HANG_MS = 20_000;
const TIDY_EVERY = 1000;
const CUSTOM = `/apis/example.org/v1/namespaces/${FUZZ_NAMESPACE}/as`;
const CANARY = "/api/v1/namespaces/canary/services/canary";

/**
 * Sends random requests to an API server in this process.
 * @throws when an answer is wrong, naming the seed, the number and the request; when a refused request
 * changed something; when an object that no request named is not as it was; when the server stops answering.
 */
export async function runCampaign({ seed, goesOn }: CampaignOptions): Promise<Counts> {
  await using api = await startTestServer({ bounds: { maxEvents: 512, maxBytes: 1024 * 1024 } });
  const random = new Random(seed);
  const counts: Counts = new Map();
  await prepare(api);
  const canary = (await api.call("GET", CANARY)).text;
  for (let i = 0; goesOn(i); i++) {
    const request = randomRequest(random);
    try {
      const code = await checked(api, request);
      counts.set(code, (counts.get(code) ?? 0) + 1);
      if (random.chance(0.05)) await checkRoundTrip(api, request);
      if (i % TIDY_EVERY === TIDY_EVERY - 1) {
        assert.equal((await api.call("GET", CANARY)).text, canary, "the canary is as it was");
        await tidy(api);
      }
    } catch (error) {
      throw new Error(`seed ${String(seed)}, request ${String(i)}: ${describeRequest(request)}`, {
        cause: error,
      });
    }
  }
  assert.equal((await api.call("GET", CANARY)).text, canary, "the canary is as it was");
  return counts;
}

async function prepare(api: TestServer): Promise<void> {
  for (const name of [FUZZ_NAMESPACE, "canary"]) {
    await api.call("POST", "/api/v1/namespaces", { metadata: { name } });
  }
  await define(api);
  const body = { metadata: { name: "canary" }, spec: { ports: [{ port: 80 }] } };
  const { status } = await api.call("POST", "/api/v1/namespaces/canary/services", body);
  assert.equal(status, 201);
}

/** A custom kind, once it is served. */
async function define(api: TestServer): Promise<void> {
  const definitionKind = KINDS.find(({ kind }) => kind === "CustomResourceDefinition");
  assert.ok(definitionKind);
  const url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  assert.equal((await api.call("POST", url, sampleOf(definitionKind))).status, 201);
  const isServed = async () => {
    const { json } = await api.call("GET", `${url}/as.example.org`);
    // Conditions of a definition are a list.
    const conditions = (json["status"]?.["conditions"] ?? []) as unknown as readonly Json[];
    const isEstablished = conditions.some(
      (one) => textAt(one, "type") === "Established" && textAt(one, "status") === "True",
    );
    return isEstablished && (await api.call("GET", CUSTOM)).status === 200;
  };
  while (!(await isServed())) await new Promise((resolve) => setImmediate(resolve));
}

async function checked(api: TestServer, request: FuzzRequest): Promise<number> {
  const before = api.store.revision;
  const gone = new AbortController();
  const { status, headers, text } = await withDeadline(HANG_MS, undefined, async () => {
    const response = await api.server.handle(
      { ...request, signal: gone.signal },
      request.isAdmin ? ADMIN : undefined,
    );
    const isOpen = response.headers["content-length"] === undefined;
    // A watch ends when its caller goes; until then it may have nothing to say.
    if (isOpen) setImmediate(() => gone.abort(new Error("seen enough")));
    return { ...response, text: (await readAll(response.body)).toString() };
  });
  checkAnswer(status, headers["content-type"] ?? "", headers["content-encoding"] ? "" : text);
  for (const [name, value] of Object.entries(headers)) {
    assert.match(value, /^[\t\x20-\x7e]*$/, `header ${name} can be sent`);
    assert.ok(value.length <= 8192, `header ${name} is not endless`);
  }
  const isDryRun = new URLSearchParams(request.url.split("?")[1]).getAll("dryRun").includes("All");
  if (status >= 400 || isDryRun || request.method === "GET" || request.method === "HEAD") {
    assert.equal(
      api.store.revision,
      before,
      `what was refused or only tried changed nothing: ${String(status)} ${text}`,
    );
  }
  return status;
}

/** What the server gives out it takes back, and sees that nothing has changed. */
async function checkRoundTrip(api: TestServer, { url }: FuzzRequest): Promise<void> {
  const path = (url.split("?")[0] ?? "").replace("/watch/", "/");
  const before = await api.call("GET", path);
  const { metadata } = before.json;
  if (before.status !== 200 || metadata?.["uid"] === undefined) return;
  const back = await api.call("PUT", path.replace(/\/(status|log)$/, ""), before.text);
  assert.equal(back.status, 200, `its own object is refused: ${back.text} ${before.text}`);
  const read = (await api.call("GET", path)).json;
  assert.deepEqual(read, before.json, "its own object is something new");
}

/** Takes away what has piled up, finalizers or not. */
async function tidy(api: TestServer): Promise<void> {
  for (const kind of KINDS) {
    const root = kind.group === "" ? "/api/v1" : `/apis/${apiVersionOf(kind)}`;
    if (kind.namespaced) await empty(api, `${root}/namespaces/${FUZZ_NAMESPACE}/${kind.plural}`);
  }
  await empty(api, "/api/v1/nodes");
  await empty(api, CUSTOM);
  await renewNamespace(api);
}

/** A tricky path may have deleted the namespace, and then nothing more could be made in it. */
async function renewNamespace(api: TestServer): Promise<void> {
  const metadata = { name: FUZZ_NAMESPACE };
  const url = `/api/v1/namespaces/${FUZZ_NAMESPACE}`;
  const { json } = await api.call("GET", url);
  if (json["metadata"]?.["deletionTimestamp"] === undefined) return;
  await api.call("PUT", `${url}/finalize`, { metadata, spec: { finalizers: [] } });
  assert.equal((await api.call("POST", "/api/v1/namespaces", { metadata })).status, 201);
}

async function empty(api: TestServer, collection: string): Promise<void> {
  const { json } = await api.call("GET", collection);
  // A list has items; each has metadata.
  const items = json["items"] as unknown as readonly { metadata: { name: string } }[];
  for (const { metadata } of items) {
    const url = `${collection}/${encodeURIComponent(metadata.name)}`;
    await api.call("DELETE", `${url}?gracePeriodSeconds=0`);
    const headers = { "content-type": "application/merge-patch+json" };
    await api.call("PATCH", url, { metadata: { finalizers: null } }, { headers });
  }
  const left = (await api.call("GET", collection)).json["items"];
  assert.deepEqual(left, [], `${collection} can be emptied`);
}
