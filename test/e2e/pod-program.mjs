// What tests run in Pods. Tells its Pod's name over HTTP (TCP_PORT) and UDP (UDP_PORT); with GRACE_FILE it
// writes there when SIGTERM comes, and ends after that.
import { createSocket } from "node:dgram";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const { HOSTNAME: pod, POD_IP: address, TCP_PORT, UDP_PORT, GRACE_FILE } = process.env;

if (TCP_PORT !== undefined) {
  const server = createServer((request, response) => {
    // A connection stays open for as long as the client wants it: tests look at established ones.
    response.end(`${pod}\n`);
  });
  server.keepAliveTimeout = 0;
  server.listen(Number(TCP_PORT), address);
}
if (UDP_PORT !== undefined) {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => {
    socket.send(`${pod} ${message.toString()}`, from.port, from.address);
  });
  socket.bind(Number(UDP_PORT), address);
}
if (GRACE_FILE !== undefined) {
  process.on("SIGTERM", () => {
    appendFileSync(GRACE_FILE, `${pod} ended by SIGTERM\n`);
    process.exit(0);
  });
}
