// Writes test/golden/openapi.txt: node --import tsx test/golden/openapi-digest.ts
// A line for each group and version that is served: how many paths and schemas its OpenAPI document has, and a
// digest of the document. The lines that a change touches are in its diff, so that whoever looks at it sees which
// parts of the API it changes.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startTestServer } from "../apiserver/test-server.ts";

const FILE = join(import.meta.dirname, "openapi.txt");

/** The text of the file as it should be for these sources. */
export async function openApiDigest(): Promise<string> {
  await using api = await startTestServer();
  const index = await api.call("GET", "/openapi/v3");
  const paths = Object.keys(index.json["paths"] ?? {}).map((path) => `v3/${path}`);
  const lines: string[] = [];
  for (const path of ["v2", ...paths.toSorted()]) {
    const { json } = await api.call("GET", `/openapi/${path}`);
    const { info: _, ...document } = json;
    const schemas = document["definitions"] ?? document["components"]?.["schemas"] ?? {};
    const digest = createHash("sha256").update(JSON.stringify(document)).digest("hex").slice(0, 16);
    const counts = [document["paths"] ?? {}, schemas].map((one) => Object.keys(one).length);
    lines.push(
      `${path} paths=${String(counts[0])} schemas=${String(counts[1])} sha256=${digest}\n`,
    );
  }
  return lines.join("");
}

if (process.argv[1] === import.meta.filename) await writeFile(FILE, await openApiDigest());
