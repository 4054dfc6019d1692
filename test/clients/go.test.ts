import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../apiserver/kubectl.ts";
import { run } from "../e2e/tools.ts";
import { builtGo, goSkip } from "./go-program.ts";

describe("client-go against the API server", { skip: goSkip() }, () => {
  let program: Awaited<ReturnType<typeof builtGo>>;
  before(async () => {
    program = await builtGo("go");
  });
  after(() => program[Symbol.asyncDispose]());

  for (const [how, watchList] of [
    ["lists and watches", "false"],
    ["streams lists", "true"],
  ] as const) {
    it(`writes, ${how}, elects and records, in JSON and protobuf`, async () => {
      await using server = await startKubectlServer();
      const { code, stdout, stderr } = await run(program.path, [server.kubeconfig], {
        env: { KUBE_FEATURE_WatchListClient: watchList },
        timeoutMs: 100_000,
      });
      assert.equal(code, 0, `${stdout}${stderr}`);
      assert.equal(stdout.match(/^ok /gm)?.length, 8, stdout);
    });
  }
});
