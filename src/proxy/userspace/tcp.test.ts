import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { parseCidr } from "../../net/cidr.ts";
import {
  ask,
  add,
  change,
  frontendFor,
  readAll,
  remove,
  Scope,
  tryConnect,
  until,
} from "./fixtures.test.ts";

describe("TCP through the userspace data plane", { timeout: 30_000 }, () => {
  it("PROXY-020: new connections reach all ready endpoints", async () => {
    await using scope = new Scope();
    const backends = [await scope.named("127.80.1.1"), await scope.named("127.80.1.2")];
    const front = frontendFor("127.80.1.100", backends);
    assert.deepEqual(await scope.plane().apply(add(front)), []);
    const answers = new Set<string>();
    for (let i = 0; i < 4; i++) answers.add(await readAll(await scope.connect(front)));
    assert.deepEqual(
      [...answers].sort(),
      backends.map((each) => `${each.address}:${String(each.port)}`),
    );
  });

  it("PROXY-021: the backend sees the client's own loopback address", async () => {
    await using scope = new Scope();
    const backend = await scope.server("127.80.2.1", (socket) =>
      socket.end(String(socket.remoteAddress)),
    );
    const front = frontendFor("127.80.2.100", [backend]);
    await scope.plane().apply(add(front));
    assert.equal(await readAll(await scope.connect(front, "127.80.2.50")), "127.80.2.50");
    assert.equal(await readAll(await scope.connect(front, "127.0.0.1")), "127.0.0.1");
  });

  it("keeps half-close: an answer that is sent after the client's end arrives", async () => {
    await using scope = new Scope();
    const backend = await scope.server("127.80.3.1", (socket) => {
      let text = "";
      socket.on("data", (chunk) => (text += String(chunk)));
      socket.on("end", () => socket.end(`got ${text}`));
    });
    const front = frontendFor("127.80.3.100", [backend]);
    await scope.plane().apply(add(front));
    const client = await scope.connect(front);
    client.end("question");
    assert.equal(await readAll(client), "got question");
  });

  it("keeps half-close: the backend may end first and still read", async () => {
    await using scope = new Scope();
    let got: Promise<string> | undefined;
    const backend = await scope.server("127.80.3.2", (socket) => {
      socket.end("bye");
      got = readAll(socket);
    });
    const front = frontendFor("127.80.3.101", [backend]);
    await scope.plane().apply(add(front));
    const client = await scope.connect(front);
    assert.equal(await readAll(client), "bye");
    client.end("late");
    assert.equal(await got, "late");
  });

  it("keeps half-close: a client that ends without a word is ended at the backend", async () => {
    await using scope = new Scope();
    const backend = await scope.server("127.80.3.3", (socket) => {
      socket.on("end", () => socket.end("silence heard")).resume();
    });
    const front = frontendFor("127.80.3.102", [backend]);
    await scope.plane().apply(add(front));
    const client = connect({ host: front.address, port: front.port, allowHalfOpen: true });
    client.end();
    assert.equal(await readAll(client), "silence heard");
  });

  it("passes a client's reset on to the backend", async () => {
    await using scope = new Scope();
    const accepted: Socket[] = [];
    const backend = await scope.server("127.80.4.1", (socket) => {
      socket.resume();
      accepted.push(socket);
    });
    const front = frontendFor("127.80.4.100", [backend]);
    await scope.plane().apply(add(front));
    const client = await scope.connect(front);
    await until(() => accepted.length === 1);
    client.resetAndDestroy();
    const [error] = await Promise.race(accepted.map((peer) => once(peer, "error")));
    assert.equal(error.code, "ECONNRESET");
  });

  it("passes a backend's reset on to the client", async () => {
    await using scope = new Scope();
    const backend = await scope.server("127.80.4.2", (socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    const front = frontendFor("127.80.4.101", [backend]);
    await scope.plane().apply(add(front));
    const client = await scope.connect(front);
    client.write("x");
    assert.equal(await readAll(client), "ECONNRESET");
  });

  it("lets a slow reader slow its writer, and loses nothing", async () => {
    await using scope = new Scope();
    const block = randomBytes(1 << 20);
    const blocks = 96;
    const written = { bytes: 0 };
    const backend = await scope.server("127.80.5.1", (socket) => {
      const push = (): void => {
        while (written.bytes < blocks * block.length) {
          written.bytes += block.length;
          if (!socket.write(block)) return;
        }
        socket.end();
      };
      socket.on("drain", push);
      push();
    });
    const front = frontendFor("127.80.5.100", [backend]);
    await scope.plane().apply(add(front));
    const client = await scope.connect(front);
    client.pause();
    // Stuck when a great many turns of the loop move nothing.
    for (let seen = -1, still = 0; still < 2_000; ) {
      await new Promise((resolve) => setImmediate(resolve));
      still = seen === written.bytes ? still + 1 : 0;
      seen = written.bytes;
    }
    // What fits into the kernel's buffers of two connections, and into ours.
    assert.ok(written.bytes < 48 * block.length, `${String(written.bytes)} bytes are in flight`);
    const hash = createHash("sha256");
    let length = 0;
    for await (const chunk of client) {
      hash.update(chunk);
      length += chunk.length;
    }
    assert.equal(length, blocks * block.length);
    const expected = createHash("sha256");
    for (let i = 0; i < blocks; i++) expected.update(block);
    assert.equal(hash.digest("hex"), expected.digest("hex"));
  });

  it("keeps parallel streams apart", async () => {
    await using scope = new Scope();
    const front = frontendFor("127.80.6.100", [await scope.echo("127.80.6.1")]);
    await scope.plane().apply(add(front));
    const stream = async (): Promise<void> => {
      const data = randomBytes(2_000_000);
      const client = await scope.connect(front);
      client.end(data);
      const chunks: Buffer[] = [];
      for await (const chunk of client) {
        chunks.push(chunk);
        // Readers that lag behind each in its own way make buffers wait.
        if (chunk.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(Buffer.concat(chunks).equals(data));
    };
    await Promise.all(Array.from({ length: 16 }, stream));
  });

  it("PROXY-032: a removed endpoint gets no new connection, and keeps those it has", async () => {
    await using scope = new Scope();
    const [old, fresh] = [await scope.echo("127.80.7.1"), await scope.named("127.80.7.2")];
    const before = frontendFor("127.80.7.100", [old]);
    const after = frontendFor("127.80.7.100", [fresh]);
    const plane = scope.plane();
    await plane.apply(add(before));
    const established = await scope.connect(before);
    established.write("1");
    await once(established, "data");
    const applied = plane.apply(change(before, after));
    // In effect before apply() resolves.
    assert.match(await readAll(await scope.connect(after)), /^127\.80\.7\.2:/);
    await applied;
    established.write("2");
    assert.equal(String((await once(established, "data"))[0]), "2");
    await plane.apply(remove(after));
    established.write("3");
    assert.equal(String((await once(established, "data"))[0]), "3");
    assert.equal(await tryConnect(after), "ECONNREFUSED");
  });

  it("PROXY-024: without endpoints connections are refused, until there are some, and again after", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.8.1");
    const none = frontendFor("127.80.8.100", []);
    const some = frontendFor("127.80.8.100", [backend]);
    const plane = scope.plane();
    await plane.apply(add(none));
    assert.equal(await tryConnect(none), "ECONNREFUSED");
    for (let round = 0; round < 3; round++) {
      await plane.apply(change(none, some));
      assert.match(await readAll(await scope.connect(some)), /^127\.80\.8\.1:/);
      await plane.apply(change(some, none));
      assert.equal(await tryConnect(none), "ECONNREFUSED");
    }
  });

  it("ends in the last of several changes that are applied at once", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.8.2");
    const none = frontendFor("127.80.8.101", []);
    const some = frontendFor("127.80.8.101", [backend]);
    const plane = scope.plane();
    await Promise.all([
      plane.apply(add(none)),
      plane.apply(change(none, some)),
      plane.apply(change(some, none)),
    ]);
    assert.equal(await tryConnect(none), "ECONNREFUSED");
    await Promise.all([
      plane.apply(change(none, some)),
      plane.apply(remove(some)),
      plane.apply(add(some)),
    ]);
    assert.equal(await tryConnect(some), "connected");
  });

  it("ITP-002: with endpoints on other nodes only, a client gets silence", async () => {
    await using scope = new Scope();
    const backend = await scope.named("127.80.9.1");
    const front = frontendFor(
      "127.80.9.100",
      [backend],
      { internalPolicy: "Local", externalPolicy: "Local" },
      { local: [] },
    );
    const plane = scope.plane();
    await plane.apply(add(front));
    const client = await scope.connect(front);
    client.write("anybody?");
    await until(() =>
      plane.metrics.render().includes('refused_connections_total{reason="NoLocalEndpoints"} 1'),
    );
    const answer = readAll(client);
    client.end();
    assert.equal(await answer, "");
  });

  it("LBIP-005: a source outside the ranges is cut off", async () => {
    await using scope = new Scope();
    const range = parseCidr("127.80.10.0/28");
    const front = frontendFor("127.80.10.100", [await scope.named("127.80.10.1")], {
      kind: "loadBalancer",
      sourceRanges: range === undefined ? [] : [range],
    });
    await scope.plane().apply(add(front));
    assert.match(await readAll(await scope.connect(front, "127.80.10.5")), /^127\.80\.10\.1:/);
    assert.equal(await ask(front, "127.80.10.99"), "ECONNRESET");
  });

  it("tries another backend when one does not listen, and resets when none does", async () => {
    await using scope = new Scope();
    const [dead, live] = [await scope.deaf("127.80.11.1"), await scope.named("127.80.11.2")];
    const front = frontendFor("127.80.11.100", [dead, live]);
    const plane = scope.plane();
    await plane.apply(add(front));
    for (let i = 0; i < 4; i++) {
      assert.match(await readAll(await scope.connect(front)), /^127\.80\.11\.2:/);
    }
    const without = frontendFor("127.80.11.100", [dead]);
    await plane.apply(change(front, without));
    assert.equal(await ask(without), "ECONNRESET");
    assert.match(
      plane.metrics.render(),
      /refused_connections_total\{reason="NoBackendAnswered"\} 1/,
    );
  });

  it("AFF-001, AFF-003, AFF-006: a client stays with its backend while the time-out lasts and it is eligible", async () => {
    await using scope = new Scope();
    const clock = { ms: 0 };
    const both = [await scope.named("127.80.12.1"), await scope.named("127.80.12.2")];
    const sticky = { affinitySeconds: 10 };
    const front = frontendFor("127.80.12.100", both, {}, sticky);
    const plane = scope.plane({}, { nowMs: () => clock.ms });
    await plane.apply(add(front));
    const askFrom = async (from: string): Promise<string> =>
      (await readAll(await scope.connect(front, from))).split(":")[0] ?? "";
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.1");
    clock.ms = 9_000;
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.1");
    // Renewed at 9 s, so still good at 18 s.
    clock.ms = 18_000;
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.1");
    assert.equal(await askFrom("127.80.12.51"), "127.80.12.2");
    // Forgotten at 29 s, and the turn is at the first again, then the second.
    clock.ms = 29_000;
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.1");
    clock.ms = 40_000;
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.2");
    await plane.apply(change(front, frontendFor("127.80.12.100", both.slice(0, 1), {}, sticky)));
    assert.equal(await askFrom("127.80.12.50"), "127.80.12.1");
  });

  it("AFF-004: frontends of one Service port share affinity", async () => {
    await using scope = new Scope();
    const both = [await scope.named("127.80.13.1"), await scope.named("127.80.13.2")];
    const one = frontendFor("127.80.13.100", both, {}, { affinitySeconds: 10 });
    const two = { ...one, address: frontendFor("127.80.13.101", []).address };
    await scope.plane().apply(add(one, two));
    const answer = await readAll(await scope.connect(one, "127.80.13.50"));
    for (let i = 0; i < 3; i++) {
      assert.equal(await readAll(await scope.connect(two, "127.80.13.50")), answer);
    }
  });

  it("resets new connections when out of descriptors, says so once, and takes them again after", async () => {
    await using scope = new Scope();
    const front = frontendFor("127.80.14.100", [await scope.echo("127.80.14.1")]);
    // One listener and two connections of two sockets each.
    const plane = scope.plane({ fdLimit: 5 });
    await plane.apply(add(front));
    const open = [await scope.connect(front), await scope.connect(front)];
    for (const client of open) {
      client.write("x");
      await once(client, "data");
    }
    assert.equal(await ask(front), "ECONNRESET");
    assert.equal(await ask(front), "ECONNRESET");
    assert.equal(plane.lines.filter((line) => line.includes("out of file descriptors")).length, 1);
    open[0]?.destroy();
    await until(() => plane.connections === 1);
    const again = await scope.connect(front);
    again.write("y");
    assert.equal(String((await once(again, "data"))[0]), "y");
  });

  it("gives back every descriptor, however a connection ends", async () => {
    await using scope = new Scope();
    const [echo, dead] = [await scope.echo("127.80.17.1"), await scope.deaf("127.80.17.2")];
    const resetting = await scope.server("127.80.17.3", (socket) => socket.resetAndDestroy());
    const fronts = [[echo], [dead], [resetting], [dead, echo]].map((backends) =>
      frontendFor("127.80.17.100", backends),
    );
    const plane = scope.plane({ fdLimit: 5 });
    const [first] = fronts;
    assert.ok(first);
    await plane.apply(add(first));
    const endings: readonly ((client: Socket) => unknown)[] = [
      (client) => client.destroy(),
      (client) => client.resetAndDestroy(),
      (client) => client.end("x").resume(),
      (client) => client.write("x", () => client.resetAndDestroy()),
    ];
    let before = first;
    for (const after of [...fronts, first]) {
      await plane.apply(change(before, after));
      before = after;
      for (const end of endings) {
        const client = connect({ host: after.address, port: after.port });
        const closed = once(client, "close").catch(() => undefined);
        client.on("error", () => undefined);
        client.once("connect", () => end(client));
        await closed;
        await until(() => plane.connections === 0);
      }
    }
    const clients = [await scope.connect(first), await scope.connect(first)];
    for (const client of clients) {
      client.write("y");
      assert.equal(String((await once(client, "data"))[0]), "y");
    }
    assert.equal(await ask(first), "ECONNRESET");
  });

  it("counts connections by endpoint and forgets endpoints that left", async () => {
    await using scope = new Scope();
    const backend = await scope.echo("127.80.15.1");
    const front = frontendFor("127.80.15.100", [backend]);
    const plane = scope.plane();
    await plane.apply(add(front));
    const client = await scope.connect(front);
    client.write("x");
    await once(client, "data");
    const labels = `service="default/web",port="",protocol="TCP",endpoint="127.80.15.1:${String(backend.port)}"`;
    assert.ok(plane.metrics.render().includes(`connections_total{${labels}} 1`));
    assert.ok(plane.metrics.render().includes(`open_connections{${labels}} 1`));
    client.destroy();
    await until(() => plane.metrics.render().includes(`open_connections{${labels}} 0`));
    await plane.apply(remove(front));
    assert.ok(!plane.metrics.render().includes(labels));
  });

  it("ends connections on disposal, after the grace that it was given", async () => {
    await using scope = new Scope();
    const front = frontendFor("127.80.16.100", [await scope.echo("127.80.16.1")]);
    const plane = scope.plane({ graceMs: 20_000 });
    await plane.apply(add(front));
    const client = await scope.connect(front);
    client.write("1");
    await once(client, "data");
    const disposed = plane[Symbol.asyncDispose]();
    client.write("2");
    assert.equal(String((await once(client, "data"))[0]), "2");
    assert.equal(await tryConnect(front), "ECONNREFUSED");
    client.end();
    await disposed;
    assert.equal(plane.connections, 0);

    const abrupt = scope.plane();
    await abrupt.apply(add(front));
    const cut = await scope.connect(front);
    cut.write("1");
    await once(cut, "data");
    cut.resume();
    await Promise.all([
      once(cut, "close"),
      abrupt[Symbol.asyncDispose](),
      once(cut, "end").then(() => cut.end()),
    ]);
    assert.equal(abrupt.connections, 0);
  });
});
