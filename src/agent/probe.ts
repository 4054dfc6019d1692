import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { reasonOf } from "../async/sleep.ts";
import type { ContainerPort } from "../api/v1/container.ts";
import type { ExecAction, GRPCAction, HTTPGetAction, TCPSocketAction } from "../api/v1/probe.ts";
import { runCommand } from "./run-command.ts";
import type { Entry } from "./sandbox.ts";

/** How a probe or hook asks; exactly one field is set. */
export interface Handler {
  readonly exec?: ExecAction | undefined;
  readonly httpGet?: HTTPGetAction | undefined;
  readonly tcpSocket?: TCPSocketAction | undefined;
  readonly grpc?: GRPCAction | undefined;
  readonly sleep?: { readonly seconds: number } | undefined;
}

/** The container that is asked. */
export interface ProbeTarget {
  readonly podIp: string;
  readonly ports: readonly ContainerPort[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly enter: Entry;
}

export type ProbeOutcome =
  | { readonly kind: "success" }
  /** `message` is for people, as in the event "Readiness probe failed: ...". */
  | { readonly kind: "failure"; readonly message: string };

/**
 * Asks once. Whatever goes wrong, time running out included, is a failure of the probe; only the abort of
 * `signal` rejects, with its reason.
 */
export async function probeOnce(
  handler: Handler,
  target: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  try {
    const problem = await withDeadline(timeoutMs, signal, (deadline) =>
      problemOf(handler, target, deadline),
    );
    return problem === undefined ? { kind: "success" } : { kind: "failure", message: problem };
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (error instanceof DeadlineError)
      return { kind: "failure", message: `no answer within ${String(timeoutMs / 1000)} s` };
    // The asked program decides what errors there are: refused, reset, no HTTP, no such program.
    return { kind: "failure", message: error instanceof Error ? error.message : String(error) };
  }
}

async function problemOf(
  handler: Handler,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (handler.httpGet !== undefined) return httpProblem(handler.httpGet, target, signal);
  if (handler.tcpSocket !== undefined) return tcpProblem(handler.tcpSocket, target, signal);
  if (handler.grpc !== undefined) {
    const { port, service = "" } = handler.grpc;
    // HTTP/2 takes long to load, and few Pods need it.
    const { grpcHealthProblem } = await import("./probe-grpc.ts");
    return grpcHealthProblem({ address: target.podIp, port }, service, signal);
  }
  if (handler.exec !== undefined) return execProblem(handler.exec, target, signal);
  return "the probe names no way to ask";
}

/** A number, or the name of one of the container's ports. @throws Error when there is no such port. */
export function portOf(port: string | number, ports: readonly ContainerPort[]): number {
  const text = String(port);
  const number = /^\d+$/.test(text)
    ? Number(text)
    : ports.find(({ name }) => name === text)?.containerPort;
  if (number === undefined) throw new Error(`couldn't find port: ${JSON.stringify(port)}`);
  if (number < 1 || number > 65_535) throw new Error(`invalid port number: ${text}`);
  return number;
}

async function httpProblem(
  action: HTTPGetAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  const isTls = (action.scheme ?? "HTTP").toUpperCase() === "HTTPS";
  const host = action.host === undefined || action.host === "" ? target.podIp : action.host;
  const path = action.path ?? "/";
  const headers: Record<string, string> = { "user-agent": "kube-probe/portolan", accept: "*/*" };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const options = {
    host,
    port: portOf(action.port, target.ports),
    path: path.startsWith("/") ? path : `/${path}`,
    headers,
    // A connection of its own: the probe asks whether a client that comes now is served.
    agent: false as const,
    signal,
  };
  const status = await new Promise<number>((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      // Only the status counts; the body may be endless.
      response.destroy();
      resolve(response.statusCode ?? 0);
    };
    // As kubelet: a probe does not check certificates, for it connects to an address.
    const request = isTls
      ? requestHttps({ ...options, rejectUnauthorized: false }, onResponse)
      : requestHttp(options, onResponse);
    request.once("error", reject);
    request.end();
  });
  if (status >= 200 && status < 400) return undefined;
  return `HTTP probe failed with statuscode: ${String(status)}`;
}

function tcpProblem(
  action: TCPSocketAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  const host = action.host === undefined || action.host === "" ? target.podIp : action.host;
  const port = portOf(action.port, target.ports);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const abort = (): void => {
      socket.destroy(reasonOf(signal));
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", reject);
    socket.once("close", () => {
      signal.removeEventListener("abort", abort);
    });
  });
}

async function execProblem(
  action: ExecAction,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { exitCode, output } = await runCommand(action.command ?? [], target, signal);
  if (exitCode === 0) return undefined;
  const text = output.trim();
  return `command exited with code ${String(exitCode)}${text === "" ? "" : `: ${text}`}`;
}
