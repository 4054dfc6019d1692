import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startCluster } from "../../src/programs/start-cluster.ts";

const TOOLS = ["kubectl", "dig", "curl"];
const missing = TOOLS.filter(
  (tool) => spawnSync("sh", ["-c", 'command -v "$1"', "sh", tool]).status !== 0,
);

describe("README", () => {
  const skip = missing.length > 0 && `not found: ${missing.join(", ")}`;
  it("the tour's commands work as typed", { skip }, async () => {
    const home = mkdtempSync(join(tmpdir(), "portolan-readme-"));
    await using cluster = await startCluster({
      dataDir: join(home, ".local/state/portolan"),
      manifests: ["examples/five-services.yaml"],
    });
    try {
      const port = cluster.dns.split(":")[1] ?? "";
      const commands = tourCommands().map((line) => line.replaceAll("-p 10053", `-p ${port}`));
      assert.ok(commands.length > 10);
      // The reader takes a while to get from one terminal to the other.
      const script = ["kubectl wait pod --all --for=condition=Ready --timeout=30s", ...commands];
      // One shell for all, as the reader's: variables go from one command to the next.
      const bash = ["bash", "-eu", "-o", "pipefail", "-c", script.join("\n")];
      const { code, output } = await run(bash, { HOME: home, KUBECONFIG: cluster.kubeconfig });
      assert.equal(code, 0, output);
      // The last two commands say that what was deleted is back.
      assert.match(output, /\{"pod":"web-\d",[^\n]*\n[^]*web-3 listens on 127\.[\d.]+:8080\s*$/);
      assert.match(output, /^refused$/m);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it("the example of startCluster() runs, and names the cluster's addresses", async () => {
    const node = [process.execPath, "--input-type=module", "--eval", libraryExample()];
    const { code, output } = await run(node, {});
    assert.equal(code, 0, output);
    assert.match(output, /^127\.[\d.]+ 127\.0\.0\.1:\d+ https:\/\/127\.0\.0\.1:\d+ \S+\n$/);
  });
});

/** The first block of JavaScript. */
function libraryExample(): string {
  const block = /^```js\n([\s\S]*?)^```/m.exec(readFileSync("README.md", "utf8"));
  assert.ok(block?.[1] !== undefined);
  return block[1];
}

/** Lines after a prompt in console blocks; the others show what came of them. */
function tourCommands(): readonly string[] {
  const blocks = readFileSync("README.md", "utf8").matchAll(/^```console\n([\s\S]*?)^```/gm);
  return [...blocks].flatMap(([, block = ""]) =>
    block.split("\n").flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : [])),
  );
}

/** Runs a program to its end, which has two minutes. */
function run(
  [program = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
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
