import assert from "node:assert/strict";
import { resolve } from "node:path";
import { it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";

it("the lab's example spreads over the nodes, and each client is answered in its zone", async () => {
  await using home = await makeHome();
  await using lab = await startLab(home, `--nodes 3 --zones 3 -f ${resolve("examples/lab.yaml")}`);
  await lab.kubectl("rollout status deployment/web --timeout=30s");
  const path = "{range .items[*]}{.spec.nodeName} {.metadata.name}{'\\n'}{end}";
  const pods = await lab.kubectl(["get", "pods", "-o", `jsonpath=${path.replaceAll("'", '"')}`]);
  const podOf = new Map(
    pods
      .trim()
      .split("\n")
      .map((line): [string, string] => {
        const [node = "", pod = ""] = line.split(" ");
        return [node, pod];
      }),
  );
  assert.deepEqual([...podOf.keys()].sort(), ["node-1", "node-2", "node-3"]);

  const hints = "jsonpath={.items[0].endpoints[*].hints.forZones[*].name}";
  await eventually(
    "each endpoint has a hint",
    async () =>
      (
        await lab.kubectl([
          "get",
          "endpointslices",
          "-l",
          "kubernetes.io/service-name=web",
          "-o",
          hints,
        ])
      ).split(" ").length === 3,
  );
  const address = await lab.kubectl(
    "get service web -o jsonpath={.status.loadBalancer.ingress[0].ip}",
  );
  assert.match(await lab.exec("world", "curl", "-sS", `http://${address}`), /"pod":"web-/);
  for (const [node, pod] of podOf) {
    await eventually(`${node} asks its own zone`, async () => {
      for (let i = 0; i < 4; i++) {
        const answer = await lab.exec(node, "curl", "-sS", `http://${address}`);
        if (!answer.includes(`"${pod}"`)) return false;
      }
      return true;
    });
  }
});
