import assert from "node:assert/strict";
import { on, once } from "node:events";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

const PATH = "/api/v1/namespaces/default/configmaps";

describe("watch over a websocket", () => {
  let pods: PodCluster;
  before(async () => (pods = await startPodCluster()));
  after(() => pods[Symbol.asyncDispose]());

  const open = (path: string, protocols: readonly string[] = []) =>
    new WebSocket(pods.cluster.api.replace("https", "wss") + path, [...protocols], pods.tls);

  it("sends each event as a message, and takes the first protocol that is no token", async () => {
    const token = "base64url.bearer.authorization.k8s.io.abc";
    const socket = open(`${PATH}?watch=true&fieldSelector=metadata.name%3Dx`, [
      token,
      "binary.k8s.io",
    ]);
    const messages = on(socket, "message");
    await once(socket, "open");
    assert.equal(socket.protocol, "binary.k8s.io");
    const { client } = pods.cluster;
    const metadata = { name: "x", namespace: "default" };
    await client.create(configMapKind, { metadata, data: { a: "line 1\nline 2" } });
    await client.delete(configMapKind, metadata);
    for (const type of ["ADDED", "DELETED"]) {
      const { value } = await messages.next();
      const event: unknown = JSON.parse(String(value[0]));
      assert.equal(Object(event).type, type);
      assert.equal(Object(event).object.data.a, "line 1\nline 2");
    }
    socket.close();
    await once(socket, "close");
  });

  it("ends with the time that was asked for", async () => {
    const socket = open(`${PATH}?watch=true&timeoutSeconds=1`);
    const [code] = await once(socket, "close");
    assert.equal(code, 1000);
  });

  it("answers a list, and what is no handshake, as HTTP", async () => {
    const socket = open(PATH);
    const [, answer] = await once(socket, "unexpected-response");
    assert.equal(answer.statusCode, 200);
    socket.on("error", () => undefined);
    socket.terminate();
    const refused = await pods.fetch("GET", `${PATH}?watch=true`, {
      headers: { connection: "Upgrade", upgrade: "websocket" },
    });
    assert.equal(refused.status, 400);
  });
});
