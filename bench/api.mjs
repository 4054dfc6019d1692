// A minimal client of the Kubernetes API for benches, over TLS with a kubeconfig's client certificate.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { parse } from "yaml";

export async function apiOf(kubeconfig) {
  const config = parse(readFileSync(kubeconfig, "utf8"));
  const { server, "certificate-authority-data": ca } = config.clusters[0].cluster;
  const user = config.users[0].user;
  const decode = (text) => Buffer.from(text, "base64");
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 64,
    ca: decode(ca),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  });
  const call = (method, path, body, type = "application/json") =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": type };
      const sent = request(`${server}${path}`, { method, agent, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => (text += chunk));
        response.on("end", () => {
          if (response.statusCode >= 300) reject(new Error(`${method} ${path}: ${text}`));
          else resolve(JSON.parse(text));
        });
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, body),
    patch: (path, body) => call("PATCH", path, body, "application/merge-patch+json"),
    patchStatus: (path, body) => call("PATCH", `${path}/status`, body, "application/merge-patch+json"),
    delete: (path) => call("DELETE", path),
  };
}

/** A node without an agent whose lease is kept, so that Pods bound to it keep the state they are given. */
export async function simulateNode(api, name) {
  await api.post("/api/v1/nodes", { metadata: { name } });
  const now = () => new Date().toISOString().replace(/Z$/, "000Z");
  const path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  const spec = () => ({ holderIdentity: name, leaseDurationSeconds: 40, renewTime: now() });
  await api.post(path, { metadata: { name }, spec: spec() });
  await api.patchStatus(`/api/v1/nodes/${name}`, {
    status: {
      conditions: [{ type: "Ready", status: "True", reason: "Simulated", lastHeartbeatTime: new Date().toISOString() }],
    },
  });
  return setInterval(() => {
    api.patch(`${path}/${name}`, { spec: spec() }).catch((error) => console.error(String(error)));
  }, 5000);
}

/** Runs `work(0..count-1)`, so many at a time. */
export async function inParallel(width, count, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
