import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { WebSocket } from "ws";
import { encodeFrame } from "../../src/agent/spdy/frames.ts";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

const POD = "/api/v1/namespaces/default/pods/web";
const EXEC = `${POD}/exec?command=cat&stdin=true&stdout=true&stderr=true`;

describe("clients that do as they like", () => {
  let pods: PodCluster;
  before(async () => (pods = await startPodCluster()));
  after(() => pods[Symbol.asyncDispose]());

  const open = (path: string, protocol: string, skip = {}) =>
    new WebSocket(pods.cluster.api.replace("https", "wss") + path, [protocol], {
      ...pods.tls,
      ...skip,
    });

  /** A connection that has changed to SPDY. */
  const openSpdy = (path: string, protocol: string) =>
    new Promise<Duplex>((resolve, reject) => {
      const outgoing = request(pods.cluster.api + path, {
        method: "POST",
        headers: {
          connection: "Upgrade",
          upgrade: "SPDY/3.1",
          "x-stream-protocol-version": protocol,
        },
        ...pods.tls,
        agent: false,
      });
      outgoing.once("upgrade", (_answer, socket) => resolve(socket.on("error", () => undefined)));
      outgoing.once("error", reject);
      outgoing.end();
    });

  /** The agent still serves, and no command of anybody is left. */
  const allIsWell = async (): Promise<void> => {
    while (readdirSync("/proc").some((pid) => isExec(pid, dirname(pods.cluster.kubeconfig))))
      await sleep(20);
    const { code, stderr } = await pods.kubectl(["exec", "web", "--", "true"]);
    assert.equal(code, 0, stderr);
  };

  const message = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc
      .tuple(fc.constantFrom(0, 1, 2, 3, 4, 255), fc.uint8Array({ maxLength: 20 }))
      .map(([channel, bytes]) => Uint8Array.from([channel, ...bytes])),
    fc.constantFrom(Uint8Array.from([255, 0]), Uint8Array.from([])),
  );

  it("send any messages to a command and vanish", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 12 }), fc.boolean(), async (all, vanish) => {
        const socket = open(EXEC, "v5.channel.k8s.io");
        await once(socket, "open");
        socket.on("error", () => undefined);
        for (const bytes of all) socket.send(bytes);
        if (vanish) socket.terminate();
        else socket.close();
        await once(socket, "close");
      }),
      { numRuns: 40 },
    );
    await allIsWell();
  });

  it("read late, or answer no ping, and lose nothing of what a command says", async () => {
    // The slower the client, the more of the output waits when the command has ended.
    const script = "for i in 1 2 3 4 5 6 7 8; do echo $i; echo e$i >&2; done; exit 3";
    const words = ["sh", "-c", script].map((word) => `command=${encodeURIComponent(word)}`);
    const path = `${POD}/exec?${words.join("&")}&stdout=true&stderr=true`;
    const socket = open(path, "v5.channel.k8s.io", { autoPong: false });
    await once(socket, "open");
    const said = new Map<number, string>();
    socket.on("message", (data: Buffer) => {
      const channel = data[0] ?? 0;
      assert.ok(!said.has(3), "something came after the end");
      said.set(channel, `${said.get(channel) ?? ""}${data.toString("utf8", 1)}`);
    });
    await once(socket, "close");
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    assert.equal(said.get(1), numbers.map((n) => `${String(n)}\n`).join(""));
    assert.equal(said.get(2), numbers.map((n) => `e${String(n)}\n`).join(""));
    assert.match(said.get(3) ?? "", /"reason":"ExitCode","message":"3"/);
  });

  it("send any bytes where SPDY is meant", async () => {
    const ping = encodeFrame({ kind: "ping", id: 1 });
    const head = fc.constantFrom(
      Buffer.alloc(0),
      Buffer.from("800300010000003e", "hex"),
      Buffer.from("8003000400000008ffffffff", "hex"),
      Buffer.from(ping),
    );
    await fc.assert(
      fc.asyncProperty(head, fc.uint8Array({ maxLength: 120 }), async (begin, bytes) => {
        const sockets = [
          await openSpdy(`${POD}/portforward`, "portforward.k8s.io"),
          await openSpdy(EXEC, "v4.channel.k8s.io"),
        ];
        for (const socket of sockets) {
          const closed = once(socket, "close");
          socket.resume();
          socket.write(Buffer.concat([begin, bytes]));
          socket.end();
          await closed;
        }
      }),
      { numRuns: 25 },
    );
    await allIsWell();
  });

  it("come without a handshake that means anything", async () => {
    for (const headers of [
      { upgrade: "websocket" },
      { upgrade: "websocket", "sec-websocket-protocol": "v5.channel.k8s.io" },
      { upgrade: "SPDY/3.1" },
      { upgrade: "SPDY/3.1", "x-stream-protocol-version": "v99" },
      { upgrade: "h2c" },
    ]) {
      const { status } = await pods.fetch("GET", EXEC, {
        headers: { connection: "Upgrade", ...headers },
      });
      assert.ok(status >= 400 && status < 600, JSON.stringify([headers, status]));
    }
    const plain = await pods.fetch("GET", EXEC);
    assert.match(plain.text, /Upgrade request required/);
    const anonymous = open(EXEC, "v5.channel.k8s.io", { cert: undefined, key: undefined });
    const [, answer] = await once(anonymous, "unexpected-response");
    assert.equal(answer.statusCode, 401);
    anonymous.on("error", () => undefined);
    anonymous.terminate();
    await allIsWell();
  });
});

/** Whether it runs for a client, of the cluster with this data dir. */
function isExec(pid: string, dataDir: string): boolean {
  if (!/^\d+$/.test(pid)) return false;
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
    return environment.includes("PORTOLAN_EXEC=") && environment.includes(`=${dataDir}/pods`);
  } catch {
    return false;
  }
}
