import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Logger } from "../../telemetry/log.ts";
import { formatHostPort } from "../../net/host-port.ts";
import type { ListenAddress } from "../config.ts";
import { Disposables } from "../../async/disposables.ts";
import { dialTo, startForwarder } from "./forwarder.ts";
import type { SupervisorConfig, SupervisorLine } from "./supervisor.ts";
import { planLab } from "./plan.ts";
import { LAB_PREFIX, removeDeadLabs, showAlive } from "./remains.ts";
import {
  checkLabName,
  LabError,
  labStateFile,
  removeLabState,
  runningLab,
  thisProcess,
  writeLabState,
} from "./state.ts";

export interface LabConfig {
  readonly name: string;
  /** Folder of the states of this user's labs. */
  readonly statesDir: string;
  readonly nodes: number;
  readonly zones: number;
  readonly clusterDomain: string;
  /** Where the host's clients find the API; port 0 takes a free one. */
  readonly apiListen: ListenAddress;
  /** Undefined: `kubeconfig` in the lab's folder. */
  readonly kubeconfig: string | undefined;
  readonly manifests: readonly string[];
  /** How this program is started: `node`, its arguments and the script. */
  readonly program: readonly string[];
}

export interface Lab extends AsyncDisposable {
  readonly api: string;
  readonly kubeconfig: string;
  readonly applied: readonly string[];
  readonly problems: readonly string[];
  /** Resolves when the lab has ended, by disposal or by itself. */
  readonly ended: Promise<void>;
}

const STOP_MS = 30_000;

/**
 * Builds a lab in namespaces of its own and resolves when it serves. Nothing of the host's network changes; with
 * the process that holds the namespaces all that is in them ends, also when this process is killed.
 * @throws LabError when there is one of that name or the kernel lets nobody make namespaces.
 */
export async function startLab(
  config: LabConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<Lab> {
  const name = checkLabName(config.name);
  const running = await runningLab(config.statesDir, name);
  if (running !== undefined)
    throw new LabError(
      `lab ${name} runs already (pid ${String(running.up.pid)}); ` +
        "end it with portolan lab down, or give this one another --name",
    );
  const opened = new Disposables();
  try {
    return await start({ ...config, name }, deps, opened);
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(
  config: LabConfig,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
  opened: Disposables,
): Promise<Lab> {
  const plan = planLab(config.nodes, config.zones, config.clusterDomain);
  // Asked while the rest is prepared; waited for below.
  const asked = canMakeUserNamespaces();
  asked.catch(() => undefined);
  // Short: the path of a Unix socket has at most 107 characters.
  const dir = await mkdtemp(join(tmpdir(), LAB_PREFIX));
  opened.add(asDisposable(() => rm(dir, { recursive: true, force: true })));
  opened.add(await showAlive(dir));
  const socket = join(dir, "api.sock");
  const forwarder = opened.add(
    await startForwarder({ host: config.apiListen.address, port: config.apiListen.port }, () =>
      dialTo({ path: socket }),
    ),
  );
  const api = `https://${formatHostPort(config.apiListen.address, forwarder.port)}`;
  const kubeconfig = config.kubeconfig ?? join(dir, "kubeconfig");
  const supervisor: SupervisorConfig = {
    plan,
    dir,
    socket,
    adminKubeconfig: kubeconfig,
    adminServer: api,
    manifests: config.manifests,
    program: config.program,
    stateFile: labStateFile(config.statesDir, config.name),
  };
  const file = join(dir, "supervisor.json");
  await writeFile(file, JSON.stringify(supervisor), { mode: 0o600 });

  const hasUserNamespace = await asked;
  const child = spawnSupervisor(
    [...config.program, "lab-supervisor", "--config", file],
    hasUserNamespace,
  );
  opened.add(asDisposable(() => stopSupervisor(child, log)));
  const ended = once(child, "exit").then(() => undefined);
  // The host's end of the pipe is what the lab lives by.
  child.stdin?.on("error", () => undefined);
  const onAbort = (): void => {
    child.stdin?.end();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  await removeDeadLabs(tmpdir(), Date.now()).catch((error: unknown) => {
    log.warn("the folder of a lab that was killed is not removed", { error });
  });
  let ready: Extract<SupervisorLine, { kind: "ready" }> | undefined;
  for await (const line of linesOf(child)) {
    // Printed by our own program, which types it.
    const said = JSON.parse(line) as SupervisorLine;
    if (said.kind === "ready") {
      ready = said;
      break;
    }
    const { statesDir, name } = config;
    const { holders } = said;
    const unsharePid = child.pid ?? 0;
    const up = thisProcess();
    const state = { name, up, unsharePid, hasUserNamespace, dir, kubeconfig, holders };
    await writeLabState(statesDir, state);
    opened.add(asDisposable(() => removeLabState(statesDir, name)));
  }
  if (ready === undefined) {
    signal.throwIfAborted();
    throw new LabError("the lab ended before it was ready; see its messages");
  }
  const { applied, problems } = ready;
  return {
    api,
    kubeconfig,
    applied,
    problems,
    ended,
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      await opened[Symbol.asyncDispose]();
    },
  };
}

/** Process 1 of the lab: collects orphans, and with its end ends everything. Its stdin is the supervisor's. */
const PROCESS_1 = 'exec 3<&0; "$@" <&3 3<&- & wait $!';

function spawnSupervisor(program: readonly string[], hasUserNamespace: boolean): ChildProcess {
  const namespaces = [
    "--net",
    "--mount",
    "--pid",
    "--uts",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];
  const user = hasUserNamespace ? ["--user", "--map-root-user"] : [];
  const args = [...user, ...namespaces, "sh", "-c", PROCESS_1, "sh", ...program];
  // A group of its own: Ctrl-C is for this process, which ends the lab in order.
  return spawn("unshare", args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
}

/** @throws LabError that says what would let it. */
async function canMakeUserNamespaces(): Promise<boolean> {
  const tried = spawn("unshare", ["--user", "--map-root-user", "--net", "--mount", "true"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  tried.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await once(tried, "close").then(
    ([exit]: unknown[]) => exit,
    (cause: unknown) => {
      throw new LabError("the program unshare cannot be run; it is in the package util-linux", {
        cause,
      });
    },
  );
  if (code === 0) return true;
  // Root needs no user namespace to make the others.
  if (process.getuid?.() === 0) return false;
  throw new LabError(
    `this kernel lets users make no namespaces (${said.trim()}): run as root, or allow it with ` +
      "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 " +
      "kernel.apparmor_restrict_unprivileged_userns=0 (those that exist)",
  );
}

async function stopSupervisor(child: ChildProcess, log: Logger): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => {
    log.error("the lab does not end and is killed");
    child.kill("SIGKILL");
  }, STOP_MS);
  await exited;
  clearTimeout(timer);
}

function linesOf(child: ChildProcess): AsyncIterable<string> {
  if (child.stdout === null) throw new Error("the lab's stdout is not piped");
  return createInterface({ input: child.stdout });
}

function asDisposable(dispose: () => Promise<void>): AsyncDisposable {
  return { [Symbol.asyncDispose]: dispose };
}
