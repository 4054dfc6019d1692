import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually } from "../e2e/tools.ts";
import type { Output } from "../e2e/tools.ts";
import { podOn, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells its Pod and whom it was asked by; on SIGTERM it waits, still answering, until its grace is over. */
export const ANSWERING = `
const http = require("node:http");
const server = http.createServer((request, response) => {
  response.setHeader("connection", "close");
  response.end(process.env.HOSTNAME + " " + request.socket.remoteAddress.replace("::ffff:", "") + "\\n");
});
server.listen(8080, "::");
process.on("SIGTERM", () => undefined);
`;

/** One that runs {@link ANSWERING}. */
export function pod(name: string, node: string, spec: object = {}): object {
  const command = [process.execPath, "-e", ANSWERING];
  return podOn(node, name, command, 8080, { terminationGracePeriodSeconds: 30, ...spec });
}

/** One for the Pods whose label `app` is this. */
export function service(name: string, app: string, spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
}

/** A lab of two nodes in two zones with Pods and Services of its own, and what a client in it does. */
export class ServiceLab implements AsyncDisposable {
  readonly home: Home;
  readonly lab: Lab;

  private constructor(home: Home, lab: Lab) {
    this.home = home;
    this.lab = lab;
  }

  /** Resolves when all Pods among the objects are ready. */
  static async start(objects: readonly object[]): Promise<ServiceLab> {
    const home = await makeHome();
    const lab = await startLab(home, "--nodes 2 --zones 2");
    await lab.kubectl("apply -f -", objects.map((each) => JSON.stringify(each)).join("\n"));
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=40s");
    return new ServiceLab(home, lab);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
  }

  /** What a Service has at this path. */
  async field(name: string, path: string): Promise<string> {
    const words = ["get", "service", name, "-o", `jsonpath={${path}}`];
    return (await this.lab.kubectl(words)).trim();
  }

  clusterIp(name: string): Promise<string> {
    return this.field(name, ".spec.clusterIP");
  }

  nodePort(name: string): Promise<string> {
    return this.field(name, ".spec.ports[0].nodePort");
  }

  /** What the slices of a Service have at this path. */
  async slices(name: string, path: string): Promise<string> {
    const label = `kubernetes.io/service-name=${name}`;
    const words = ["get", "endpointslices", "-l", label, "-o", `jsonpath={.items[*]${path}}`];
    return (await this.lab.kubectl(words)).trim();
  }

  curl(from: string, url: string): Promise<Output> {
    return this.lab.tryExec(from, "curl", "-sS", "--max-time", "2", url);
  }

  /** The first answer. */
  ask(from: string, url: string): Promise<string> {
    return eventually(`${url} answers ${from}`, async () => {
      const { code, stdout } = await this.curl(from, url);
      return code === 0 && stdout.trim();
    });
  }

  /** Who answers a number of requests, one after another in one process. */
  async who(from: string, url: string, times = 12): Promise<readonly string[]> {
    await this.ask(from, url);
    const urls = Array.from({ length: times }, () => url);
    const text = await this.lab.exec(from, "curl", "-sS", "--max-time", "10", ...urls);
    const names = text
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "");
    return [...new Set(names)].sort();
  }
}
