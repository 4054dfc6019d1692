/**
 * The loops of endpoints in a process of their own, to be killed. argv: the API's URL, and a file with
 * `{ authority, certificate, key }` in PEM. Prints `ready` when they have started.
 */
import { readFileSync } from "node:fs";
import { createHttpTransport } from "../../src/client/http-transport.ts";
import { createClient } from "../../src/client/rest.ts";
import { createInformers } from "../../src/client/shared-informers.ts";
import { startEndpointsController } from "../../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startEndpointSliceMirroring } from "../../src/controllers/endpointslicemirroring.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

export interface LoopSettings {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const [, , server = "", file = ""] = process.argv;
// Written by the test in this shape.
const { authority, certificate, key } = JSON.parse(readFileSync(file, "utf8")) as LoopSettings;
const log = createLogger({
  write: (line) => process.stderr.write(line),
  level: "error",
  format: "text",
  now: () => new Date(),
});
const { transport } = createHttpTransport({ server, ca: authority, cert: certificate, key });
const client = createClient({ transport });
const deps = { client, informers: createInformers({ client, log }), log };
// Few endpoints a slice, so that there are many slices to be killed between.
startEndpointSliceController(deps, { maxEndpointsPerSlice: 3 });
startEndpointsController(deps);
startEndpointSliceMirroring(deps);
process.stdout.write("ready\n");
