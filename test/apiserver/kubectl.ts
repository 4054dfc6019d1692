import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterCertificates } from "../../src/apiserver/certificates.ts";
import type { ClusterCertificates } from "../../src/apiserver/certificates.ts";
import { listen } from "../../src/apiserver/http.ts";
import type { HttpListener } from "../../src/apiserver/http.ts";
import type { ApiServerDeps } from "../../src/apiserver/server.ts";
import { parseIpAddress } from "../../src/net/address.ts";
import { SILENT, startTestServer } from "./test-server.ts";
import type { TestServer } from "./test-server.ts";

interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An API server on a real port, and the kubectl that knows it. */
export interface KubectlServer extends AsyncDisposable {
  readonly api: TestServer;
  readonly listener: HttpListener;
  readonly certificates: ClusterCertificates;
  readonly kubeconfig: string;
  /** Runs kubectl to its end. `stdin` is the text for `-f -`. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<Output>;
  /** As {@link kubectl}, and gives stdout; throws with stderr unless the exit code is 0. */
  run(args: readonly string[], options?: KubectlOptions): Promise<string>;
}

interface KubectlOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each piece of stdout; kubectl is stopped when it returns true. */
  readonly until?: (stdout: string) => boolean;
}

export async function startKubectlServer(
  options: Partial<ApiServerDeps> = {},
): Promise<KubectlServer> {
  const home = await mkdtemp(join(tmpdir(), "portolan-kubectl-"));
  const certificates = await clusterCertificates({
    dir: undefined,
    apiServerNames: [],
    agentNames: [],
    clusterDomain: "cluster.local",
    now: Date.now,
  });
  const api = await startTestServer({
    agentTls: { ca: certificates.authority, ...certificates.agentClient },
    ...options,
  });
  const listener = await listen({
    address: "127.0.0.1",
    port: 0,
    tls: {
      key: certificates.apiServer.key,
      cert: certificates.apiServer.certificate,
      clientCa: certificates.authority,
    },
    handler: (request, user) => api.server.handle(request, user),
    log: SILENT,
  });
  const address = parseIpAddress("127.0.0.1");
  if (address !== undefined) await api.server.publish({ address, port: listener.port });
  const kubeconfig = join(home, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigOf(listener.port, certificates), { mode: 0o600 });
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: join(home, "cache"),
  };
  const kubectl: KubectlServer["kubectl"] = (args, more = {}) =>
    runKubectl(args, { ...env, ...more.env }, more);
  return {
    api,
    listener,
    certificates,
    kubeconfig,
    kubectl,
    async run(args, more) {
      const { code, stdout, stderr } = await kubectl(args, more);
      if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: exit ${String(code)}: ${stderr}`);
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await rm(home, { recursive: true });
    },
  };
}

function runKubectl(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { stdin = "", until }: KubectlOptions,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn("kubectl", args, { env, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      if (until?.(stdout) === true) child.kill("SIGKILL");
    });
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(stdin);
  });
}

function kubeconfigOf(port: number, { authority, admin }: ClusterCertificates): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "c",
        cluster: {
          server: `https://127.0.0.1:${String(port)}`,
          "certificate-authority-data": base64(authority),
        },
      },
    ],
    users: [
      {
        name: "u",
        user: {
          "client-certificate-data": base64(admin.certificate),
          "client-key-data": base64(admin.key),
        },
      },
    ],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
}
