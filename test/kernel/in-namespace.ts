import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const MARK = "PORTOLAN_TEST_NAMESPACE";
/** A file of tests has a minute; what hangs must not outlive it. */
const LIMIT_MS = 58_000;

/**
 * Runs the tests that `define` declares in a network, mount and user namespace of their own: the calling file is
 * run again inside. Outside it declares one test, which passes when all inside did, and none was skipped.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[MARK] === "1") {
    define();
    return;
  }
  it("all of it, in a network namespace of its own", async () => {
    const output = await runInside(fileURLToPath(file));
    assert.match(output, /^# fail 0$/m, output);
    assert.match(output, /^# (skipped|todo|cancelled) 0$/m, output);
    assert.doesNotMatch(output, /^# pass 0$/m, output);
  });
}

function runInside(file: string): Promise<string> {
  const env: NodeJS.ProcessEnv = { ...process.env, [MARK]: "1" };
  // Set by the runner that runs us: the inner one must report in text.
  delete env["NODE_TEST_CONTEXT"];
  const script = 'mount -t tmpfs none /run && exec "$0" "$@"';
  const node = [process.execPath, "--import", "tsx", "--test-reporter=tap", file];
  const args = ["-Urnm", "--kill-child", "sh", "-c", script, ...node];
  return new Promise((resolve) => {
    execFile(
      "unshare",
      args,
      { env, timeout: LIMIT_MS, killSignal: "SIGKILL", maxBuffer: 1 << 24 },
      (error, stdout, stderr) => {
        resolve(`${stdout}\n${stderr}\n${error?.message.slice(0, 200) ?? ""}`);
      },
    );
  });
}
