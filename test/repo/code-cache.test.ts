import assert from "node:assert/strict";
import { resolve } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { run } from "../e2e/tools.ts";

const LOADER = pathToFileURL(resolve(import.meta.dirname, "../../dist/up-loader.js")).href;
const ASK = `const m = await import(${JSON.stringify(LOADER)}); console.log(m.isCacheTaken, typeof m.startAllInOne)`;

describe("the built program's code cache", () => {
  const told = async (...flags: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(process.execPath, [
      ...flags,
      "--input-type=module",
      "--eval",
      ASK,
    ]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };

  it("is taken by the Node that made it", async () => {
    assert.equal(await told(), "true function");
  });

  it("is left alone, and the script compiled, where V8 runs otherwise", async () => {
    assert.equal(await told("--no-opt"), "false function");
  });
});
