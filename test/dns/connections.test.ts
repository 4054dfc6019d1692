import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { it } from "node:test";
import { MessageFraming } from "../../src/dns/framing.ts";
import { listenTcp } from "../../src/dns/tcp.ts";
import { ip, port, silent } from "./fake-upstream.ts";

const COUNT = 10_000;

it("DNS over TCP survives 10,000 idle connections: the longest silent go, the next question is answered", async () => {
  const limits = await readFile("/proc/self/limits", "utf8");
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1]);
  // Both ends are in this process; the server's half has a bound of its own.
  assert.ok(files > COUNT + 6000, `${String(files)} open files are too few to try`);
  await using server = await listenTcp(
    { respond: (message) => message.slice(), log: silent },
    { address: ip("127.0.0.1"), port: port(0) },
  );
  const sockets: Socket[] = [];
  let closed = 0;
  for (let i = 0; i < COUNT; i += 200) {
    const batch = Array.from({ length: 200 }, () => {
      const socket = connect({ host: "127.0.0.1", port: server.port });
      socket.on("error", () => undefined);
      socket.once("close", () => (closed += 1));
      socket.resume();
      return socket;
    });
    await Promise.all(batch.map((socket) => once(socket, "connect")));
    sockets.push(...batch);
  }
  const last = connect({ host: "127.0.0.1", port: server.port });
  last.write(MessageFraming.frame(Buffer.from("still there?")));
  const [answer] = (await once(last, "data")) as [Buffer];
  assert.equal(answer.subarray(2).toString(), "still there?");
  last.destroy();
  // No more than it may hold are left.
  while (closed < COUNT - 4096) await new Promise((resolve) => setImmediate(resolve));
  for (const socket of sockets) socket.destroy();
});
