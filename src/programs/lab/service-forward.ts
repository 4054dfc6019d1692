import { join } from "node:path";
import { serviceKind } from "../../api/v1/service.kind.ts";
import type { Port } from "../../net/host-port.ts";
import { dialLine } from "./dialer.ts";
import { labClient } from "./enter.ts";
import { dialTo, startForwarder } from "./forwarder.ts";
import type { Forwarder } from "./forwarder.ts";
import { DIALER_SOCKET } from "./parts.ts";
import { LabError } from "./state.ts";
import type { LabState } from "./state.ts";

/**
 * Carries connections from a loopback port of the host to a Service's port, as a client on the lab's first node.
 * @param local 0 takes a free one.
 * @throws LabError when the Service has no cluster IP.
 */
export async function startServiceForward(
  lab: LabState,
  ref: { readonly namespace: string; readonly name: string },
  remote: Port,
  local: Port,
): Promise<Forwarder> {
  using client = await labClient(lab);
  const { spec } = await client.get(serviceKind, ref);
  const clusterIp = spec.clusterIP ?? "";
  if (clusterIp === "" || clusterIp === "None")
    throw new LabError(`Service ${ref.name} has no cluster IP to forward to`);
  const node = Object.keys(lab.holders).find((holder) => holder.startsWith("node-")) ?? "";
  const host = clusterIp.includes(":") ? `[${clusterIp}]` : clusterIp;
  return startForwarder({ host: "127.0.0.1", port: local }, () => {
    const socket = dialTo({ path: join(lab.dir, node, DIALER_SOCKET) });
    socket.write(dialLine(`${host}:${String(remote)}`));
    return socket;
  });
}
