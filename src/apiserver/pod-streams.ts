import type { Pod } from "../api/v1/pod.ts";
import type { ResourceCall } from "./context.ts";
import { TAKEN } from "./exchange.ts";
import type { ApiResponse } from "./exchange.ts";
import { badRequest, internalError } from "./failures.ts";
import { agentFailure, agentUrl, chooseContainer } from "./logs.ts";
import { currentOf } from "./read-verbs.ts";
import { relayUpgrade } from "./upgrade-relay.ts";

/** What the agent's protocols need of the client's headers; nothing else goes to it. */
const RELAYED = [
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-protocol",
  "x-stream-protocol-version",
] as const;
/** The API's names of the streams, and the agent's. */
const STREAMS = { stdin: "input", stdout: "output", stderr: "error", tty: "tty" } as const;

/** GET and POST pods/NAME/exec: a command beside a container, on the agent of the Pod's node. */
export function execPod(call: ResourceCall): Promise<ApiResponse> {
  return relayToContainer(call, "exec", call.query.getAll("command"));
}

/** GET and POST pods/NAME/attach. */
export function attachPod(call: ResourceCall): Promise<ApiResponse> {
  return relayToContainer(call, "attach", []);
}

/** GET and POST pods/NAME/portforward. */
export function forwardPod(call: ResourceCall): Promise<ApiResponse> {
  const options = new URLSearchParams();
  for (const port of call.query.getAll("ports")) options.append("port", port);
  return relay(call, "portForward", [], options);
}

function relayToContainer(
  call: ResourceCall,
  action: string,
  command: readonly string[],
): Promise<ApiResponse> {
  const pod = podOf(call);
  const container = chooseContainer(pod, call.query.get("container") ?? "");
  const options = new URLSearchParams();
  for (const word of command) options.append("command", word);
  for (const [name, relayed] of Object.entries(STREAMS)) {
    // Upstream's reading of a boolean: there, and neither "0" nor "false".
    const value = call.query.get(name);
    if (value !== null && value !== "0" && value !== "false") options.set(relayed, "1");
  }
  return relay(call, action, [container], options);
}

async function relay(
  call: ResourceCall,
  action: string,
  more: readonly string[],
  options: URLSearchParams,
): Promise<ApiResponse> {
  const { context, request } = call;
  const { metadata, spec } = podOf(call);
  const nodeName = spec?.nodeName ?? "";
  if (nodeName === "") throw badRequest(`pod ${metadata.name} does not have a host assigned`);
  if (request.upgrade === undefined) throw badRequest("Upgrade request required");
  const { agentTls: tls, nodeKind, registry } = context;
  if (tls === undefined) throw internalError("this API server has no credentials for node agents");
  const base = agentUrl(nodeName, nodeKind && registry.get(nodeKind, { name: nodeName })?.object);
  const path = [action, metadata.namespace ?? "", metadata.name, ...more].map(encodeURIComponent);
  const url = new URL(`${base}/${path.join("/")}`);
  url.search = options.toString();
  const headers: Record<string, string> = {};
  for (const name of RELAYED) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  const target = {
    url,
    method: request.method,
    headers,
    tls: { ca: tls.ca, cert: tls.certificate, key: tls.key },
  };
  const refusal = await relayUpgrade(request.upgrade, target, request.signal).catch(
    (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw internalError(`error dialing backend: ${why}`);
    },
  );
  if (refusal !== undefined) throw await agentFailure(refusal);
  return TAKEN;
}

function podOf(call: ResourceCall): Pod {
  // The route says that it is a Pod.
  return currentOf(call).object as Pod;
}
