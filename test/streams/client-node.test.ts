import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Attach, Exec, KubeConfig, PortForward } from "@kubernetes/client-node";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

describe("@kubernetes/client-node", () => {
  let pods: PodCluster;
  let config: KubeConfig;
  before(async () => {
    pods = await startPodCluster();
    config = new KubeConfig();
    config.loadFromFile(pods.cluster.kubeconfig);
  });
  after(() => pods[Symbol.asyncDispose]());

  it("runs commands", async () => {
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const command = ["sh", "-c", "cat; echo bad >&2; exit 3"];
    const ended = new Promise<unknown>((resolve, reject) => {
      new Exec(config)
        .exec("default", "web", "main", command, stdout, stderr, stdin, false, (status) => {
          resolve(status.details?.causes?.[0]?.message);
        })
        .then(
          (socket) => socket.on("close", () => [stdout, stderr].map((one) => one.end())),
          reject,
        );
    });
    stdin.end("hello");
    assert.equal(await ended, "3");
    assert.deepEqual([await text(stdout), await text(stderr)], ["hello", "bad\n"]);
  });

  it("forwards a port", async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    const errors = new PassThrough();
    const forward = new PortForward(config);
    const socket = await forward.portForward("default", "web", [8080], output, errors, input);
    assert.ok("on" in socket);
    socket.on("close", () => output.end());
    input.write("GET /hi HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const answer = await text(output);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\n\r\nGET \/hi 0$/);
  });

  it("hears why a port cannot be reached", async () => {
    const output = new PassThrough();
    const errors = new PassThrough();
    const forward = new PortForward(config);
    await forward.portForward("default", "web", [9], output, errors, new PassThrough());
    // The port's two bytes come first, and are nothing to the library's users.
    let message = "";
    while (!message.includes("ECONNREFUSED")) message += String((await once(errors, "data"))[0]);
    assert.match(message, /^error forwarding port 9 to pod web/);
  });

  it("attaches", async () => {
    await pods.run("talker", {
      command: ["sh", "-c", "while true; do echo tick; sleep 0.1; done"],
    });
    const stdout = new PassThrough();
    const socket = await new Attach(config).attach(
      "default",
      "talker",
      "main",
      stdout,
      null,
      null,
      false,
    );
    const [line] = await once(stdout, "data");
    assert.match(String(line), /^tick\n/);
    socket.close();
  });
});
