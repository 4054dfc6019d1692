import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parse } from "yaml";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { Container } from "../../src/api/v1/container.ts";
import { startCluster } from "../../src/programs/start-cluster.ts";
import type { Cluster } from "../../src/programs/start-cluster.ts";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A whole cluster in this process, with a Pod `web` that answers HTTP on 8080, and kubectl for it. */
export interface PodCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** A folder for files, removed at the end. */
  readonly dir: string;
  start(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): ChildProcessWithoutNullStreams;
  kubectl(
    args: readonly string[],
    options?: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Ended>;
  run(name: string, container: Partial<Container>): Promise<void>;
  /** The cluster's authority and the admin's certificate. */
  readonly tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  /** A request with the admin's certificate over HTTP/1.1. */
  fetch(method: string, path: string, options?: FetchOptions): Promise<Fetched>;
}

interface FetchOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array> | string;
}

export interface Fetched {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/** Says what it was asked: method, path, length of the body; `/html` is a page, `/cookies` has two. */
const WEB_SERVER = `
require("http").createServer((request, response) => {
  let length = 0;
  request.on("data", (chunk) => (length += chunk.length));
  request.on("end", () => {
    if (request.url === "/html") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end('<a href="/rewriteme">test</a>');
    } else if (request.url === "/moved") {
      response.writeHead(302, { location: "/there" }).end();
    } else if (request.url === "/cookies") {
      response.writeHead(200, { "set-cookie": ["a=1", "b=2; Expires=Wed, 25 Nov 2026 00:00:00 GMT"] }).end();
    } else if (request.url === "/headers") response.end(JSON.stringify(request.headers));
    else response.end([request.method, request.url, length].join(" "));
  });
}).on("upgrade", (request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: " + request.headers.upgrade + "\\r\\n\\r\\n");
  socket.pipe(socket);
}).listen(8080, process.env.POD_IP);
`;

export async function startPodCluster(): Promise<PodCluster> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-streams-"));
  const cluster = await startCluster();
  const { client, kubeconfig, api } = cluster;
  const { PATH = "" } = process.env;
  const baseEnv = { PATH, HOME: dir, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(dir, "cache") };
  const start: PodCluster["start"] = (args, env = {}) =>
    spawn("kubectl", args, { env: { ...baseEnv, ...env }, cwd: dir });
  const kubectl: PodCluster["kubectl"] = async (args, { stdin = "", env = {} } = {}) => {
    const child = start(args, env);
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
    const code = new Promise<number | null>((resolve) => child.once("close", resolve));
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await code, stdout, stderr };
  };
  const run: PodCluster["run"] = async (name, container) => {
    await client.create(podKind, {
      metadata: { name, namespace: "default", labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 0,
        restartPolicy: "Never",
        containers: [{ name: "main", image: "none", ...container }],
      },
    });
    const waited = await kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]);
    if (waited.code !== 0) throw new Error(waited.stderr);
  };
  await run("web", {
    command: [process.execPath, "-e", WEB_SERVER],
    env: [{ name: "GREETING", value: "hello world" }],
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  });
  await client.create(serviceKind, {
    metadata: { name: "shop", namespace: "default" },
    spec: {
      selector: { app: "web" },
      ports: [{ name: "web", port: 80, targetPort: "http", protocol: "TCP" }],
    },
  });
  for (const state of ["create", "jsonpath={.subsets[0].addresses[0].ip}"]) {
    const waited = await kubectl(["wait", `--for=${state}`, "endpoints/shop", "--timeout=30s"]);
    if (waited.code !== 0) throw new Error(waited.stderr);
  }
  // A kubeconfig that this program has written.
  const { users, clusters } = parse(readFileSync(kubeconfig, "utf8")) as {
    readonly users: readonly [{ readonly user: Record<string, string> }];
    readonly clusters: readonly [{ readonly cluster: Record<string, string> }];
  };
  const pem = (data: string | undefined) => Buffer.from(data ?? "", "base64");
  const tls = {
    ca: pem(clusters[0].cluster["certificate-authority-data"]),
    cert: pem(users[0].user["client-certificate-data"]),
    key: pem(users[0].user["client-key-data"]),
  };
  return {
    cluster,
    dir,
    tls,
    start,
    kubectl,
    run,
    fetch: (method, path, { headers = {}, body = "" } = {}) =>
      new Promise((resolve, reject) => {
        const length: Record<string, string> =
          typeof body === "string" && body !== "" ? { "content-length": String(body.length) } : {};
        const outgoing = request(
          `${api}${path}`,
          { method, headers: { ...headers, ...length }, ...tls, agent: false },
          (answer) => {
            text(answer).then(
              (all) =>
                resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: all }),
              reject,
            );
          },
        );
        outgoing.once("upgrade", (answer, socket, head: Buffer) => {
          socket.end("ping");
          text(socket).then(
            (all) =>
              resolve({
                status: answer.statusCode ?? 0,
                headers: answer.headers,
                text: head.toString() + all,
              }),
            reject,
          );
        });
        outgoing.once("error", reject);
        const send = async (): Promise<void> => {
          if (typeof body !== "string") for await (const chunk of body) outgoing.write(chunk);
          outgoing.end(typeof body === "string" ? body : undefined);
        };
        send().catch(reject);
      }),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}
