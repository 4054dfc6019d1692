import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pod } from "./manifests.ts";
import { makeHome, startUp } from "./portolan.ts";
import { eventually, missing } from "./tools.ts";

/** Asks the API for the Pods of its own namespace once a tenth of a second, and says what the answers are. */
const LIST = `
const { readFileSync } = require("node:fs");
const { get } = require("node:https");
const read = (name) => readFileSync(process.env.PORTOLAN_SERVICEACCOUNT_DIR + "/" + name, "utf8");
setInterval(() => {
  get({
    host: process.env.KUBERNETES_SERVICE_HOST,
    port: process.env.KUBERNETES_SERVICE_PORT,
    path: "/api/v1/namespaces/" + read("namespace") + "/pods",
    ca: read("ca.crt"),
    headers: { authorization: "Bearer " + read("token") },
  }, (response) => {
    let text = "";
    response.on("data", (chunk) => (text += chunk));
    response.on("end", () => {
      const { message, items = [] } = JSON.parse(text);
      console.log(response.statusCode, message ?? items.map(({ metadata }) => metadata.name).join());
    });
  });
}, 100);
`;

describe("Pods as clients of the API", { skip: missing("kubectl") }, () => {
  it("list Pods with their token as soon as a RoleBinding lets them, and not before", async () => {
    await using home = await makeHome();
    const file = join(home.path, "shop.yaml");
    // At once: the namespace's account is not there yet.
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
    const command = [process.execPath, "-e", LIST];
    const { metadata, ...rest } = JSON.parse(pod("lister", { command })) as { metadata: object };
    const lister = { ...rest, metadata: { ...metadata, namespace: "shop" } };
    await writeFile(file, [namespace, lister].map((one) => JSON.stringify(one)).join("\n---\n"));
    await using up = await startUp(home, { args: ["-f", file] });
    assert.equal(up.stderr(), "");
    const log = () => up.kubectl("logs -n shop lister");
    await eventually("it is refused", async () =>
      (await log().catch(() => "")).includes(
        '403 pods is forbidden: User "system:serviceaccount:shop:default" cannot list resource "pods" in API group "" in the namespace "shop"',
      ),
    );
    assert.doesNotMatch(await log(), /^200 /m);
    await up.kubectl(
      "create rolebinding lister -n shop --clusterrole=view --serviceaccount=shop:default",
    );
    await eventually("it is answered", async () => /^200 lister$/m.test(await log()));
  });
});
