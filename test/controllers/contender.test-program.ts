/**
 * The controllers in a process of its own, one of several that contend for leading, to be killed. argv: the
 * API's URL, its authority's PEM in a file, and who it is; that is also its bearer token. Ends on SIGTERM.
 */
import { readFileSync } from "node:fs";
import { createHttpTransport } from "../../src/client/http-transport.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { startControllers } from "../../src/programs/controllers.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { cidr, SILENT } from "../apiserver/test-server.ts";

const [, , server = "", file = "", identity = ""] = process.argv;
const ca = readFileSync(file, "utf8");
const http = createHttpTransport({ server, ca, bearerToken: () => Promise.resolve(identity) });
const client = createClient({ transport: http.transport });
const metrics = new Metrics();
const informers = createInformers({ client, log: SILENT, metrics });
const controllers = startControllers(
  { client, informers, log: SILENT, metrics },
  {
    loadBalancerPools: [cidr("192.0.2.0/28")],
    rootCertificate: ca,
    leaderElection: { identity, leaseMs: 2_000, renewMs: 1_500, retryMs: 200 },
  },
);
process.once("SIGTERM", () => {
  void (async () => {
    await controllers[Symbol.asyncDispose]();
    await informers[Symbol.asyncDispose]();
    http[Symbol.dispose]();
    process.exit(0);
  })(); // What fails in it ends the process with an error, which the test sees.
});
