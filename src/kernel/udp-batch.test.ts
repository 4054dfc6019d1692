import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { parseIpAddress } from "../net/address.ts";
import { loadLibc } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { IOVEC_WORDS, MMSGHDR_WORDS, MessageHeaders } from "./message-headers.ts";
import { decodeSocketAddress } from "./socket-address.ts";
import { BATCH_SLOTS, SLOT_STRIDE, UdpBatch } from "./udp-batch.ts";
import { openUdpSocket } from "./udp-socket.ts";
import type { UdpSocketOptions } from "./udp-socket.ts";

const [loopback4, loopback6] = ["127.0.0.1", "::1"].map(parseIpAddress);

async function libc(): Promise<Libc> {
  const load = await loadLibc();
  assert.ok(load.kind === "loaded", load.kind === "missing" ? load.reason : "");
  return load.libc;
}

function options(address = loopback4, port = 0, reusePort = false): UdpSocketOptions {
  assert.ok(address !== undefined);
  return { address, port, reusePort, receiveBufferBytes: 1 << 20, receiveTimeoutMs: 100 };
}

/** Sends messages to a port of 127.0.0.1, and waits until the kernel has them. */
async function send(
  port: number,
  messages: readonly string[],
): Promise<Disposable & { from: number }> {
  const client = createSocket("udp4");
  for (const message of messages) {
    await promisify((done: (error: Error | null) => void) => {
      client.send(message, port, "127.0.0.1", done);
    })();
  }
  return { from: client.address().port, [Symbol.dispose]: () => client.close() };
}

describe("MessageHeaders", () => {
  it("writes struct mmsghdr and struct iovec as Linux has them with pointers of 64 bits", () => {
    const headers = new Uint32Array(2 * MMSGHDR_WORDS);
    const iovecs = new Uint32Array(2 * IOVEC_WORDS);
    const place = { name: 0x7fff_0000_1000n, nameBytes: 28, base: 0x1_0000_2000n, baseBytes: 4096 };
    new MessageHeaders(headers, iovecs).write(1, place, 0x5555_0000_3000n);
    const hex = (words: Uint32Array): string =>
      Buffer.from(words.buffer)
        .toString("hex")
        .slice(words.length * 4);
    assert.equal(
      hex(headers),
      "00100000ff7f00001c00000000000000103000005555000001000000000000" +
        "000000000000000000000000000000000000000000000000000000000000000000",
    );
    assert.equal(hex(iovecs), "00200000010000000010000000000000");
  });
});

describe("UdpBatch", () => {
  it("takes many messages at once, and sends answers to who sent them", async () => {
    const native = await libc();
    using socket = openUdpSocket(native, options());
    const batch = new UdpBatch(native, socket.fd);
    const packets = Buffer.from(batch.packets);
    using one = await send(socket.port, ["first", "second"]);
    using two = await send(socket.port, ["third"]);
    assert.equal(batch.receive(), 3);
    const received = [0, 1, 2].map((slot) => [
      packets.toString("latin1", slot * SLOT_STRIDE, slot * SLOT_STRIDE + batch.length(slot)),
      decodeSocketAddress(batch.peer(slot)),
    ]);
    assert.deepEqual(received, [
      ["first", { address: "127.0.0.1", port: one.from }],
      ["second", { address: "127.0.0.1", port: one.from }],
      ["third", { address: "127.0.0.1", port: two.from }],
    ]);
    assert.equal(batch.receive(), 0);
  });

  it("sends what was queued only, from where it stands", async () => {
    const native = await libc();
    using socket = openUdpSocket(native, options());
    const batch = new UdpBatch(native, socket.fd);
    const client = createSocket("udp4");
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < BATCH_SLOTS; i++) {
        await promisify((done: (error: Error | null) => void) => {
          client.send(`question ${String(i)}`, socket.port, "127.0.0.1", done);
        })();
      }
      const answers: string[] = [];
      const all = new Promise<void>((resolve) => {
        client.on("message", (message) => {
          answers.push(message.toString("latin1"));
          if (answers.length === BATCH_SLOTS / 2) resolve();
        });
      });
      assert.equal(batch.receive(), BATCH_SLOTS);
      for (let slot = 1; slot < BATCH_SLOTS; slot += 2) batch.queue(slot, batch.length(slot) - 1);
      batch.send();
      await all;
      client.removeAllListeners("message");
      const expected = Array.from({ length: BATCH_SLOTS / 2 }, (_, i) =>
        `question ${String(2 * i + 1)}`.slice(0, -1),
      );
      assert.deepEqual(answers, expected);
    }
    client.close();
    await once(client, "close");
  });

  it("takes of other sockets of its port what their threads leave, and answers it from that port", async () => {
    const native = await libc();
    using one = openUdpSocket(native, options(loopback4, 0, true));
    using two = openUdpSocket(native, options(loopback4, one.port, true));
    const batch = new UdpBatch(native, one.fd, [two.fd]);
    const clients = Array.from({ length: 40 }, () => createSocket("udp4"));
    const answeredFrom: number[] = [];
    for (const client of clients) {
      client.on("message", (_message, from) => answeredFrom.push(from.port));
      client.send("question", one.port, "127.0.0.1");
    }
    // Which of the two gets a message is by its client's port: each gets some of so many.
    let taken = 0;
    for (let idle = 0; idle < 20 && answeredFrom.length < clients.length; idle++) {
      const count = batch.receive();
      for (let slot = 0; slot < count; slot++) batch.queue(slot, batch.length(slot));
      batch.send();
      taken += count;
      if (count > 0) idle = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const client of clients) client.close();
    assert.equal(taken, clients.length);
    assert.deepEqual(answeredFrom, Array(clients.length).fill(one.port));
  });

  it("is woken when its socket is", async () => {
    const native = await libc();
    using socket = openUdpSocket(native, { ...options(), receiveTimeoutMs: 3_600_000 });
    const batch = new UdpBatch(native, socket.fd);
    socket.wake();
    assert.ok(batch.receive() <= 1);
  });
});

describe("openUdpSocket()", () => {
  it("says why an address cannot be bound", async () => {
    const native = await libc();
    using socket = openUdpSocket(native, options());
    assert.throws(() => openUdpSocket(native, options(loopback4, socket.port)), {
      name: "SystemCallError",
      code: "EADDRINUSE",
      message: "bind: EADDRINUSE",
    });
    assert.throws(() => openUdpSocket(native, options(parseIpAddress("192.0.2.1"))), {
      code: "EADDRNOTAVAIL",
    });
  });

  it("shares a port where that is wished, and sends to IPv6 as well", async () => {
    const native = await libc();
    using one = openUdpSocket(native, options(loopback4, 0, true));
    using two = openUdpSocket(native, options(loopback4, one.port, true));
    assert.equal(two.port, one.port);
    using from = openUdpSocket(native, options(loopback6));
    const batch = new UdpBatch(native, from.fd);
    const client = createSocket("udp6");
    await promisify((done: (error: Error | null) => void) => {
      client.send("question", from.port, "::1", done);
    })();
    assert.equal(batch.receive(), 1);
    const answer = once(client, "message");
    assert.equal(from.send(Buffer.from("answer"), batch.peer(0)), true);
    assert.equal(String((await answer)[0]), "answer");
    client.close();
  });
});
