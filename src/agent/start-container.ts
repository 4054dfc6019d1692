import type { Container } from "../api/v1/container.ts";
import type { Service } from "../api/v1/service.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiClient } from "../client/client.ts";
import type { Logger } from "../telemetry/log.ts";
import { containerMounts } from "./container-mounts.ts";
import { ContainerInput } from "./container-input.ts";
import { ContainerLog } from "./container-log.ts";
import { ContainerRun } from "./container-run.ts";
import type { RunListener } from "./container-run.ts";
import type { PodPlace } from "./downward.ts";
import type { ExitedRun } from "./facts.ts";
import { prepareLaunch } from "./launch.ts";
import type { Images } from "./launch.ts";
import { markerEnvironment } from "./markers.ts";
import type { PodFiles } from "./pod-files.ts";
import { VolumeError } from "./pod-volumes.ts";
import type { PodVolumes } from "./pod-volumes.ts";
import { readEnvironment } from "./proc.ts";
import type { ProcessId } from "./proc.ts";
import { adoptProcess, startProcess } from "./process.ts";
import type { ContainerProcess } from "./process.ts";
import type { RestartBackoff } from "./restart.ts";
import { MountError } from "./sandbox.ts";
import type { ContainerPlace, Sandbox, Sandboxes } from "./sandbox.ts";
import { prepareMessage } from "./termination-message.ts";

export interface StarterDeps {
  readonly client: ApiClient;
  readonly services: () => readonly Service[];
  readonly files: PodFiles;
  readonly volumes: PodVolumes;
  readonly log: Logger;
  readonly now: () => number;
  readonly bootId: string;
  /** As in {@link markerEnvironment}. */
  readonly dataDir: string;
  readonly images: Images;
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly workingDir: string;
  /** The node's addresses, the primary one first. */
  readonly hostIps: readonly string[];
  readonly sandboxes: Sandboxes;
  /** All addresses of a Pod by its primary one, which comes first. */
  readonly podIpsOf: (podIp: string) => readonly string[];
  readonly allocatable: PodPlace["allocatable"];
}

type StartOutcome =
  | { readonly kind: "started"; readonly run: ContainerRun; readonly startedAtMs: number }
  /** `reason` as in a container's waiting state. */
  | { readonly kind: "failed"; readonly reason: string; readonly message: string };

interface StartContext {
  readonly podIp: string | undefined;
  readonly previous: ExitedRun | undefined;
  readonly backoff: RestartBackoff | undefined;
}

/** Starts a container's next attempt. Never rejects: what goes wrong is an outcome, to be tried again. */
export type StartContainer = (
  pod: Pod,
  container: Container,
  context: StartContext,
  listener: RunListener,
  signal: AbortSignal,
) => Promise<StartOutcome>;

/** A container whose volumes are not ready waits as one that was never started, as with kubelet. */
const WAITING = "ContainerCreating";

/** The Event that tells of a start that failed: of the container, or of the Pod when a volume is missing. */
export function startFailure(
  container: string,
  { reason, message }: Extract<StartOutcome, { kind: "failed" }>,
): readonly [about: string | undefined, type: "Warning", reason: string, message: string] {
  return reason === WAITING
    ? [undefined, "Warning", "FailedMount", message]
    : [container, "Warning", "Failed", `Error: ${message}`];
}

export function containerStarter(deps: StarterDeps): StartContainer {
  return async (pod, container, context, listener, signal) => {
    try {
      return await start(deps, pod, container, context, listener, signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof VolumeError) return { kind: "failed", reason: WAITING, message };
      return { kind: "failed", reason: "CreateContainerError", message };
    }
  };
}

async function start(
  deps: StarterDeps,
  pod: Pod,
  container: Container,
  context: StartContext,
  listener: RunListener,
  signal: AbortSignal,
): Promise<StartOutcome> {
  const { podIp, previous, backoff } = context;
  if (podIp === undefined)
    return {
      kind: "failed",
      reason: "CreatePodSandboxError",
      message: "no address left in the node's pod range: delete Pods, or give a larger range",
    };
  const podIps = deps.podIpsOf(podIp);
  deps.sandboxes.prepare(pod, podIps);
  const opened = await deps.volumes.open(pod, container, podIps, signal);
  const launch = await prepareLaunch(
    pod,
    container,
    {
      client: deps.client,
      services: deps.services(),
      place: { podIps, hostIps: deps.hostIps, allocatable: deps.allocatable },
      baseEnv: {
        ...deps.baseEnv,
        ...deps.volumes.environment(pod, container),
      },
      workingDir: workingDirOf(deps, container),
      images: deps.images,
    },
    signal,
  );
  if (launch.kind === "refused") return { ...launch, kind: "failed" };
  const mounts = deps.sandboxes.canMount
    ? await containerMounts(container, opened, launch.env)
    : [];
  const podUid = pod.metadata.uid ?? "";
  const attempt = previous === undefined ? 0 : previous.attempt + 1;
  const startedAtMs = deps.now();
  const record = {
    podUid,
    container: container.name,
    bootId: deps.bootId,
    attempt,
    startedAtMs,
    podIp,
    backoff,
    previous,
  };
  await deps.files.removeLogsBefore(podUid, container.name, attempt - 1);
  await deps.files.write({ ...record, run: { kind: "starting" } });
  const marker = { podUid, container: container.name, attempt };
  const logFile = deps.files.logFile(podUid, container.name, attempt);
  const messageFile = deps.files.messageFile(podUid, container.name, attempt);
  const sandbox = await openSandbox(deps.sandboxes, pod, podIps, { name: container.name, mounts });
  const spec = {
    command: launch.command,
    enter: sandbox.enter(launch.workingDir),
    env: {
      ...launch.env,
      ...(await prepareMessage(messageFile)),
      ...markerEnvironment(deps.dataDir, marker),
    },
    workingDir: launch.workingDir,
    logFile,
  };
  const { input, started } =
    container.stdin === true
      ? await ContainerInput.create(
          deps.files.inputFile(podUid, container.name, attempt),
          container.stdinOnce === true,
          (stdin) => startProcess({ ...spec, stdin }),
        )
      : { input: undefined, started: await startProcess(spec) };
  if (started.kind === "failed") {
    await input?.[Symbol.asyncDispose]();
    return { kind: "failed", reason: started.reason, message: started.message };
  }
  try {
    await deps.files.write({ ...record, run: { kind: "running", ...started.process.id } });
  } catch (error) {
    // It runs, so it must not count as failed; after a crash its environment tells whose it is.
    deps.log.error("container record not written", { container: container.name, error });
  }
  const run = makeRun(deps, {
    pod,
    container,
    podIp,
    attempt,
    startedAtMs,
    process: started.process,
    input,
    env: launch.env,
    sandbox,
    listener,
    found: { isStarted: false, isReady: false },
  });
  return { kind: "started", run, startedAtMs };
}

/** The agent's own, unless the container says another or has mounted something over it. */
function workingDirOf(
  { workingDir, sandboxes }: Pick<StarterDeps, "workingDir" | "sandboxes">,
  container: Container,
): string {
  const isHidden = container.volumeMounts?.some(({ mountPath }) =>
    `${workingDir}/`.startsWith(`${mountPath.replace(/\/+$/, "")}/`),
  );
  return container.workingDir ?? (sandboxes.canMount && isHidden === true ? "/" : workingDir);
}

/** @throws VolumeError for what cannot be mounted. */
async function openSandbox(
  sandboxes: Sandboxes,
  pod: Pod,
  podIps: readonly string[],
  place: ContainerPlace,
): Promise<Sandbox> {
  try {
    return await sandboxes.open(pod, podIps, place);
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    const volumes = place.mounts.map(({ target }) => target).join(", ");
    throw new VolumeError(volumes, error.message, { cause: error });
  }
}

export interface AdoptedContainer {
  readonly pod: Pod;
  readonly container: Container;
  readonly podIp: string;
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly id: ProcessId;
  readonly listener: RunListener;
  readonly sandbox: Sandbox;
  /** What the earlier agent's probes had found. */
  readonly found: { readonly isStarted: boolean; readonly isReady: boolean };
}

/** Goes on with a container whose process an earlier agent started. */
export function adoptContainer(deps: StarterDeps, adopted: AdoptedContainer): ContainerRun {
  const env = Object.fromEntries(readEnvironment(adopted.id.pid) ?? []);
  const { pod, container, attempt } = adopted;
  const file = deps.files.inputFile(pod.metadata.uid ?? "", container.name, attempt);
  const input =
    container.stdin === true ? ContainerInput.adopt(file, container.stdinOnce === true) : undefined;
  return makeRun(deps, { ...adopted, process: adoptProcess(adopted.id), env, input });
}

function makeRun(
  deps: StarterDeps,
  args: Omit<AdoptedContainer, "id"> & {
    readonly process: ContainerProcess;
    readonly env: Readonly<Record<string, string>>;
    readonly input: ContainerInput | undefined;
  },
): ContainerRun {
  const { pod, container, attempt } = args;
  const workingDir = workingDirOf(deps, container);
  const podUid = pod.metadata.uid ?? "";
  // Commands of probes and hooks are marked as the Pod's, but not as the container itself.
  const marker = { podUid, container: container.name, attempt: Number.NaN };
  return new ContainerRun({
    container,
    attempt,
    process: args.process,
    input: args.input,
    log: new ContainerLog(deps.files.logFile(podUid, container.name, attempt)),
    target: {
      podIp: args.podIp,
      ports: container.ports ?? [],
      env: { ...args.env, ...markerEnvironment(deps.dataDir, marker) },
      workingDir,
      enter: args.sandbox.enter(workingDir),
    },
    probeStart: { startedAtMs: args.startedAtMs, ...args.found, now: deps.now },
    listener: args.listener,
    logger: deps.log.with({ pod: pod.metadata.name, container: container.name }),
    now: deps.now,
  });
}
