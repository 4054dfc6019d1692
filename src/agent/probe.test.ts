import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { portOf, probeOnce } from "./probe.ts";
import type { Handler, ProbeOutcome, ProbeTarget } from "./probe.ts";
import { encodeHealthQuestion, parseHealthAnswer } from "./probe-grpc.ts";

const IP = "127.81.200.2";
const never = new AbortController().signal;

async function portAfterListen(server: Server): Promise<number> {
  server.listen(0, IP);
  await once(server, "listening");
  // Listens on a port, so the address is no text.
  return (server.address() as AddressInfo).port;
}

const web = createHttpServer((request, response) => {
  if (request.url === "/hang") return;
  const status = /^\/status\/(\d+)$/.exec(request.url ?? "")?.[1];
  const isNamed = request.headers["x-name"] === "v" && request.headers.host === "named.example";
  response.statusCode = status === undefined ? (isNamed ? 200 : 404) : Number(status);
  response.end("body");
});

/** A health service that answers the status it finds in the question's service name. */
const grpc = createHttp2Server((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const service = Buffer.concat(chunks).subarray(7).toString();
    if (service === "none") {
      response.setHeader("content-type", "application/grpc");
      response.setHeader("grpc-status", "12");
      response.end();
      return;
    }
    response.setHeader("content-type", "application/grpc");
    response.addTrailers({ "grpc-status": "0" });
    response.end(Buffer.from([0, 0, 0, 0, 2, 8, Number(service === "" ? "1" : service)]));
  });
});

let webPort: number;
let grpcPort: number;
let closedPort: number;

before(async () => {
  webPort = await portAfterListen(web);
  grpcPort = await portAfterListen(grpc);
  const shortLived = createTcpServer();
  closedPort = await portAfterListen(shortLived);
  shortLived.close();
  await once(shortLived, "close");
});

after(() => {
  web.closeAllConnections();
  web.close();
  grpc.close();
});

function target(): ProbeTarget {
  return {
    podIp: IP,
    ports: [{ name: "http", containerPort: webPort, protocol: "TCP" }],
    env: { PATH: process.env["PATH"] ?? "", WORD: "hello" },
    workingDir: "/",
    enter: { words: [], cwd: "/", root: "" },
  };
}

function probe(handler: Handler, timeoutMs = 5_000): Promise<ProbeOutcome> {
  return probeOnce(handler, target(), timeoutMs, never);
}

const success = { kind: "success" };

function failure(message: string): ProbeOutcome {
  return { kind: "failure", message };
}

describe("probeOnce() with httpGet", () => {
  it("takes 200 to 399 for success, as it comes: redirects are not followed", async () => {
    for (const status of [200, 204, 301, 399]) {
      const httpGet = { path: `/status/${String(status)}`, port: webPort };
      assert.deepEqual(await probe({ httpGet }), success, String(status));
    }
    for (const status of [400, 404, 500, 503]) {
      const httpGet = { path: `/status/${String(status)}`, port: webPort };
      const expected = failure(`HTTP probe failed with statuscode: ${String(status)}`);
      assert.deepEqual(await probe({ httpGet }), expected);
    }
  });

  it("sends the headers asked for, and finds a port by name", async () => {
    const httpHeaders = [
      { name: "X-Name", value: "v" },
      { name: "Host", value: "named.example" },
    ];
    assert.deepEqual(await probe({ httpGet: { port: "http", httpHeaders } }), success);
  });

  it("names what went wrong: no such port, refused, too slow", async () => {
    assert.deepEqual(
      await probe({ httpGet: { port: "grpc" } }),
      failure(`couldn't find port: "grpc"`),
    );
    const refused = await probe({ httpGet: { port: closedPort } });
    assert.match(refused.kind === "failure" ? refused.message : "", /ECONNREFUSED/);
    assert.deepEqual(
      await probe({ httpGet: { path: "/hang", port: webPort } }, 50),
      failure("no answer within 0.05 s"),
    );
  });
});

describe("probeOnce() with tcpSocket", () => {
  it("takes an open port for success", async () => {
    assert.deepEqual(await probe({ tcpSocket: { port: webPort } }), success);
    assert.equal((await probe({ tcpSocket: { port: closedPort } })).kind, "failure");
  });
});

describe("probeOnce() with exec", () => {
  it("takes exit code 0 for success, in the container's environment", async () => {
    const exec = { command: ["sh", "-c", 'test "$WORD" = hello'] };
    assert.deepEqual(await probe({ exec }), success);
  });

  it("tells exit code and output of a failure", async () => {
    assert.deepEqual(
      await probe({ exec: { command: ["sh", "-c", "echo why; exit 3"] } }),
      failure("command exited with code 3: why"),
    );
  });

  it("ends a command that takes too long", async () => {
    const outcome = await probe({ exec: { command: ["sleep", "1000"] } }, 50);
    assert.deepEqual(outcome, failure("no answer within 0.05 s"));
  });

  it("fails when there is no such program", async () => {
    const outcome = await probe({ exec: { command: ["/nonexistent"] } });
    assert.match(
      outcome.kind === "failure" ? outcome.message : "",
      /^exec: "\/nonexistent": stat \/nonexistent: no such file or directory$/,
    );
  });
});

describe("probeOnce() with grpc", () => {
  it("takes SERVING for success", async () => {
    assert.deepEqual(await probe({ grpc: { port: grpcPort } }), success);
    assert.deepEqual(await probe({ grpc: { port: grpcPort, service: "1" } }), success);
  });

  it("tells other answers, and servers without the service", async () => {
    assert.deepEqual(
      await probe({ grpc: { port: grpcPort, service: "2" } }),
      failure('service unhealthy (responded with "NOT_SERVING")'),
    );
    assert.deepEqual(
      await probe({ grpc: { port: grpcPort, service: "none" } }),
      failure("the server does not implement grpc.health.v1.Health"),
    );
    const refused = await probe({ grpc: { port: closedPort } });
    assert.match(refused.kind === "failure" ? refused.message : "", /ECONNREFUSED/);
  });
});

describe("probeOnce()", () => {
  it("rejects with the reason of its signal", async () => {
    const controller = new AbortController();
    const asked = probeOnce(
      { httpGet: { path: "/hang", port: webPort } },
      target(),
      60_000,
      controller.signal,
    );
    controller.abort(new Error("enough"));
    await assert.rejects(asked, /enough/);
  });
});

describe("portOf()", () => {
  it("reads numbers and names", () => {
    const ports = [{ name: "web", containerPort: 80, protocol: "TCP" as const }];
    assert.equal(portOf(8080, ports), 8080);
    assert.equal(portOf("8080", ports), 8080);
    assert.equal(portOf("web", ports), 80);
    assert.throws(() => portOf("none", ports), /couldn't find port: "none"/);
    assert.throws(() => portOf(70_000, ports), /invalid port number: 70000/);
  });
});

describe("the gRPC health messages", () => {
  it("are coded as the protocol has it", () => {
    assert.equal(encodeHealthQuestion("").toString("hex"), "0000000000");
    assert.equal(encodeHealthQuestion("ab").toString("hex"), "00000000040a026162");
    const long = encodeHealthQuestion("x".repeat(200));
    assert.equal(long.subarray(0, 8).toString("hex"), "00000000cb0ac801");
    assert.equal(parseHealthAnswer(Buffer.from("00000000020801", "hex")), 1);
    assert.equal(parseHealthAnswer(Buffer.from("0000000000", "hex")), 0);
    for (const bad of ["", "0000", "01000000020801", "00000000030801", "00000000021001"])
      assert.equal(parseHealthAnswer(Buffer.from(bad, "hex")), undefined, bad);
  });
});
