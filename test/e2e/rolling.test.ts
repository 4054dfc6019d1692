import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { get } from "node:http";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";

/** Ends as a well-behaved server does: takes no more connections and answers those that it has. */
const PROGRAM = `
const server = require("node:http").createServer((request, response) => response.end(process.env.VERSION));
server.listen(8080, process.env.POD_IP);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
`;

function deployment(version: string): string {
  return JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "rolling" },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "rolling" } },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: "rolling" } },
        spec: {
          containers: [
            {
              name: "web",
              command: [process.execPath, "-e", PROGRAM],
              env: [{ name: "VERSION", value: version }],
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  });
}

const SERVICE = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "rolling" },
  spec: { selector: { app: "rolling" }, ports: [{ port: 8080 }] },
});

let home: Home;
let up: Up;

before(async () => {
  home = await makeHome();
  up = await startUp(home);
});

after(async () => {
  await up[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

/** One request on a connection of its own. @throws when it is not answered. */
function ask(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port: 8080, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.once("error", reject);
      response.once("end", () => {
        resolve(text);
      });
    });
    request.once("error", reject);
  });
}

it("no request is lost in a rolling update, and Pods of the new version answer afterwards", async () => {
  await up.kubectl("apply -f -", SERVICE);
  await up.kubectl("apply -f -", deployment("one"));
  await up.kubectl("rollout status deployment/rolling --timeout=60s");
  const host = await up.kubectl("get service rolling -o jsonpath={.spec.clusterIP}");
  const answers: string[] = [];
  let isRolledOut = false;
  const client = async (): Promise<void> => {
    while (!isRolledOut) answers.push(await ask(host));
  };
  const clients = [client(), client()];
  await up.kubectl("apply -f -", deployment("two"));
  await up.kubectl("rollout status deployment/rolling --timeout=60s");
  isRolledOut = true;
  await Promise.all(clients);
  assert.deepEqual([...new Set(answers)].sort(), ["one", "two"]);
  assert.equal(await ask(host), "two");
  const events = await up.kubectl("get events --field-selector reason=DrainTimedOut -o name");
  assert.equal(events, "", "every data plane confirmed in time");
});
