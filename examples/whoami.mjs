// A small HTTP server that says which Pod it is: the program behind the image portolan.dev/whoami.
// It listens on the Pod's own address (POD_IP), as every Pod on one machine must.
import { createServer } from "node:http";

const { HOSTNAME: pod, POD_IP: address, PORT: port = "8080" } = process.env;

const server = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify({ pod, address, path: request.url })}\n`);
});
server.listen(Number(port), address, () => {
  console.log(`${pod} listens on ${address}:${port}`);
});
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
