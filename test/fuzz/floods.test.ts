import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { startKubectlServer } from "../apiserver/kubectl.ts";
import type { KubectlServer } from "../apiserver/kubectl.ts";
import { PREFACE, askWell, frame, open, settings } from "./byte-campaign.ts";

/** GET / over https in HPACK's static table (RFC 7541, appendix A). */
const HEADERS = Buffer.from([0x82, 0x84, 0x87]);
const END_STREAM = 1;
const END_HEADERS = 4;

const FLOODS: Readonly<Record<string, () => readonly Buffer[]>> = {
  "streams that are reset at once": () =>
    times(5000, (i) =>
      Buffer.concat([
        frame(1, END_STREAM + END_HEADERS, 2 * i + 1, HEADERS),
        frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
      ]),
    ),
  "continuations without end": () => [
    frame(1, END_STREAM, 1, HEADERS),
    ...times(20_000, () => frame(9, 0, 1, Buffer.alloc(100, 0x84))),
  ],
  settings: () => times(20_000, () => frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))),
  pings: () => times(20_000, () => frame(6, 0, 0, Buffer.alloc(8))),
  "empty data": () => [
    frame(1, END_HEADERS, 1, Buffer.from([0x83, 0x84, 0x87])),
    ...times(20_000, () => frame(0, 0, 1, Buffer.alloc(0))),
  ],
  priorities: () => times(20_000, (i) => frame(2, 0, 2 * i + 1, Buffer.from([0, 0, 0, 0, 1]))),
  "window updates": () => times(20_000, () => frame(8, 0, 0, Buffer.from([0, 0, 0, 1]))),
};

describe("the API under floods", () => {
  for (const [what, flood] of Object.entries(FLOODS)) {
    it(`goes on under ${what}`, async () => {
      await using server = await startKubectlServer();
      const before = openSockets();
      const socket = open(server, "h2");
      socket.on("error", () => socket.destroy());
      socket.on("close", () => socket.destroy());
      socket.resume();
      await once(socket, "secureConnect");
      socket.write(Buffer.concat([PREFACE, settings(), ...flood()]));
      for (let i = 0; i < 5; i++) assert.equal(await askWell(server), 200);
      socket.destroy();
      await backTo(before);
    });
  }

  it("goes on beside many idle connections, and forgets them when they go", async () => {
    await using server = await startKubectlServer();
    const before = openSockets();
    const sockets = times(200, (i) => open(server, i % 2 === 0 ? "h2" : "http/1.1"));
    await Promise.all(sockets.map((socket) => once(socket, "secureConnect")));
    assert.equal(await askWell(server), 200);
    for (const socket of sockets) {
      socket.on("error", () => {});
      socket.destroy();
    }
    assert.equal(await askWell(server), 200);
    await backTo(before);
  });

  it("forgets watches whose readers have gone", async () => {
    await using server = await startKubectlServer();
    const before = openSockets();
    const sockets = await Promise.all(times(50, () => watch(server)));
    for (const socket of sockets) socket.destroy();
    await backTo(before);
  });
});

async function watch(server: KubectlServer) {
  const socket = open(server, "http/1.1");
  socket.on("error", () => socket.destroy());
  socket.write("GET /api/v1/services?watch=true HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(socket, "data");
  return socket;
}

/** Both ends are in this process: what a side forgets to close stays. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
}

/** Never, where something leaks: the test's own limit ends it. */
async function backTo(count: number): Promise<void> {
  while (openSockets() > count) await new Promise((resolve) => setImmediate(resolve));
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
