import assert from "node:assert/strict";
import { resolve } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { run } from "../e2e/tools.ts";

const DIST = resolve(import.meta.dirname, "../../dist");
const LOADERS = {
  portolan: "undefined",
  "up-loader": "startAllInOne",
  "lab-control-loader": "startLabControl",
  "lab-node-loader": "startLabNode",
};

/** Whether the cache of the script that a module loads was taken, and the type of what the module exports. */
async function told(loader: string, name: string, ...flags: string[]): Promise<string> {
  const url = JSON.stringify(pathToFileURL(resolve(DIST, `${loader}.js`)).href);
  // The command line, without any command, prints how it is used.
  const ask = `const m = await import(${url}); console.log("told", m.isCacheTaken, typeof m["${name}"])`;
  const { stdout, stderr } = await run(process.execPath, [
    ...flags,
    "--input-type=module",
    "--eval",
    ask,
  ]);
  const line = stdout.split("\n").find((text) => text.startsWith("told "));
  assert.ok(line !== undefined, stderr);
  return line;
}

describe("the code caches of the built program", () => {
  for (const [loader, name] of Object.entries(LOADERS)) {
    const type = name === "undefined" ? "undefined" : "function";

    it(`are taken by the Node that made them: ${loader}`, async () => {
      assert.equal(await told(loader, name), `told true ${type}`);
    });

    it(`are left alone, and the script compiled, where V8 runs otherwise: ${loader}`, async () => {
      assert.equal(await told(loader, name, "--no-opt"), `told false ${type}`);
    });
  }
});
