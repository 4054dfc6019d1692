import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { MessageFraming } from "../../src/dns/framing.ts";

// Many idle connections, in a process of its own: it needs as many open files, and its memory is not the server's.
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const sockets: Socket[] = [];
let closed = 0;
for (let i = 0; i < count; i += 200) {
  const batch = Array.from({ length: Math.min(200, count - i) }, () => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => undefined);
    socket.once("close", () => (closed += 1));
    socket.resume();
    return socket;
  });
  await Promise.all(batch.map((socket) => once(socket, "connect")));
  sockets.push(...batch);
}

let answered = 0;
const askAll = async (): Promise<void> => {
  for (const [i, socket] of sockets.entries()) {
    const text = `question ${String(i)}`;
    const received = once(socket, "data") as Promise<[Buffer]>;
    socket.write(MessageFraming.frame(Buffer.from(text)));
    const [answer] = await received;
    if (answer.subarray(2).toString() === text) answered += 1;
  }
};
process.on("message", (what) => {
  const tell = (): void => {
    process.send?.({ closed, answered });
  };
  if (what === "ask") void askAll().then(tell, tell);
  else tell();
});
process.on("disconnect", () => {
  process.exit(0);
});
process.send?.({ closed, answered });
