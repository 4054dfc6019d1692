import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startAgent } from "../../src/agent/agent.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { cidr } from "../apiserver/test-server.ts";
import { ip, silent } from "../dns/fake-upstream.ts";
import { NODE_IP, startTestCluster } from "./test-cluster.ts";
import type { TestCluster } from "./test-cluster.ts";

const ADMIN = { name: "admin", groups: ["system:masters"] };
const PRINT = "setInterval(() => 0, 1000); console.log(process.env.DB_SERVICE_PORT)";

describe("startAgent(), when Services are slow to come", () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster();
  });

  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  it("ENV-010: starts no Pod before it knows the Services", async () => {
    await cluster.client.create(serviceKind, {
      metadata: { name: "db", namespace: "default" },
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        ports: [{ port: 5432, protocol: "TCP" }],
      },
    });
    const pod = await cluster.run("early", { command: [process.execPath, "-e", PRINT] });
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let onAsked: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      onAsked = resolve;
    });
    const client = createClient({
      transport: async (request) => {
        const isForServices = request.url.startsWith("/api/v1/services");
        if (isForServices) {
          onAsked();
          await released;
        }
        return cluster.api.handle(request, ADMIN);
      },
    });
    await using informers = createInformers({ client, log: silent });
    const { agent: certificate, authority } = cluster.certificates;
    let isStarted = false;
    const starting = startAgent(
      { client, informers, log: silent },
      {
        dataDir: cluster.dataDir,
        podCidr: cidr("127.81.1.0/24"),
        nodeAddresses: [ip(NODE_IP)],
        tls: { cert: certificate.certificate, key: certificate.key, ca: authority },
        stopPodsOnExit: true,
        exitGraceMs: 1000,
        version: "v1.34.0",
      },
    ).then((agent) => {
      isStarted = true;
      return agent;
    });
    await asked;
    // Whatever else it does meanwhile: a write of its own comes back to it, and it has run no Pod.
    const seen = await cluster.run("later", { command: [process.execPath, "-e", PRINT] });
    await cluster.until(seen, () => true);
    assert.equal(isStarted, false);
    for (const each of [pod, seen]) {
      const now = await cluster.until(each, () => true);
      assert.equal(now.status?.phase, "Pending");
      assert.equal(now.status.containerStatuses, undefined);
    }
    release();
    await using _agent = await starting;
    await cluster.until(pod, (now) => now.status?.phase === "Running");
    const text = await logUntil(cluster, "early", /\d/);
    assert.equal(text.trim(), "5432");
  });
});

async function logUntil(cluster: TestCluster, name: string, wanted: RegExp): Promise<string> {
  for (;;) {
    const response = await cluster.api.handle(
      {
        method: "GET",
        url: `/api/v1/namespaces/default/pods/${name}/log`,
        headers: {},
        signal: new AbortController().signal,
      },
      ADMIN,
    );
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    if (wanted.test(text)) return text;
  }
}
