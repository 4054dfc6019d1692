import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { eventually, gather, isAlive, pidsWith, run } from "./tools.ts";
import type { Output, RunOptions } from "./tools.ts";

/** What a user starts. */
export const PROGRAM = resolve(import.meta.dirname, "../../dist/portolan.js");
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;

/** Words split at spaces, or given one by one. */
export type Args = string | readonly string[];

/** A folder for one user: home, caches, temporary files and data dirs are all below it. */
export interface Home extends AsyncDisposable {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Ends what still carries the mark of a data dir below it (as after a kill -9), then removes it. */
export async function makeHome(): Promise<Home> {
  const path = await mkdtemp(join(tmpdir(), "portolan-e2e-"));
  const temporary = join(path, "tmp");
  await mkdir(temporary);
  return {
    path,
    env: {
      HOME: path,
      XDG_STATE_HOME: join(path, "state"),
      TMPDIR: temporary,
      KUBECACHEDIR: join(path, "kube-cache"),
    },
    async [Symbol.asyncDispose]() {
      for (const pid of podProcesses(path)) kill(pid, "SIGKILL");
      await eventually("Pods are gone", () => podProcesses(path).length === 0);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Pids of the Pods' processes of every instance whose data dir is below this folder. */
export function podProcesses(folder: string): readonly number[] {
  return pidsWith("PORTOLAN_AGENT", (dataDir) => dataDir.startsWith(folder));
}

/** A started program of Portolan. */
export interface Started extends AsyncDisposable {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Sends a signal, and gives how it ended. @throws when it does not end in time. */
  end(signal: NodeJS.Signals): Promise<Output>;
  /** How it ended by itself. @throws when it does not end in time. */
  exited(timeoutMs?: number): Promise<Output>;
}

/** Starts `portolan ARGS` as a user would; disposal ends it. */
export function startPortolan(home: Home, args: Args, env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [PROGRAM, ...words(args)], {
    cwd: home.path,
    env: { ...process.env, ...home.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return startedOf(child, `portolan ${words(args).join(" ")}`);
}

/** Runs `portolan ARGS` to its end. */
export async function runPortolan(home: Home, args: Args): Promise<Output> {
  await using started = startPortolan(home, args);
  return await started.exited();
}

export function startedOf(child: ChildProcess, what: string): Started {
  const { pid = 0 } = child;
  const text = gather(child);
  const closed = new Promise<Output>((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => {
      done({ code, stdout: text.stdout(), stderr: text.stderr() });
    });
  });
  const exited = (timeoutMs = STOP_TIMEOUT_MS): Promise<Output> =>
    new Promise((done, fail) => {
      const timer = setTimeout(() => {
        fail(new Error(`${what}: still runs after ${String(timeoutMs)} ms: ${text.all()}`));
      }, timeoutMs);
      closed.finally(() => clearTimeout(timer)).then(done, fail);
    });
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    stdout: text.stdout,
    stderr: text.stderr,
    exited,
    async end(signal) {
      child.kill(signal);
      return await exited();
    },
    async [Symbol.asyncDispose]() {
      if (isRunning()) child.kill("SIGTERM");
      try {
        await exited();
      } finally {
        if (isRunning()) child.kill("SIGKILL");
      }
    },
  };
}

/** A running `portolan up`, and the tools that know it. */
export interface Up extends Started {
  readonly home: Home;
  /** URL of the API. */
  readonly api: string;
  /** `IP:PORT` of DNS. */
  readonly dns: string;
  /** The same of DNS over TLS, when it is served. */
  readonly dnsTls?: string;
  readonly kubeconfig: string;
  /** Runs kubectl to its end, whatever its exit code. */
  tryKubectl(args: Args, options?: RunOptions): Promise<Output>;
  /** Runs kubectl and gives stdout. @throws with what it said unless it exits with 0. */
  kubectl(args: Args, options?: RunOptions | string): Promise<string>;
  /** Runs kubectl, which must fail, and gives stderr. */
  kubectlFails(args: Args, options?: RunOptions | string): Promise<string>;
  /** Asks the cluster's DNS and gives dig's stdout. */
  dig(args: Args): Promise<string>;
  /** Ends it as Ctrl-C does, and checks that it ended well. */
  stop(): Promise<void>;
  /** Ends it without warning; its Pods' processes stay. */
  kill9(): Promise<void>;
}

export interface UpOptions {
  /** More arguments of `up`. */
  readonly args?: Args;
  /** Where the state is kept; default `--ephemeral`. */
  readonly dataDir?: string;
  readonly env?: Record<string, string>;
}

/** Starts `portolan up` on free ports and resolves when it says that it is ready. */
export async function startUp(home: Home, options: UpOptions = {}): Promise<Up> {
  const { args = [], dataDir, env } = options;
  const place = dataDir === undefined ? ["--ephemeral"] : ["--data-dir", dataDir];
  const listen = ["--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0", "-o", "json"];
  const started = startPortolan(home, ["up", ...place, ...listen, ...words(args)], env);
  try {
    const ready = await readyLine(started);
    return { ...started, ...ready, home, ...toolsOf(home, ready), ...endsOf(started) };
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw error;
  }
}

interface Ready {
  readonly api: string;
  readonly dns: string;
  readonly dnsTls?: string;
  readonly kubeconfig: string;
}

async function readyLine(started: Started): Promise<Ready> {
  const line = await eventually(
    "portolan up is ready",
    () => {
      if (isAlive(started.pid)) return started.stdout().split("\n").at(-2);
      return { failure: started.stderr() };
    },
    START_TIMEOUT_MS,
  ).catch((error: unknown) => {
    throw new Error(`portolan up said ${started.stderr()}`, { cause: error });
  });
  if (typeof line !== "string") throw new Error(`portolan up ended: ${line.failure}`);
  // Its shape is what the test of the ready line checks.
  return JSON.parse(line) as Ready;
}

type Tools = Pick<Up, "tryKubectl" | "kubectl" | "kubectlFails" | "dig">;

function toolsOf(home: Home, ready: Ready): Tools {
  const tryKubectl: Tools["tryKubectl"] = (args, options = {}) =>
    run("kubectl", words(args), {
      ...options,
      env: { ...home.env, KUBECONFIG: ready.kubeconfig, ...options.env },
    });
  const optionsOf = (options: RunOptions | string): RunOptions =>
    typeof options === "string" ? { stdin: options } : options;
  const [address = "", port = ""] = ready.dns.split(":");
  return {
    tryKubectl,
    async kubectl(args, options = {}) {
      const { code, stdout, stderr } = await tryKubectl(args, optionsOf(options));
      if (code === 0) return stdout;
      throw new Error(`kubectl ${words(args).join(" ")}: exit ${String(code)}: ${stderr}${stdout}`);
    },
    async kubectlFails(args, options = {}) {
      const { code, stdout, stderr } = await tryKubectl(args, optionsOf(options));
      if (code !== 0) return stderr;
      throw new Error(`kubectl ${words(args).join(" ")} did not fail, and said ${stdout}`);
    },
    async dig(args) {
      const question = ["+timeout=2", "+tries=2", `@${address}`, "-p", port, ...words(args)];
      const { code, stdout, stderr } = await run("dig", question);
      if (code === 0) return stdout;
      throw new Error(`dig ${question.join(" ")}: exit ${String(code)}: ${stderr}${stdout}`);
    },
  };
}

function endsOf(started: Started): Pick<Up, "stop" | "kill9"> {
  return {
    async stop() {
      const { code, stderr } = await started.end("SIGINT");
      if (code !== 0) throw new Error(`portolan up ended with ${String(code)}: ${stderr}`);
    },
    async kill9() {
      await started.end("SIGKILL");
    },
  };
}

function words(args: Args): readonly string[] {
  return typeof args === "string" ? args.split(" ").filter((word) => word !== "") : args;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended by itself just now.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
