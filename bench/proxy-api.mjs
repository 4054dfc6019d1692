// A Kubernetes API over TLS that lists and watches the cluster of proxy-objects.mjs and one Node, and keeps what is
// written without telling anybody: what a whole program costs is measured with its real client and informers, and
// without a store's time.
import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { clusterCertificates } from "../src/apiserver/certificates.ts";
import { renderKubeconfig } from "../src/client/kubeconfig.render.ts";
import { servedService, servedSlice } from "./proxy-objects.mjs";

const NODE = {
  metadata: { name: "here", resourceVersion: "1", labels: { "topology.kubernetes.io/zone": "zone-0" } },
  spec: { podCIDRs: ["10.0.0.0/24"] },
  status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
};

/**
 * Writes into `dir` a kubeconfig under several names, and the certificates that a node's agent and DNS serve with.
 * @returns the path of the kubeconfig, and `change(i, extra)`, which sends Service `i`'s slice to who watches.
 */
export async function startApi(dir, services, endpoints) {
  const { authority, apiServer, admin, agent } = await clusterCertificates({
    dir: undefined,
    apiServerNames: ["127.0.0.1"],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const kinds = {
    services: { count: services, item: servedService },
    endpointslices: { count: services, item: (i) => servedSlice(i, endpoints) },
    nodes: { count: 1, item: () => NODE },
  };
  const watchers = new Set();
  let revision = 1;
  let bytes = 0;
  const written = new Map([["/api/v1/nodes/here", NODE]]);
  const server = createServer({ key: apiServer.key, cert: apiServer.certificate, ca: authority }, async (request, response) => {
    const url = new URL(request.url, "https://api");
    const plural = url.pathname.split("/").at(-1);
    const { count, item } = kinds[plural] ?? { count: 0 };
    const answer = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (request.method !== "GET") {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const object = JSON.parse(Buffer.concat(chunks).toString());
      const path = request.method === "POST" ? `${url.pathname}/${object.metadata?.name}` : url.pathname.replace(/\/status$/, "");
      const old = written.get(path);
      if (request.method === "PATCH" && old === undefined) return answer(404, { kind: "Status", status: "Failure", reason: "NotFound", code: 404 });
      const now = { ...old, ...object, metadata: { ...old?.metadata, ...object.metadata, uid: "5e2f0003-0000-4000-8000-000000000000", resourceVersion: String(++revision) } };
      written.set(path, now);
      return answer(200, now);
    }
    if (written.has(url.pathname)) return answer(200, written.get(url.pathname));
    if (kinds[plural] === undefined && !/s$/.test(plural)) return answer(404, { kind: "Status", status: "Failure", reason: "NotFound", code: 404 });
    response.writeHead(200, { "content-type": "application/json" });
    if (url.searchParams.has("watch")) {
      response.flushHeaders();
      const watcher = { plural, response };
      watchers.add(watcher);
      response.on("close", () => watchers.delete(watcher));
      return;
    }
    const from = Number(url.searchParams.get("continue") ?? 0);
    const to = Math.min(count, from + Number(url.searchParams.get("limit") ?? count));
    const metadata = { resourceVersion: "1", ...(to < count ? { continue: String(to) } : {}) };
    const items = Array.from({ length: to - from }, (_, i) => item(from + i));
    const body = JSON.stringify({ kind: "List", apiVersion: "v1", metadata, items });
    bytes += body.length;
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${server.address().port}`;
  const config = renderKubeconfig({ server: url, ca: authority, cert: admin.certificate, key: admin.key });
  for (const name of ["network.kubeconfig", "agent.kubeconfig"]) writeFileSync(join(dir, name), config, { mode: 0o600 });
  for (const name of ["agent", "dns"]) {
    writeFileSync(join(dir, `${name}.crt`), agent.certificate);
    writeFileSync(join(dir, `${name}.key`), agent.key, { mode: 0o600 });
  }
  writeFileSync(join(dir, "ca.crt"), authority);
  return {
    kubeconfig: join(dir, "network.kubeconfig"),
    /** How much JSON was listed so far. */
    get listedMb() {
      return bytes / 1e6;
    },
    /** Resolves when the connection takes more. */
    async change(i, extra) {
      revision += 1;
      const object = { kind: "EndpointSlice", apiVersion: "discovery.k8s.io/v1", ...servedSlice(i, endpoints, revision, extra) };
      const text = `${JSON.stringify({ type: "MODIFIED", object })}\n`;
      for (const { plural, response } of watchers) {
        if (plural !== "endpointslices") continue;
        if (!response.write(text)) await new Promise((resolve) => response.once("drain", resolve));
      }
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
