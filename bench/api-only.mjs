// The API server alone: store, API server and TLS listener, without controllers, DNS, proxy and node agent.
// Bundled and started by `startApiOnly()` in measure.mjs: node api-only.mjs DATA_DIR [COPIES]
// With COPIES it does not serve: it writes so many copies of each object named `template` straight into the store.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { servedKinds } from "../src/api/kinds.ts";
import { clusterCertificates } from "../src/apiserver/certificates.ts";
import { listen } from "../src/apiserver/http.ts";
import { createApiServer } from "../src/apiserver/server.ts";
import { renderKubeconfig } from "../src/client/kubeconfig.render.ts";
import { parseCidr } from "../src/net/cidr.ts";
import { EmbeddedStore } from "../src/store/embedded/embedded.ts";
import { Metrics } from "../src/telemetry/metrics.ts";

const dir = process.argv[2];
const print = (level) => (message, fields) => console.error(level, message, fields ?? "");
const log = { debug() {}, info() {}, warn: print("warn"), error: print("error"), with: () => log };
const metrics = new Metrics();
const [store, certificates] = await Promise.all([
  EmbeddedStore.open({ dir: join(dir, "store") }),
  clusterCertificates({
    dir: join(dir, "certificates"),
    apiServerNames: ["127.0.0.1"],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  }),
]);
if (process.argv[3] !== undefined) {
  await copyTemplates(Number(process.argv[3]));
  await store[Symbol.asyncDispose]();
  console.log("{}");
  process.exit(0);
}
const server = await createApiServer({
  store,
  kinds: servedKinds({ podCidrs: [parseCidr("127.0.0.1/32")] }),
  log,
  serviceCidrs: [parseCidr("10.96.0.0/14")],
  nodePortRange: { first: 30_000, last: 32_767 },
  version: "bench",
  metrics,
  renderMetrics: () => metrics.render(),
});
const listener = await listen({
  address: "127.0.0.1",
  port: 0,
  tls: {
    key: certificates.apiServer.key,
    cert: certificates.apiServer.certificate,
    clientCa: certificates.authority,
  },
  handler: (request, user) => server.handle(request, user),
  log,
});
await server.publish({ address: "127.0.0.1", port: listener.port });
const api = `https://127.0.0.1:${String(listener.port)}`;
const { certificate: cert, key } = certificates.admin;
const kubeconfig = join(dir, "admin.kubeconfig");
writeFileSync(kubeconfig, renderKubeconfig({ server: api, ca: certificates.authority, cert, key }), {
  mode: 0o600,
});
console.log(JSON.stringify({ kubeconfig, api }));
process.once("SIGTERM", async () => {
  await listener[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

async function copyTemplates(copies) {
  const { entries } = await store.range({ prefix: "/registry/" });
  const templates = entries.filter(({ key }) => key.endsWith("/template"));
  for (const { key, value } of templates) {
    for (let start = 0; start < copies; start += 500) {
      const writes = [];
      for (let i = start; i < Math.min(start + 500, copies); i++) {
        const name = `copy-${String(i)}`;
        const address = `10.97.${String(i >> 8)}.${String(i & 255)}`;
        writes.push({
          kind: "put",
          key: key.replace(/template$/, name),
          value: value.replaceAll('"template"', `"${name}"`).replaceAll(/10\.9[6-9]\.\d+\.\d+/g, address),
        });
      }
      await store.commit([], writes);
    }
  }
}
