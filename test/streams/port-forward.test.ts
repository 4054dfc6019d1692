import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { createInterface } from "node:readline";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

const PROTOCOLS = { websocket: "true", "SPDY/3.1": "false" } as const;

/** kubectl port-forward with ports that it chooses itself. */
async function forward(
  pods: PodCluster,
  target: string,
  ports: readonly number[],
  websockets: string,
) {
  const env = { KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets };
  const args = [
    "port-forward",
    target,
    "--address=127.0.0.1",
    ...ports.map((port) => `:${String(port)}`),
  ];
  const child = pods.start(args, env);
  const stderr = text(child.stderr);
  const local: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    const port = /^Forwarding from 127\.0\.0\.1:(\d+) -> /.exec(line)?.[1];
    if (port !== undefined) local.push(Number(port));
    if (local.length === ports.length) break;
  }
  child.stdout.resume();
  return {
    local,
    stderr,
    async [Symbol.asyncDispose]() {
      const closed = child.exitCode === null ? once(child, "close") : undefined;
      child.kill("SIGKILL");
      await closed;
    },
  };
}

describe("port-forward", () => {
  let pods: PodCluster;
  before(async () => (pods = await startPodCluster()));
  after(() => pods[Symbol.asyncDispose]());

  for (const [protocol, websockets] of Object.entries(PROTOCOLS)) {
    describe(`over ${protocol}`, () => {
      it("carries many requests at once, with bodies", async () => {
        await using forwarded = await forward(pods, "pod/web", [8080], websockets);
        const base = `http://127.0.0.1:${String(forwarded.local[0])}`;
        const body = "x".repeat(500_000);
        const answers = await Promise.all(
          Array.from({ length: 30 }, async (_, i) => {
            const answer = await fetch(`${base}/${String(i)}`, {
              method: "POST",
              body,
              headers: { connection: "close" },
            });
            return answer.text();
          }),
        );
        assert.deepEqual(
          answers,
          answers.map((_, i) => `POST /${String(i)} 500000`),
        );
      });

      it("finds a Pod behind a Service, and forwards several ports", async () => {
        await using forwarded = await forward(pods, "service/shop", [80, 80], websockets);
        for (const port of forwarded.local) {
          const answer = await fetch(`http://127.0.0.1:${String(port)}/a`);
          assert.equal(await answer.text(), "GET /a 0");
        }
      });

      it("passes the end of each direction on by itself", async () => {
        const name = `echo-${websockets}`;
        await runEcho(pods, name);
        await using forwarded = await forward(pods, `pod/${name}`, [7000], websockets);
        const socket = connect(forwarded.local[0] ?? 0, "127.0.0.1");
        socket.end("all of it");
        assert.equal(await text(socket), "heard: all of it");
      });

      it("says why a port cannot be reached", async () => {
        await using forwarded = await forward(pods, "pod/web", [9], websockets);
        const socket = connect(forwarded.local[0] ?? 0, "127.0.0.1");
        await text(socket).catch(() => "");
        // kubectl ends by itself after such an error.
        assert.match(
          await forwarded.stderr,
          /error forwarding port 9 to pod web, uid .*: connect ECONNREFUSED/,
        );
      });
    });
  }
});

/** A Pod whose server answers when the client has ended its side. */
async function runEcho(pods: PodCluster, name: string): Promise<void> {
  const script = `
    require("net").createServer({ allowHalfOpen: true }, (socket) => {
      let all = "heard: ";
      socket.on("data", (chunk) => (all += chunk)).on("end", () => socket.end(all));
    }).listen(7000, process.env.POD_IP);`;
  await pods.run(name, {
    command: [process.execPath, "-e", script],
    readinessProbe: { tcpSocket: { port: 7000 }, periodSeconds: 1 },
  });
}
