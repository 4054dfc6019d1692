import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../apiserver/kubectl.ts";
import { missing, run } from "../e2e/tools.ts";

const FOLDER = join(import.meta.dirname, "go");
/** The first build downloads client-go and compiles it. */
const BUILD_TIMEOUT_MS = 240_000;

const skip =
  process.env["PORTOLAN_TEST_GO"] === "1"
    ? missing("go")
    : "builds client-go; set PORTOLAN_TEST_GO=1 to run it";

describe("client-go against the API server", { skip }, () => {
  let home: string;
  let program: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), "portolan-go-"));
    program = join(home, "clients");
    const built = await run("go", ["build", "-C", FOLDER, "-o", program, "."], {
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    assert.equal(built.code, 0, built.stderr);
  });
  after(() => rm(home, { recursive: true }));

  for (const [how, watchList] of [
    ["lists and watches", "false"],
    ["streams lists", "true"],
  ] as const) {
    it(`writes, ${how}, elects and records, in JSON and protobuf`, async () => {
      await using server = await startKubectlServer();
      const { code, stdout, stderr } = await run(program, [server.kubeconfig], {
        env: { KUBE_FEATURE_WatchListClient: watchList },
        timeoutMs: 100_000,
      });
      assert.equal(code, 0, `${stdout}${stderr}`);
      assert.equal(stdout.match(/^ok /gm)?.length, 8, stdout);
    });
  }
});
