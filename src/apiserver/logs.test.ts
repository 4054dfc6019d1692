import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { startTestServer, textAt } from "../../test/apiserver/test-server.ts";
import type { TestServer } from "../../test/apiserver/test-server.ts";
import { clusterCertificates } from "./certificates.ts";

const certificates = await clusterCertificates({
  dir: undefined,
  apiServerNames: [],
  agentNames: [],
  clusterDomain: "cluster.local",
  now: Date.now,
});
const agentTls = { ca: certificates.authority, ...certificates.agentClient };
const PODS = "/api/v1/namespaces/default/pods";

/** An agent that takes our client certificate only. */
async function startAgent(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  pair = certificates.agent,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer(
    {
      key: pair.key,
      cert: pair.certificate,
      ca: certificates.authority,
      requestCert: true,
      rejectUnauthorized: true,
    },
    answer,
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    // A listening TCP server's address has a port.
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function withPod(
  api: TestServer,
  port: number,
  containers: readonly string[],
): Promise<void> {
  await api.call("POST", "/api/v1/nodes", { metadata: { name: "local" } });
  const status = {
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  const merge = { headers: { "content-type": "application/merge-patch+json" } };
  const patched = await api.call("PATCH", "/api/v1/nodes/local/status", { status }, merge);
  assert.equal(patched.status, 200, patched.text);
  await api.call("POST", PODS, {
    metadata: { name: "p" },
    spec: { nodeName: "local", containers: containers.map((name) => ({ name, image: "i" })) },
  });
}

describe("pods/log", () => {
  it("relays the agent's log with the options that were asked for", async () => {
    let asked: string | undefined;
    await using agent = await startAgent((request, response) => {
      asked = request.url;
      response.end("line 1\nline 2\n");
    });
    await using api = await startTestServer({ agentTls });
    await withPod(api, agent.port, ["c"]);
    const { status, headers, text } = await api.call(
      "GET",
      `${PODS}/p/log?tailLines=2&pretty=true&timestamps=true`,
    );
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain");
    assert.equal(text, "line 1\nline 2\n");
    assert.equal(asked, "/containerLogs/default/p/c?tailLines=2&timestamps=true");
  });

  it("follows until the reader goes, and lets the agent know", async () => {
    let closed = () => {};
    const gone = new Promise<void>((resolve) => (closed = resolve));
    await using agent = await startAgent((_request, response) => {
      response.write("first\n");
      response.once("close", closed);
    });
    await using api = await startTestServer({ agentTls });
    await withPod(api, agent.port, ["c"]);
    const reader = new AbortController();
    const response = await api.open(`${PODS}/p/log?follow=true`, { signal: reader.signal });
    const chunks = response.body[Symbol.asyncIterator]();
    assert.equal(Buffer.from((await chunks.next()).value ?? []).toString(), "first\n");
    reader.abort();
    await gone;
  });

  it("asks for a container where there are several, in upstream's words", async () => {
    await using api = await startTestServer({ agentTls });
    await withPod(api, 1, ["a", "b"]);
    const message = async (query: string) =>
      textAt((await api.call("GET", `${PODS}/p/log${query}`)).json, "message");
    assert.equal(
      await message(""),
      "a container name must be specified for pod p, choose one of: [a b]",
    );
    assert.equal(await message("?container=x"), "container x is not valid for pod p");
    assert.match(
      String(await message("?container=a&tailLines=-1")),
      /tailLines: Invalid value: "-1"/,
    );
  });

  it("passes the agent's refusal on, and says when there is no agent", async () => {
    const waiting = 'container "c" in pod "p" is waiting to start: ContainerCreating';
    await using agent = await startAgent((_request, response) => {
      response.statusCode = 400;
      response.end(`${waiting}\n`);
    });
    await using api = await startTestServer({ agentTls });
    await withPod(api, agent.port, ["c"]);
    const refused = await api.call("GET", `${PODS}/p/log`);
    assert.deepEqual([refused.status, refused.json["message"]], [400, waiting]);
    await agent[Symbol.asyncDispose]();
    const down = await api.call("GET", `${PODS}/p/log`);
    assert.equal(down.status, 500);
    assert.match(textAt(down.json, "message"), /Get "https:\/\/127\.0\.0\.1:\d+\/containerLogs/);
  });

  it("trusts no agent whose certificate is not the cluster's", async () => {
    const foreign = await clusterCertificates({
      dir: undefined,
      apiServerNames: [],
      agentNames: [],
      clusterDomain: "cluster.local",
      now: Date.now,
    });
    await using agent = await startAgent(
      (_request, response) => response.end("secret"),
      foreign.agent,
    );
    await using api = await startTestServer({ agentTls });
    await withPod(api, agent.port, ["c"]);
    const { status, text } = await api.call("GET", `${PODS}/p/log`);
    assert.equal(status, 500);
    assert.doesNotMatch(text, /secret/);
  });
});
