import type { Socket } from "node:net";
import { join } from "node:path";
import { podKind } from "../../api/v1/pod.kind.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { serviceKind } from "../../api/v1/service.kind.ts";
import type { Service } from "../../api/v1/service.ts";
import { hasReason } from "../../api/machinery/status.ts";
import { Disposables } from "../../async/disposables.ts";
import { parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import { formatHostPort, parsePort } from "../../net/host-port.ts";
import type { Port } from "../../net/host-port.ts";
import { dialBy } from "./dialer.ts";
import { labClient } from "./enter.ts";
import { startForwarder } from "./forwarder.ts";
import { DIALER_SOCKET } from "./parts.ts";
import { LabError } from "./state.ts";
import type { LabState } from "./state.ts";
import { noWay, startUdpForwarder } from "./udp-forwarder.ts";

const LOOPBACK = "127.0.0.1";

/** A Service or a Pod of a lab. */
export interface ForwardTarget {
  readonly kind: "service" | "pod";
  readonly namespace: string;
  readonly name: string;
}

export interface PortForward {
  /** On the host; undefined: that of the target. 0 takes a free one. */
  readonly local: Port | undefined;
  /** A number, or a Service's name for it. */
  readonly remote: string;
  readonly protocol: "TCP" | "UDP";
}

/** A port that is carried on. */
export interface StartedForward {
  /** On the host. */
  readonly port: number;
  /** The target's. */
  readonly remote: Port;
  readonly protocol: PortForward["protocol"];
}

/**
 * Carries what comes to loopback ports of the host to ports of a Service or a Pod, as a client on the lab's first node
 * reaches it, until it is disposed.
 * @param tell takes what goes wrong later, to be told to the user.
 * @throws LabError when there is no such target or port, or a local port cannot be had.
 */
export async function startForwards(
  lab: LabState,
  target: ForwardTarget,
  asked: readonly PortForward[],
  tell: (trouble: string) => void,
): Promise<AsyncDisposable & { readonly started: readonly StartedForward[] }> {
  const node = Object.keys(lab.holders).find((holder) => holder.startsWith("node-"));
  if (node === undefined) throw new LabError(`lab ${lab.name} has no node`);
  const dialer = join(lab.dir, node, DIALER_SOCKET);
  const places = await placesOf(lab, target, asked);
  const opened = new Disposables();
  try {
    const started: StartedForward[] = [];
    for (const { local, remote, protocol, address } of places) {
      const dial = (): Socket => dialBy(dialer, protocol, formatHostPort(address, remote));
      const dialAndTell = (): Socket => dial().on("error", tellOfNoWay(tell));
      const at = { host: LOOPBACK, port: local ?? remote };
      const starting =
        protocol === "UDP"
          ? startUdpForwarder({ dial, tell }, at)
          : startForwarder(at, dialAndTell);
      const { port } = opened.add(await starting.catch((error: unknown) => refuse(at.port, error)));
      started.push({ port, remote, protocol });
    }
    return { started, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

/** Not of a connection that was there and broke: its two ends see that themselves. */
function tellOfNoWay(tell: (trouble: string) => void): (error: Error) => void {
  return (error) => {
    if ("syscall" in error && error.syscall === "connect") tell(noWay(error));
  };
}

function refuse(port: number, cause: unknown): never {
  throw new LabError(`${LOOPBACK}:${String(port)} cannot be had: ${whyNot(cause)}`, { cause });
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return "somebody listens there; give another as LOCAL:REMOTE";
  if (code === "EACCES") return "this user may not listen there; give another as LOCAL:REMOTE";
  return error instanceof Error ? error.message : String(error);
}

interface Place extends Omit<StartedForward, "port"> {
  readonly local: Port | undefined;
  readonly address: IpAddress;
}

async function placesOf(
  lab: LabState,
  target: ForwardTarget,
  asked: readonly PortForward[],
): Promise<readonly Place[]> {
  using client = await labClient(lab);
  if (target.kind === "pod") {
    const pod = await found(client.get(podKind, target), target);
    return asked.map((ports) => podPlace(pod, ports));
  }
  const service = await found(client.get(serviceKind, target), target);
  return asked.map((ports) => servicePlace(service, ports));
}

function podPlace({ metadata, status }: Pod, { local, remote, protocol }: PortForward): Place {
  const address = parseIpAddress(status?.podIP ?? "");
  if (address === undefined)
    throw new LabError(`Pod ${metadata.name} has no address yet (${status?.phase ?? "Pending"})`);
  const port = parsePort(remote);
  if (port !== undefined) return { address, local, protocol, remote: port };
  throw new LabError(`a Pod's port is a number, not ${JSON.stringify(remote)}`);
}

function servicePlace(
  { metadata, spec }: Service,
  { local, remote, protocol }: PortForward,
): Place {
  const { name } = metadata;
  const address = parseIpAddress(spec.clusterIP ?? "");
  if (address === undefined)
    throw new LabError(
      `Service ${name} has no cluster IP to forward to; pod/NAME forwards to one of its Pods`,
    );
  const all = spec.ports ?? [];
  const has = all.find(
    (one) =>
      (one.protocol ?? "TCP") === protocol && (String(one.port) === remote || one.name === remote),
  );
  const port = parsePort(has?.port ?? -1);
  if (port !== undefined) return { address, local, protocol, remote: port };
  const ports = all.map((one) => `${String(one.port)}/${(one.protocol ?? "TCP").toLowerCase()}`);
  throw new LabError(
    `Service ${name} has no port ${remote}/${protocol.toLowerCase()}; it has ${ports.join(", ")}`,
  );
}

/** @throws LabError when there is none. */
async function found<T>(getting: Promise<T>, { kind, namespace, name }: ForwardTarget): Promise<T> {
  try {
    return await getting;
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
    throw new LabError(`there is no ${kind} ${name} in namespace ${namespace}`);
  }
}
