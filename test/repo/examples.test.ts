import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { it } from "node:test";

/** Far beyond what it takes; a hanging example must not hang the suite. */
const LIMIT_MS = 60_000;

it("the example test of startCluster() passes as a user would run it", async () => {
  const { code, output } = await run(["--test", "examples/start-cluster.test.mjs"]);
  assert.equal(code, 0, output);
  assert.match(output, /pass 1\b/);
});

/** Runs Node as from a shell: without what marks us as a test, or it would report to us instead of running. */
function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, [...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, output });
    });
  });
}
