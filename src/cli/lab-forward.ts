import { parsePort } from "../net/host-port.ts";
import type { ForwardTarget, PortForward } from "../programs/lab/forward.ts";
import { labNamed } from "../programs/lab/state.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./command.ts";
import { ended } from "./ended.ts";
import { textFlag } from "./flags.ts";
import { LAB_NAME, labNameOf, statesDir } from "./lab-flags.ts";

export const labForward: Command = {
  name: "lab forward",
  summary: "Make a Service or a Pod of a lab reachable on the host.",
  description: `Listens on loopback ports of the host and carries what comes there, connections or datagrams, to a Service or a
Pod of a running lab, as a client on its first node reaches it: through the node's rules, to one of the Service's
endpoints. Ports are as in kubectl port-forward: LOCAL:REMOTE, one number for both, or :REMOTE for a free local one;
/udp after it carries datagrams.`,
  operands: "[service/|pod/]NAME [LOCAL:]REMOTE[/udp]...",
  flags: {
    ...LAB_NAME,
    namespace: { type: "string", short: "n", value: "NAME", description: "Default default." },
  },
  examples: [
    ["portolan lab forward web 8080:80", "http://127.0.0.1:8080 is the Service web"],
    [
      "portolan lab forward -n kube-system kube-dns 5353:53/udp",
      "dig -p 5353 @127.0.0.1 web.default.svc.cluster.local",
    ],
    ["portolan lab forward pod/web-0 :80", "a Pod, at a free port"],
  ],
  run: async (context, flags, [place, ...ports]) => {
    const target = targetOf(place ?? "", textFlag(flags, "namespace"));
    const asked = ports.map(portForwardOf);
    if (asked.length === 0)
      throw new UsageError("lab forward needs NAME and ports; see portolan lab forward --help");
    const lab = await labNamed(statesDir(context), labNameOf(flags));
    const { startForwards } = await import("../programs/lab/forward.ts");
    const tell = (trouble: string): void => {
      context.note(`portolan: ${trouble}\n`);
    };
    await using forwards = await startForwards(lab, target, asked, tell);
    for (const { port, remote, protocol } of forwards.started)
      context.note(
        `127.0.0.1:${String(port)} -> ${target.name}.${target.namespace} port ${String(remote)}/${protocol.toLowerCase()}\n`,
      );
    await ended(context.signal);
    return 0;
  },
};

const KINDS: Readonly<Record<string, ForwardTarget["kind"]>> = {
  service: "service",
  services: "service",
  svc: "service",
  pod: "pod",
  pods: "pod",
  po: "pod",
};

/** `web`, `svc/web`, `pod/web-0`; a Service also as `web.NAMESPACE`, and a Pod as for lab exec as `pod/NAMESPACE/web-0`. */
function targetOf(text: string, given: string | undefined): ForwardTarget {
  const words = text.split("/");
  const kind = words.length === 1 ? "service" : KINDS[words[0] ?? ""];
  const name = words.at(-1) ?? "";
  if (kind === undefined || name === "" || words.length > (kind === "pod" ? 3 : 2))
    throw new UsageError(
      `${JSON.stringify(text)} is no Service or Pod; see portolan lab forward --help`,
    );
  if (kind === "pod") {
    const namespace = (words.length === 3 ? words[1] : given) ?? "default";
    return { kind, namespace, name };
  }
  const [service = "", namespace = given ?? "default"] = name.split(".");
  return { kind, namespace, name: service };
}

function portForwardOf(text: string): PortForward {
  const [, localText, remote = "", protocol = "tcp"] =
    /^(?:(\d*):)?([a-z0-9-]+)(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const local = localText === undefined ? undefined : parsePort(localText === "" ? "0" : localText);
  const isLocalBad = localText !== undefined && local === undefined;
  const isRemoteBad = remote === "" || (/^\d+$/.test(remote) && !(Number(parsePort(remote)) > 0));
  if (isLocalBad || isRemoteBad)
    throw new UsageError(`${JSON.stringify(text)} is not [LOCAL:]REMOTE, with /udp for datagrams`);
  return { local, remote, protocol: protocol.toLowerCase() === "udp" ? "UDP" : "TCP" };
}
