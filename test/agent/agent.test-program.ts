/**
 * An agent in a process of its own, to be killed. argv: the API's URL, and a file with `{ dataDir, podCidr,
 * authority, admin, agent }`. Prints `ready` when it has started.
 */
import { readFileSync } from "node:fs";
import { startAgent } from "../../src/agent/agent.ts";
import { createHttpTransport } from "../../src/client/http-transport.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { cidr } from "../apiserver/test-server.ts";

export interface ProgramSettings {
  readonly dataDir: string;
  readonly podCidr: string;
  readonly authority: string;
  readonly admin: { readonly certificate: string; readonly key: string };
  readonly agent: { readonly certificate: string; readonly key: string };
}

const [, , server = "", file = ""] = process.argv;
// Written by the test in this shape.
const settings = JSON.parse(readFileSync(file, "utf8")) as ProgramSettings;
const { authority, admin, agent } = settings;
const log = createLogger({
  write: (line) => process.stderr.write(line),
  level: "warn",
  format: "text",
  now: () => new Date(),
});
const { transport } = createHttpTransport({
  server,
  ca: authority,
  cert: admin.certificate,
  key: admin.key,
});
const client = createClient({ transport });
await startAgent(
  { client, informers: createInformers({ client, log }), log },
  {
    dataDir: settings.dataDir,
    podCidr: cidr(settings.podCidr),
    tls: { cert: agent.certificate, key: agent.key, ca: authority },
    stopPodsOnExit: true,
    version: "v1.34.0",
  },
);
process.stdout.write("ready\n");
