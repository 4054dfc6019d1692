import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { ip, port, silent } from "../../test/dns/fake-upstream.ts";
import { MessageFraming } from "./framing.ts";
import type { Listener, Respond } from "./listener.ts";
import { TCP_LIMITS, listenTcp } from "./tcp.ts";
import type { TcpLimits } from "./tcp.ts";

const listen = { address: ip("127.0.0.1"), port: port(0) };

function start(respond: Respond, limits: Partial<TcpLimits> = {}): Promise<Listener> {
  return listenTcp({ respond, log: silent }, listen, { ...TCP_LIMITS, ...limits });
}

async function open(server: Listener): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: server.port, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** Reads messages until `count` are there or the connection ends. */
async function read(socket: Socket, count: number): Promise<readonly string[]> {
  const framing = new MessageFraming();
  const messages: string[] = [];
  // Closing the iterator would destroy the socket, which a test may want to go on with.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    framing.push(chunk as Uint8Array); // no encoding is set: chunks are bytes
    for (let next = framing.next(); next !== undefined; next = framing.next()) {
      messages.push(Buffer.from(next).toString());
    }
    if (messages.length >= count) break;
  }
  return messages;
}

const framed = (text: string): Uint8Array => MessageFraming.frame(Buffer.from(text));
const echo: Respond = (message) => Buffer.from(`re:${Buffer.from(message).toString()}`);

describe("listenTcp()", () => {
  it("DNS-017: answers many questions that came in one piece, on one connection", async () => {
    await using server = await start(echo);
    const socket = await open(server);
    const texts = Array.from({ length: 500 }, (_, i) => `q${String(i)}`);
    socket.write(Buffer.concat(texts.map(framed)));
    assert.deepEqual(
      await read(socket, 500),
      texts.map((text) => `re:${text}`),
    );
    socket.destroy();
  });

  it("answers what is ready first, and waits with no question for another", async () => {
    const late = deferred<Uint8Array>();
    await using server = await start((message) =>
      Buffer.from(message).toString() === "slow"
        ? late.promise
        : echo(message, "tcp", { address: "127.0.0.1", port: 4242 }),
    );
    const socket = await open(server);
    socket.write(Buffer.concat([framed("slow"), framed("fast")]));
    assert.deepEqual(await read(socket, 1), ["re:fast"]);
    late.resolve(Buffer.from("at last"));
    assert.deepEqual(await read(socket, 1), ["at last"]);
    socket.destroy();
  });

  it("answers a client that has closed its side already, then closes", async () => {
    await using server = await start(
      async (message) => await echo(message, "tcp", { address: "127.0.0.1", port: 4242 }),
    );
    const socket = await open(server);
    socket.end(framed("only"));
    assert.deepEqual(await read(socket, Number.POSITIVE_INFINITY), ["re:only"]);
  });

  it("bounds the questions of one connection that are open at once", async () => {
    let started = 0;
    const full = deferred<void>();
    const gate = deferred<void>();
    await using server = await start(async (message) => {
      started += 1;
      if (started === 100) full.resolve();
      await gate.promise;
      return message;
    });
    const socket = await open(server);
    socket.write(Buffer.concat(Array.from({ length: 250 }, (_, i) => framed(String(i)))));
    await full.promise;
    // The rest came in the same piece: it would have been started in the same turn.
    assert.equal(started, 100);
    gate.resolve();
    assert.equal((await read(socket, 250)).length, 250);
    socket.destroy();
  });

  it("cuts off a client that never completes its question", async () => {
    await using server = await start(echo, { idleMs: 60 });
    const socket = await open(server);
    socket.on("error", () => undefined);
    socket.resume();
    // Not events.once: writing to what the server has closed is an error, and meant to be.
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => {
        resolve();
      });
    });
    // A byte now and then, of a question announced as long, must not put the end off.
    const trickle = setInterval(() => socket.write(Uint8Array.of(0xff)), 5);
    await closed;
    clearInterval(trickle);
  });

  it("cuts off a client that asks for much and takes nothing, and remembers only so much for it", async () => {
    const large = new Uint8Array(60_000);
    let asked = 0;
    await using server = await start(
      () => {
        asked += 1;
        return large;
      },
      { idleMs: 200 },
    );
    const socket = await open(server);
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => {
        resolve();
      });
    });
    socket.on("error", () => undefined);
    socket.pause();
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => framed("more")));
    socket.write(many);
    // Nothing is read here, so its end is seen by what is written.
    const poke = setInterval(() => socket.write(framed("and more")), 20);
    await closed;
    clearInterval(poke);
    // What the kernel holds for both sides, and one answer that is more than a socket should hold: of 600 MB.
    assert.ok(asked < 1000, `${String(asked)} answers were made`);
  });

  it("answers whoever closes its side behind questions whose answers come late, and then closes", async () => {
    const gate = deferred<void>();
    await using server = await start(async (message) => {
      await gate.promise;
      return message;
    });
    const socket = await open(server);
    socket.end(Buffer.concat(Array.from({ length: 150 }, (_, i) => framed(String(i)))));
    setImmediate(() => {
      gate.resolve();
    });
    assert.equal((await read(socket, Number.POSITIVE_INFINITY)).length, 150);
  });

  it("sends a zone of any size no faster than it is taken, and other answers meanwhile", async () => {
    const part = Buffer.alloc(60_000, "z");
    await using server = await start((message) =>
      Buffer.from(message).toString() === "zone"
        ? Array.from({ length: 300 }, () => part)
        : Buffer.from("small"),
    );
    const socket = await open(server);
    socket.write(framed("zone"));
    socket.write(framed("other"));
    const messages = await read(socket, 301);
    assert.equal(messages.length, 301);
    assert.ok(messages.indexOf("small") < 300, "it waited for all of the zone");
    socket.destroy();
  });

  it("bounds the connections of one address, when told to", async () => {
    await using server = await start(echo, { maxPerSource: 2 });
    const other = connect({ host: "127.0.0.1", port: server.port, localAddress: "127.0.0.9" });
    await once(other, "connect");
    const first = await open(server);
    const ended = once(first.resume(), "end");
    const [second, third] = [await open(server), await open(server)];
    await ended;
    for (const socket of [other, second, third]) {
      socket.write(framed("still here"));
      assert.deepEqual(await read(socket, 1), ["re:still here"]);
      socket.destroy();
    }
  });

  it("closes a connection on which an empty message comes", async () => {
    await using server = await start(echo);
    const socket = await open(server);
    const ended = once(socket, "end");
    socket.resume();
    socket.write(Uint8Array.of(0, 0));
    await ended;
    socket.destroy();
  });

  it("gives up the connection that was silent longest when one too many comes", async () => {
    await using server = await start(echo, { maxConnections: 2 });
    const first = await open(server);
    const second = await open(server);
    first.write(framed("I speak"));
    assert.deepEqual(await read(first, 1), ["re:I speak"]);
    second.resume();
    const ended = once(second, "end");
    const third = await open(server);
    await ended;
    first.write(framed("still here"));
    assert.deepEqual(await read(first, 1), ["re:still here"]);
    for (const socket of [first, second, third]) socket.destroy();
  });
});

function deferred<T>(): { readonly promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
