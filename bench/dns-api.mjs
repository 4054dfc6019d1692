// A Kubernetes API that only lists and watches the objects of dns-cluster.mjs, over plain HTTP: the DNS server's
// memory is measured with real informers, and without a store's time.
import { createServer } from "node:http";
import { cluster, large } from "./dns-cluster.mjs";

/** @returns its URL; `change()` writes an EndpointSlice: an endpoint of the Service of 5,000 comes or goes. */
export async function startApi(services, headless, endpoints) {
  const watchers = new Set();
  let revision = 1;
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://api");
    const plural = url.pathname.split("/").at(-1);
    if (url.searchParams.has("sendInitialEvents")) {
      // As servers do that cannot stream a list: clients list then.
      response.writeHead(422, { "content-type": "application/json" });
      response.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", reason: "Invalid", code: 422, message: "sendInitialEvents is not supported" }));
      return;
    }
    if (url.searchParams.has("watch")) {
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      const watcher = { plural, response };
      watchers.add(watcher);
      response.on("close", () => watchers.delete(watcher));
      return;
    }
    const items = cluster(plural, services, headless, endpoints);
    const from = Number(url.searchParams.get("continue") ?? 0);
    const to = from + Number(url.searchParams.get("limit") ?? items.length);
    const list = { namespaces: "NamespaceList", services: "ServiceList", endpointslices: "EndpointSliceList" }[plural];
    const apiVersion = plural === "endpointslices" ? "discovery.k8s.io/v1" : "v1";
    const metadata = { resourceVersion: "1", ...(to < items.length ? { continue: String(to) } : {}) };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ kind: list, apiVersion, metadata, items: items.slice(from, to) }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    change() {
      revision += 1;
      const text = `${JSON.stringify({ type: "MODIFIED", object: large(revision) })}\n`;
      for (const { plural, response } of watchers) {
        if (plural === "endpointslices") response.write(text);
      }
      // The endpoint is there with odd revisions.
      return revision % 2 === 1;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
