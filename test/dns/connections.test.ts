import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MessageFraming } from "../../src/dns/framing.ts";
import { listenBoth } from "../../src/dns/listen-both.ts";
import type { Listener } from "../../src/dns/listener.ts";
import { TCP_LIMITS } from "../../src/dns/tcp.ts";
import type { TcpLimits } from "../../src/dns/tcp.ts";
import { ip, port, silent } from "./fake-upstream.ts";

const COUNT = 10_000;
/** What a connection that says nothing may take at the server; bench/dns-connections.mjs measures it. */
const MAX_BYTES_EACH = 30_000;

interface CrowdState {
  readonly closed: number;
  readonly answered: number;
}

interface Crowd extends AsyncDisposable {
  look(): Promise<CrowdState>;
  /** Has each of them ask something. */
  ask(): Promise<CrowdState>;
}

/** Connections that say nothing. */
async function gather(to: Listener): Promise<Crowd> {
  const program = join(import.meta.dirname, "crowd.test-program.ts");
  const child = fork(program, [String(to.port), String(COUNT)], { execArgv: ["--import", "tsx"] });
  const state = async (): Promise<CrowdState> => {
    // What the program above sends.
    const [told] = (await once(child, "message")) as [CrowdState];
    return told;
  };
  await state();
  return {
    look: () => {
      child.send("how are you");
      return state();
    },
    ask: () => {
      child.send("ask");
      return state();
    },
    [Symbol.asyncDispose]: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** Idle for as long as the test takes: the bound of their number is what closes them. */
function listen(limits: Partial<TcpLimits>): Promise<Listener> {
  return listenBoth(
    {
      respond: (message) => message.slice(),
      log: silent,
      tcpLimits: { idleMs: 600_000, ...limits },
    },
    { address: ip("127.0.0.1"), port: port(0) },
  );
}

async function ask(socket: Socket, text: string): Promise<string> {
  const received = once(socket, "data") as Promise<[Buffer]>;
  socket.write(MessageFraming.frame(Buffer.from(text)));
  const [answer] = await received;
  return answer.subarray(2).toString();
}

async function askUdp(to: Listener, text: string): Promise<string> {
  const socket = createSocket("udp4");
  const received = once(socket, "message") as Promise<[Buffer]>;
  socket.send(text, to.port, "127.0.0.1");
  const [answer] = await received;
  socket.close();
  return answer.toString();
}

describe("DNS over TCP", () => {
  it("survives 10,000 idle connections: the longest silent go, those that ask stay, questions are answered", async () => {
    await checkFiles();
    await using server = await listen({});
    const talker = connect({ host: "127.0.0.1", port: server.port });
    assert.equal(await ask(talker, "I came first"), "I came first");
    let isGathered = false;
    const talking = (async (): Promise<void> => {
      while (!isGathered) assert.equal(await ask(talker, "and ask on"), "and ask on");
    })();
    await using crowd = await gather(server);
    isGathered = true;
    await talking;
    const late = connect({ host: "127.0.0.1", port: server.port });
    assert.equal(await ask(late, "I came last"), "I came last");
    assert.equal(await ask(talker, "still there"), "still there");
    assert.equal(await askUdp(server, "over UDP"), "over UDP");
    // All but as many as it may hold, of which two are those that ask.
    const excess = COUNT + 2 - TCP_LIMITS.maxConnections;
    let { closed } = await crowd.look();
    while (closed < excess) ({ closed } = await crowd.look());
    assert.equal(closed, excess);
    talker.destroy();
    late.destroy();
  });

  it("holds 10,000 idle connections when told to, and answers each", async () => {
    await checkFiles();
    await using server = await listen({ maxConnections: COUNT + 1 });
    const before = process.memoryUsage().rss;
    await using crowd = await gather(server);
    const each = (process.memoryUsage().rss - before) / COUNT;
    assert.ok(each < MAX_BYTES_EACH, `${String(each)} bytes a connection`);
    assert.equal(await askUdp(server, "over UDP"), "over UDP");
    assert.deepEqual(await crowd.ask(), { closed: 0, answered: COUNT });
  });
});

/** Node takes as many as it is allowed; the server leaves some to the rest of its process. */
async function checkFiles(): Promise<void> {
  const limits = await readFile("/proc/self/limits", "utf8");
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1]);
  assert.ok(files > COUNT + 3000, `${String(files)} open files are too few to try`);
}
