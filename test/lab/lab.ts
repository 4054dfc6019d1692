import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { runPortolan, startPortolan } from "../e2e/portolan.ts";
import type { Home, Started } from "../e2e/portolan.ts";
import { eventually, isAlive, run } from "../e2e/tools.ts";
import type { Output } from "../e2e/tools.ts";

/** A running `portolan lab up`, and what a user does with it. */
export interface Lab extends Started {
  readonly kubeconfig: string;
  /** Runs a command in a place of the lab. @throws with what it said unless it exits with 0. */
  exec(place: string, ...command: readonly string[]): Promise<string>;
  /** The same, whatever its exit code. */
  tryExec(place: string, ...command: readonly string[]): Promise<Output>;
  /** @throws with what kubectl said unless it exits with 0. */
  kubectl(args: string | readonly string[], stdin?: string): Promise<string>;
}

/** Starts a lab as a user does and resolves when it is ready. */
export async function startLab(home: Home, args: string): Promise<Lab> {
  const started = startPortolan(home, `lab up -o json ${args}`);
  const line = await eventually(
    "the lab is ready",
    () => {
      if (!isAlive(started.pid)) return { failure: started.stderr() };
      return started.stdout().split("\n").at(-2);
    },
    60_000,
  );
  if (typeof line !== "string") throw new Error(`lab up ended: ${line.failure}`);
  // Its shape is what the tests rely on.
  const { kubeconfig } = JSON.parse(line) as { readonly kubeconfig: string };
  const tryExec = (place: string, ...command: readonly string[]): Promise<Output> =>
    runPortolan(home, ["lab", "exec", place, "--", ...command]);
  return {
    ...started,
    kubeconfig,
    tryExec,
    async exec(place, ...command) {
      const { code, stdout, stderr } = await tryExec(place, ...command);
      if (code === 0) return stdout;
      throw new Error(`${place}: ${command.join(" ")}: exit ${String(code)}: ${stderr}${stdout}`);
    },
    async kubectl(args, stdin) {
      const words = typeof args === "string" ? args.split(" ") : args;
      const { code, stdout, stderr } = await run(
        "kubectl",
        ["--kubeconfig", kubeconfig, ...words],
        {
          stdin,
          env: home.env,
        },
      );
      if (code === 0) return stdout;
      throw new Error(`kubectl ${words.join(" ")}: exit ${String(code)}: ${stderr}${stdout}`);
    },
  };
}

/**
 * A Pod on a node whose label `app` is its name before the first dash. It is ready when `port` takes connections.
 * @param spec what else its spec says.
 */
export function podOn(
  node: string,
  name: string,
  command: readonly string[],
  port: number,
  spec: object,
): object {
  const readinessProbe = { tcpSocket: { port }, periodSeconds: 1 };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name.split("-")[0] } },
    spec: { nodeName: node, containers: [{ name: "main", command, readinessProbe }], ...spec },
  };
}

/** Processes of labs that have this home, by what they were started with. */
export function labProcesses(home: Home): readonly number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter(isAlive)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${String(pid)}/environ`, "utf8").split("\0");
        return environment.includes(`HOME=${home.path}`);
      } catch {
        return false;
      }
    });
}

/** Links, addresses, routes and rules of this process's own network namespace. */
export function hostNetwork(): string {
  const show = (...args: readonly [string, ...string[]]): string =>
    execFileSync(args[0], args.slice(1), { encoding: "utf8" });
  return [
    show("ip", "-brief", "link"),
    show("ip", "-brief", "address"),
    show("ip", "route", "show", "table", "all"),
    show("nft", "list", "ruleset"),
  ].join("\n");
}
