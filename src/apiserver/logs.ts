import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { failure } from "../api/machinery/status.ts";
import type { StatusError } from "../api/machinery/status.ts";
import type { Node } from "../api/v1/node.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { ApiResponse } from "./exchange.ts";
import { readAll, textResponse } from "./exchange.ts";
import { badRequest, internalError } from "./failures.ts";

/** What the API server shows a node agent, and by what it knows one. PEM. */
export interface AgentTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Options that the agent's own endpoint has; all others are the API server's business. */
const RELAYED = [
  "follow",
  "tailLines",
  "previous",
  "timestamps",
  "sinceSeconds",
  "sinceTime",
  "limitBytes",
] as const;
const COUNTS = ["tailLines", "sinceSeconds", "limitBytes"] as const;
/** An agent that does not begin to answer within so long is as good as down. */
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_ERROR_TEXT = 4096;

/**
 * GET pods/NAME/log: finds the container and relays its log from the agent of the Pod's node.
 * @throws StatusError 400 for a container that cannot be chosen, 500 when the agent cannot be reached, and
 * what the agent answers.
 */
export async function relayLog(
  pod: KubernetesObject,
  node: (name: string) => KubernetesObject | undefined,
  query: URLSearchParams,
  tls: AgentTls | undefined,
  signal: AbortSignal,
): Promise<ApiResponse> {
  // The route says that it is a Pod.
  const { metadata, spec } = pod as Pod;
  const container = chooseContainer(pod as Pod, query.get("container") ?? "");
  for (const name of COUNTS) checkCount(name, query.get(name));
  const nodeName = spec?.nodeName ?? "";
  // As upstream: a Pod that no node has yet has an empty log.
  if (nodeName === "") return textResponse(200, "");
  const relayed = new URLSearchParams();
  for (const name of RELAYED) {
    const value = query.get(name);
    if (value !== null) relayed.set(name, value);
  }
  const base = agentUrl(nodeName, node(nodeName));
  const path = [metadata.namespace ?? "", metadata.name, container]
    .map(encodeURIComponent)
    .join("/");
  const url = `${base}/containerLogs/${path}?${relayed.toString()}`;
  if (tls === undefined) throw internalError("this API server has no credentials for node agents");
  const answer = await get(url, tls, signal);
  if (answer.statusCode !== 200) throw await agentFailure(answer);
  return {
    status: 200,
    headers: { "content-type": "text/plain" },
    // Nothing sets an encoding: chunks are bytes.
    body: answer as AsyncIterable<Uint8Array>,
  };
}

/** The container that is meant; texts as upstream's LogLocation. */
export function chooseContainer({ metadata, spec }: Pod, wanted: string): string {
  const names = (spec?.containers ?? []).map(({ name }) => name);
  const initNames = (spec?.initContainers ?? []).map(({ name }) => name);
  if (wanted !== "") {
    if (names.includes(wanted) || initNames.includes(wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${metadata.name}`);
  }
  const [only] = names;
  if (names.length === 1 && only !== undefined) return only;
  const choice = `a container name must be specified for pod ${metadata.name}, choose one of: [${names.join(" ")}]`;
  throw badRequest(
    initNames.length === 0
      ? choice
      : `${choice} or one of the init containers: [${initNames.join(" ")}]`,
  );
}

function checkCount(name: string, value: string | null): void {
  if (value === null || /^\d{1,15}$/.test(value)) return;
  throw badRequest(
    `${name}: Invalid value: ${JSON.stringify(value)}: must be a whole number, 0 or more`,
  );
}

/** Base URL of a node's agent. @throws StatusError 500 when the Node does not tell it. */
export function agentUrl(name: string, object: KubernetesObject | undefined): string {
  if (object === undefined) throw internalError(`nodes "${name}" not found`);
  // The caller looks up Nodes.
  const { status } = object as Node;
  const address = status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (address === undefined || port === undefined || port === 0) {
    throw internalError(
      `node ${name} tells no address and port of its agent (InternalIP and kubeletEndpoint in its status)`,
    );
  }
  return `https://${address.includes(":") ? `[${address}]` : address}:${String(port)}`;
}

/** Resolves with the head of the answer; its body follows as it comes and ends with `signal`. */
function get(url: string, tls: AgentTls, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { ca: tls.ca, cert: tls.certificate, key: tls.key, signal, agent: false },
      (incoming) => {
        clearTimeout(timer);
        resolve(incoming);
      },
    );
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no answer within ${String(ANSWER_TIMEOUT_MS / 1000)} seconds`));
    }, ANSWER_TIMEOUT_MS);
    outgoing.on("error", (error) => {
      clearTimeout(timer);
      reject(signal.aborted ? error : internalError(`Get "${url}": ${error.message}`));
    });
    outgoing.end();
  });
}

/** The agent's own words, with its code. */
export async function agentFailure(answer: IncomingMessage): Promise<StatusError> {
  const text = (await readAll(answer)).toString("utf8", 0, MAX_ERROR_TEXT).trim();
  if (answer.statusCode === 400) return badRequest(text);
  if (answer.statusCode === 404) return failure(404, "NotFound", text);
  return internalError(text === "" ? `the agent answered ${String(answer.statusCode)}` : text);
}
