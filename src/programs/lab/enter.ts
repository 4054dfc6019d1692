import { access, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { podKind } from "../../api/v1/pod.kind.ts";
import { hasReason } from "../../api/machinery/status.ts";
import { createHttpTransport } from "../../client/http-transport.ts";
import { loadKubeconfig } from "../../client/kubeconfig.ts";
import { createClient } from "../../client/rest.ts";
import type { ApiClient } from "../../client/client.ts";
import { LabError } from "./state.ts";
import type { LabState } from "./state.ts";

/** A client of the lab's API as its administrator. */
export async function labClient(lab: LabState): Promise<ApiClient & Disposable> {
  const transport = createHttpTransport(await loadKubeconfig([lab.kubeconfig]));
  const client = createClient({ transport: transport.transport });
  return Object.assign(client, {
    [Symbol.dispose]: () => {
      transport[Symbol.dispose]();
    },
  });
}

/**
 * The words that run a command in one of a lab's places: `world`, `control`, `node-1`, `pod/NAME` or
 * `pod/NAMESPACE/NAME`.
 * @throws LabError when the lab has no such place.
 */
export async function enterLab(
  lab: LabState,
  place: string,
  workingDir: string,
): Promise<readonly string[]> {
  const inner = place.startsWith("pod/")
    ? await podHolder(lab, place.slice("pod/".length))
    : machineHolder(lab, place);
  const pid = await hostPid(lab, inner);
  const user = lab.hasUserNamespace ? ["--user", "--preserve-credentials"] : [];
  return [
    "nsenter",
    `--target=${String(pid)}`,
    ...user,
    "--net",
    "--uts",
    "--mount",
    "--pid",
    `--wdns=${(await isThere(pid, workingDir)) ? workingDir : "/"}`,
    "--",
  ];
}

/** A Pod may have something else mounted where the caller is. */
async function isThere(pid: number, path: string): Promise<boolean> {
  return access(`/proc/${String(pid)}/root${path}`).then(
    () => true,
    () => false,
  );
}

function machineHolder(lab: LabState, name: string): number {
  const pid = lab.holders[name];
  if (pid !== undefined) return pid;
  const places = [...Object.keys(lab.holders), "pod/NAME", "pod/NAMESPACE/NAME"];
  throw new LabError(`the lab has no ${JSON.stringify(name)}; it has ${places.join(", ")}`);
}

async function podHolder(lab: LabState, path: string): Promise<number> {
  const [first = "", second, ...more] = path.split("/");
  const ref = { namespace: second === undefined ? "default" : first, name: second ?? first };
  if (ref.namespace === "" || ref.name === "" || more.length > 0)
    throw new LabError(`pod/${path} is not pod/NAME or pod/NAMESPACE/NAME`);
  using client = await labClient(lab);
  const pod = await client.get(podKind, ref).catch((error: unknown) => {
    if (hasReason(error, "NotFound"))
      throw new LabError(`no Pod ${ref.name} in namespace ${ref.namespace}`);
    throw error;
  });
  const { nodeName = "" } = pod.spec;
  const sandbox = join(lab.dir, nodeName, "sandboxes", pod.metadata.uid ?? "");
  // Its first container's view, with its volumes; a container without any has the Pod's own.
  const container = join(sandbox, "containers", pod.spec.containers[0]?.name ?? "");
  const text = await readFile(join(container, "holder.json"), "utf8")
    .catch(() => readFile(join(sandbox, "holder.json"), "utf8"))
    .catch(() => {
      throw new LabError(`Pod ${ref.name} does not run (${pod.status?.phase ?? "Pending"})`);
    });
  // Written by the node agent, which types it.
  return (JSON.parse(text) as { readonly pid: number }).pid;
}

/** The id that a process of the lab's PID namespace has on the host. */
async function hostPid(lab: LabState, inner: number): Promise<number> {
  const space = await pidNamespace(lab);
  const numbers = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  for (const number of numbers) {
    if ((await innerPid(number)) !== inner) continue;
    if ((await linkOf(`/proc/${number}/ns/pid`)) === space) return Number(number);
  }
  throw new LabError(`the lab's process ${String(inner)} is gone; is the lab ending?`);
}

/** Of the child of the process that holds the namespaces, as that one itself is outside. */
async function pidNamespace({ unsharePid }: LabState): Promise<string | undefined> {
  return linkOf(`/proc/${String(unsharePid)}/ns/pid_for_children`);
}

async function linkOf(path: string): Promise<string | undefined> {
  // A process that has just ended, or is another user's.
  return readlink(path).catch(() => undefined);
}

async function innerPid(number: string): Promise<number | undefined> {
  const status = await readFile(`/proc/${number}/status`, "utf8").catch(() => "");
  const ids = /^NSpid:\t(.*)$/m.exec(status)?.[1]?.split("\t") ?? [];
  return ids.length > 1 ? Number(ids.at(-1)) : undefined;
}
