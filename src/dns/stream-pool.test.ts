import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { it } from "node:test";
import { ip, port } from "../../test/dns/fake-upstream.ts";
import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { StreamPool } from "./stream-pool.ts";

it("StreamPool leaves a connection on which nothing comes any more, though nobody closed it", async () => {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    // As one whose path was forgotten: the first connection answers once, and then takes all and says nothing.
    socket.on("data", (chunk) => {
      if (accepted.length > 1 || socket.bytesRead <= chunk.length) socket.write(chunk);
    });
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  // It listens on a port, not on a path.
  const upstream = { address: ip("127.0.0.1"), port: port((server.address() as AddressInfo).port) };
  using pool = new StreamPool({ expireMs: 60_000 });
  const ask = (text: string): Promise<string> =>
    withDeadline(200, undefined, async (signal) => {
      const answer = await pool.exchange(upstream, Buffer.from(text), () => true, signal);
      return Buffer.from(answer).toString();
    });
  assert.equal(await ask("a"), "a");
  await assert.rejects(ask("b"), DeadlineError);
  assert.equal(await ask("c"), "c");
  assert.equal(accepted.length, 2);
  const [first] = accepted;
  assert.ok(first);
  while (!first.destroyed) await once(first.resume(), "close");
  server.close();
  for (const socket of accepted) socket.destroy();
});
