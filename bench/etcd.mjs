// The floor for durable writes: puts to Debian's etcd (etcd-server) on loopback, over plain gRPC.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** @returns puts a second, or undefined where etcd is not installed. */
export async function etcdPuts(dir, clients, count, valueBytes) {
  const [client, peer] = [await freePort(), await freePort()];
  const clientUrl = `http://127.0.0.1:${String(client)}`;
  const peerUrl = `http://127.0.0.1:${String(peer)}`;
  const child = spawn(
    "etcd",
    ["--data-dir", dir, "--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl]
      .concat(["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl])
      .concat(["--initial-cluster", `default=${peerUrl}`, "--log-level", "error"]),
    { stdio: "ignore" },
  );
  const failed = new Promise((resolve) => child.once("error", () => resolve(true)));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  if (await Promise.race([failed, reachable(client)])) return undefined;
  const sessions = Array.from({ length: clients }, () => connectHttp2(clientUrl));
  try {
    // The leader is elected when the first put is answered.
    await put(sessions[0], "first", "x");
    let next = 0;
    const began = performance.now();
    await Promise.all(
      sessions.map(async (session) => {
        while (next < count) await put(session, `/registry/services/default/s${String(next++)}`, "x".repeat(valueBytes));
      }),
    );
    return count / ((performance.now() - began) / 1000);
  } finally {
    for (const session of sessions) session.destroy();
    child.kill("SIGTERM");
    await exited;
  }
}

async function put(session, key, value) {
  const message = Buffer.concat([bytesField(1, key), bytesField(2, value)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ":method": "POST",
    ":path": "/etcdserverpb.KV/Put",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let status;
  stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
  stream.resume();
  stream.end(Buffer.concat([head, message]));
  await once(stream, "close");
  if (status !== "0") throw new Error(`etcd refused a put: ${String(status)}`);
}

function bytesField(tag, text) {
  const bytes = Buffer.from(text);
  const length = [];
  for (let n = bytes.length; ; n >>>= 7) {
    length.push(n < 0x80 ? n : (n & 0x7f) | 0x80);
    if (n < 0x80) break;
  }
  return Buffer.concat([Buffer.from([(tag << 3) | 2, ...length]), bytes]);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function reachable(port) {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const open = await Promise.race([
      once(socket, "connect").then(() => true, () => false),
      wait(1000).then(() => false),
    ]);
    socket.destroy();
    if (open) return false;
    await wait(20);
  }
}
