import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { ip, port } from "../../core/proxy/fixtures.test.ts";
import type { Backend, BackendSet, Frontend } from "../../core/proxy/frontend.ts";
import { add, change, codeOf, frontendFor, portOf, remove, Scope, until } from "./fixtures.test.ts";
import { UDP_IDLE_MS } from "./udp.ts";

/** Answers each datagram with its name, the sender's address, and the datagram. */
async function udpServer(scope: Scope, address: string): Promise<Backend> {
  const socket = createSocket("udp4", (data, from) => {
    socket.send(`${address} ${from.address} ${data.toString()}`, from.port, from.address);
  });
  socket.bind(0, address);
  await once(socket, "listening");
  scope.defer(() => socket.close());
  return { address: ip(address), port: port(portOf(socket)), isLocal: true };
}

async function udpClient(scope: Scope, to: Frontend, from: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, from);
  await once(socket, "listening");
  // Connected: takes datagrams from the frontend's own address only, and hears of ICMP errors.
  socket.connect(to.port, to.address);
  await once(socket, "connect");
  scope.defer(() => socket.close());
  return socket;
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.send(text);
  try {
    const [data] = await once(socket, "message");
    return String(data);
  } catch (error) {
    return codeOf(error);
  }
}

const udpFrontend = (
  address: string,
  backends: readonly Backend[],
  target: Partial<BackendSet> = {},
): Frontend => frontendFor(address, backends, {}, { protocol: "UDP", ...target });

describe("UDP through the userspace data plane", { timeout: 30_000 }, () => {
  it("AFF-008: a client's datagrams stay with one backend, and their source is kept", async () => {
    await using scope = new Scope();
    const backends = [await udpServer(scope, "127.80.31.1"), await udpServer(scope, "127.80.31.2")];
    const front = udpFrontend("127.80.31.100", backends);
    assert.deepEqual(await scope.plane().apply(add(front)), []);
    const one = await udpClient(scope, front, "127.80.31.50");
    const two = await udpClient(scope, front, "127.80.31.51");
    assert.equal(await ask(one, "a"), "127.80.31.1 127.80.31.50 a");
    assert.equal(await ask(two, "b"), "127.80.31.2 127.80.31.51 b");
    assert.equal(await ask(one, "c"), "127.80.31.1 127.80.31.50 c");
    assert.equal(await ask(two, "d"), "127.80.31.2 127.80.31.51 d");
  });

  it("keeps a burst that comes before the session is ready, in order", async () => {
    await using scope = new Scope();
    const front = udpFrontend("127.80.32.100", [await udpServer(scope, "127.80.32.1")]);
    await scope.plane().apply(add(front));
    const client = await udpClient(scope, front, "127.80.32.50");
    const got: string[] = [];
    client.on("message", (data) => got.push(data.toString().slice(-2)));
    const sent = Array.from({ length: 20 }, (_, i) => String(10 + i));
    for (const text of sent) client.send(text);
    await until(() => got.length === sent.length);
    assert.deepEqual(got, sent);
  });

  it("CT-001: a client of a removed backend moves to another with its next datagram", async () => {
    await using scope = new Scope();
    const [one, two] = [
      await udpServer(scope, "127.80.33.1"),
      await udpServer(scope, "127.80.33.2"),
    ];
    const before = udpFrontend("127.80.33.100", [one]);
    const after = udpFrontend("127.80.33.100", [two]);
    const plane = scope.plane();
    await plane.apply(add(before));
    const client = await udpClient(scope, before, "127.80.33.50");
    assert.equal(await ask(client, "a"), "127.80.33.1 127.80.33.50 a");
    await plane.apply(change(before, after));
    assert.equal(await ask(client, "b"), "127.80.33.2 127.80.33.50 b");
  });

  it("CT-002, PROXY-024: without endpoints the kernel refuses, and the same client is served later", async () => {
    await using scope = new Scope();
    const backend = await udpServer(scope, "127.80.34.1");
    const none = udpFrontend("127.80.34.100", []);
    const some = udpFrontend("127.80.34.100", [backend]);
    const plane = scope.plane();
    await plane.apply(add(none));
    const client = await udpClient(scope, none, "127.80.34.50");
    assert.equal(await ask(client, "a"), "ECONNREFUSED");
    await plane.apply(change(none, some));
    assert.equal(await ask(client, "b"), "127.80.34.1 127.80.34.50 b");
    await plane.apply(change(some, none));
    assert.equal(await ask(client, "c"), "ECONNREFUSED");
    await plane.apply(change(none, some));
    await plane.apply(remove(some));
    assert.equal(await ask(client, "d"), "ECONNREFUSED");
  });

  it("a backend that refuses loses its session, and the next datagram takes another", async () => {
    await using scope = new Scope();
    const live = await udpServer(scope, "127.80.35.2");
    const dead = { ...live, address: ip("127.80.35.1") };
    const front = udpFrontend("127.80.35.100", [dead, live]);
    const plane = scope.plane();
    await plane.apply(add(front));
    const client = await udpClient(scope, front, "127.80.35.50");
    client.send("lost");
    const open = (address: string): boolean =>
      plane.metrics.render().includes(`endpoint="${address}:${String(live.port)}"} 0`);
    await until(() => open("127.80.35.1"));
    assert.equal(await ask(client, "b"), "127.80.35.2 127.80.35.50 b");
  });

  it("a session without traffic ends after its idle time", async () => {
    await using scope = new Scope();
    const clock = { ms: 0 };
    const backends = [await udpServer(scope, "127.80.36.1"), await udpServer(scope, "127.80.36.2")];
    const front = udpFrontend("127.80.36.100", backends);
    const plane = scope.plane({}, { nowMs: () => clock.ms });
    await plane.apply(add(front));
    const client = await udpClient(scope, front, "127.80.36.50");
    assert.match(await ask(client, "a"), /^127\.80\.36\.1 /);
    clock.ms = UDP_IDLE_MS;
    plane.sweep();
    assert.match(await ask(client, "b"), /^127\.80\.36\.1 /);
    clock.ms = 2 * UDP_IDLE_MS + 1;
    plane.sweep();
    assert.match(await ask(client, "c"), /^127\.80\.36\.2 /);
  });

  it("ITP-002: with endpoints on other nodes only, datagrams are dropped", async () => {
    await using scope = new Scope();
    const front: Frontend = {
      ...udpFrontend("127.80.37.100", [await udpServer(scope, "127.80.37.1")], { local: [] }),
      internalPolicy: "Local",
      externalPolicy: "Local",
    };
    const plane = scope.plane();
    await plane.apply(add(front));
    const client = await udpClient(scope, front, "127.80.37.50");
    client.send("anybody?");
    await until(() => plane.metrics.render().includes('reason="NoLocalEndpoints"} 1'));
  });

  it("drops datagrams of new clients when out of descriptors", async () => {
    await using scope = new Scope();
    const front = udpFrontend("127.80.38.100", [await udpServer(scope, "127.80.38.1")]);
    const plane = scope.plane({ fdLimit: 2 });
    await plane.apply(add(front));
    const one = await udpClient(scope, front, "127.80.38.50");
    assert.match(await ask(one, "a"), / a$/);
    const two = await udpClient(scope, front, "127.80.38.51");
    two.send("b");
    await until(() => plane.metrics.render().includes('reason="LimitReached"} 1'));
    assert.match(await ask(one, "c"), / c$/);
  });
});
