import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { dialBy, startDialer } from "./dialer.ts";
import type { Forwarder } from "./forwarder.ts";
import { startUdpForwarder } from "./udp-forwarder.ts";

const HOST = "127.0.0.1";

/** Answers each datagram with the port that it came from. */
async function startEcho(): Promise<Socket> {
  const echo = createSocket("udp4");
  echo.on("message", (_, { address, port }) => {
    echo.send(String(port), port, address);
  });
  echo.bind(0, HOST);
  await once(echo, "listening");
  return echo;
}

/** As programs do over UDP, it asks again when no answer comes: one may be lost with the client that begins anew. */
async function ask(client: Socket, port: number, text: Uint8Array | string): Promise<string> {
  const answered = once(client, "message");
  const send = (): void => {
    client.send(text, port, HOST);
  };
  send();
  const again = setInterval(send, 1_000);
  const [answer] = (await answered) as [Buffer];
  clearInterval(again);
  return answer.toString();
}

describe("datagrams that a lab carries to the host", { timeout: 20_000 }, () => {
  let dir: string;
  let echo: Socket;
  let dialer: AsyncDisposable;
  const path = (): string => join(dir, "dial.sock");
  const clients: Socket[] = [];
  const client = (): Socket => {
    const socket = createSocket("udp4");
    clients.push(socket);
    return socket;
  };
  const start = (
    told: string[],
    options: Parameters<typeof startUdpForwarder>[2],
    to = `${HOST}:${String(echo.address().port)}`,
  ): Promise<Forwarder> =>
    startUdpForwarder(
      { dial: () => dialBy(path(), "UDP", to), tell: (trouble) => told.push(trouble) },
      { host: HOST, port: 0 },
      options,
    );

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "portolan-udp-"));
    echo = await startEcho();
    dialer = await startDialer(path());
  });
  after(async () => {
    for (const socket of clients) socket.close();
    echo.close();
    await dialer[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  });

  it("go to the same place as long as their client sends, from a port for each client", async () => {
    await using forwarder = await start([], {});
    const [one, other] = [client(), client()];
    const first = await ask(one, forwarder.port, "a");
    assert.equal(await ask(one, forwarder.port, "b"), first);
    assert.notEqual(await ask(other, forwarder.port, "c"), first);
  });

  it("may be as long as UDP has them", async () => {
    const long = Buffer.alloc(65_507, 1);
    let length = 0;
    const measured = new Promise<void>((resolve) => {
      echo.once("message", (bytes) => {
        length = bytes.length;
        resolve();
      });
    });
    await using forwarder = await start([], {});
    await ask(client(), forwarder.port, long);
    await measured;
    assert.equal(length, long.length);
  });

  it("begin anew when their client was silent for long", async () => {
    await using forwarder = await start([], { idleMs: 40 });
    const silent = client();
    const first = await ask(silent, forwarder.port, "a");
    let now = first;
    // Silent for longer from one to the next.
    for (let silentMs = 40; now === first; silentMs *= 2) {
      await new Promise((resolve) => setTimeout(resolve, silentMs));
      now = await ask(silent, forwarder.port, "b");
    }
    assert.notEqual(now, first);
  });

  it("begin anew for the longest silent client when there are too many, which is told once", async () => {
    const told: string[] = [];
    await using forwarder = await start(told, { maxClients: 2 });
    const [oldest, newer, newest] = [client(), client(), client()];
    const first = await ask(oldest, forwarder.port, "a");
    const second = await ask(newer, forwarder.port, "a");
    await ask(newest, forwarder.port, "a");
    assert.equal(await ask(newer, forwarder.port, "b"), second);
    assert.notEqual(await ask(oldest, forwarder.port, "b"), first);
    assert.deepEqual(told, ["more than 2 clients at once: the longest silent ones begin anew"]);
  });

  it("say when nobody takes them, and when there is no way", async () => {
    const closed = await startEcho();
    const to = `${HOST}:${String(closed.address().port)}`;
    closed.close();
    const told: string[] = [];
    const sendUntilTold = async (forwarder: Forwarder): Promise<string> => {
      const before = told.length;
      const sender = client();
      while (told.length === before) {
        sender.send("a", forwarder.port, HOST);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return told.at(-1) ?? "";
    };
    await using refused = await start(told, {}, to);
    assert.equal(await sendUntilTold(refused), `${to}: nobody takes datagrams there`);
    await using nowhere = await startUdpForwarder(
      { dial: () => dialBy(join(dir, "none"), "UDP", to), tell: (text) => told.push(text) },
      { host: HOST, port: 0 },
    );
    assert.match(await sendUntilTold(nowhere), /^the lab's node does not answer: .*ENOENT/);
  });
});
