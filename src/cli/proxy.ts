import { hostname } from "node:os";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { parseHostPort } from "../net/host-port.ts";
import type { NodeProxyOptions } from "../programs/node-proxy.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { UsageError } from "./command.ts";
import type { Command, FlagValues } from "./command.ts";
import { ended } from "./ended.ts";
import { JSON_OUTPUT, textFlag, wantsJson } from "./flags.ts";

export const proxy: Command = {
  name: "proxy",
  summary: "Serve a cluster's Services on this node by nftables, in place of kube-proxy.",
  description: `Follows Services and EndpointSlices of any Kubernetes API and keeps this node's nftables equal to
them: cluster IPs, node ports, external and load-balancer addresses. Needs root or CAP_NET_ADMIN.
Ctrl-C ends it and leaves the rules; --cleanup removes them.`,
  flags: {
    kubeconfig: {
      type: "string",
      value: "FILE",
      description: "How to reach the API. Without it, as a Pod in the cluster.",
    },
    "node-name": {
      type: "string",
      value: "NAME",
      description: "Name of this node's object. Default the host's name.",
    },
    "cluster-cidr": {
      type: "string",
      value: "CIDR[,CIDR]",
      description: "Addresses of all Pods. Default those of this node's Pods, by its object.",
    },
    "service-cidr": {
      type: "string",
      value: "CIDR[,CIDR]",
      description:
        "Cluster IPs; those without Service are not answered. Default the API's ServiceCIDRs.",
    },
    "nodeport-addresses": {
      type: "string",
      value: "CIDR[,CIDR]|primary",
      description: "Where node ports are served. Default primary: the node's InternalIPs.",
    },
    "localhost-nodeports": {
      type: "boolean",
      description: "Serve node ports on 127.0.0.1 too, by sockets of this process.",
    },
    "masquerade-all": {
      type: "boolean",
      description: "Hide every client of a cluster IP behind the node's address.",
    },
    "ignore-external-ips": {
      type: "boolean",
      description: "Leave Services' externalIPs to the network.",
    },
    "healthz-bind-address": {
      type: "string",
      value: "IP:PORT",
      description: "/healthz and /livez. Default 0.0.0.0:10256; empty for none.",
    },
    "metrics-bind-address": {
      type: "string",
      value: "IP:PORT",
      description: "/metrics and /proxyMode. Default 127.0.0.1:10249; empty for none.",
    },
    cleanup: { type: "boolean", description: "Remove the rules of a proxy that ended, and end." },
    output: JSON_OUTPUT,
  },
  examples: [
    ["portolan proxy --kubeconfig /etc/portolan/proxy.kubeconfig", "serve this node"],
    [
      "portolan proxy --kubeconfig K --node-name node-1 -o json",
      "tell when every Service is served",
    ],
    ["portolan proxy --cleanup", "remove the rules"],
  ],
  run: async (context, flags) => {
    if (flags["cleanup"] === true) {
      const { cleanUpProxy } = await import("../programs/proxy-cleanup.ts");
      const removed = await cleanUpProxy();
      context.note(
        removed.length === 0 ? "nothing to remove\n" : `removed ${removed.join(", ")}\n`,
      );
      return 0;
    }
    const isJson = wantsJson(flags);
    const options = optionsOf(flags);
    const { log, signal } = context;
    const metrics = new Metrics();
    const kubeconfig = textFlag(flags, "kubeconfig");
    const { attach } = await import("../programs/attached.ts");
    const { startNodeProxy } = await import("../programs/node-proxy.ts");
    const { keepGarbageSmall } = await import("../programs/garbage.ts");
    keepGarbageSmall();
    const { networkFieldsOf } = await import("../programs/network-fields.ts");
    await using api = await attach(
      { kubeconfig, env: context.env, part: "proxy", transform: networkFieldsOf(options.nodeName) },
      { log, metrics },
    );
    const { client, informers, server } = api;
    try {
      await using started = await startNodeProxy(
        { client, informers, log, metrics },
        options,
        signal,
      );
      await started.ready(signal);
      const readyMs = Math.round(performance.now());
      if (isJson) {
        const { way } = started;
        context.print(
          `${JSON.stringify({ ready: true, node: options.nodeName, way, pid: process.pid, readyMs })}\n`,
        );
      } else {
        context.note(
          `Services of ${server} are served on ${options.nodeName}. Ctrl-C ends it; the rules stay.\n`,
        );
      }
      await ended(signal);
    } catch (error) {
      // Asked to end before everything was served.
      if (!signal.aborted) throw error;
    }
    return 0;
  },
};

function optionsOf(flags: FlagValues): NodeProxyOptions {
  const addresses = textFlag(flags, "nodeport-addresses") ?? "primary";
  return {
    nodeName: textFlag(flags, "node-name") ?? hostname().toLowerCase(),
    clusterCidrs: cidrsOf(flags, "cluster-cidr"),
    serviceCidrs: cidrsOf(flags, "service-cidr"),
    nodePortAddresses: addresses === "primary" ? "primary" : cidrsOf(flags, "nodeport-addresses"),
    localhostNodePorts: flags["localhost-nodeports"] === true,
    masqueradeAll: flags["masquerade-all"] === true,
    ignoreExternalIPs: flags["ignore-external-ips"] === true,
    healthListen: listenOf(flags, "healthz-bind-address", "0.0.0.0:10256"),
    metricsListen: listenOf(flags, "metrics-bind-address", "127.0.0.1:10249"),
  };
}

function cidrsOf(flags: FlagValues, name: string): readonly Cidr[] {
  const texts = (textFlag(flags, name) ?? "").split(",").filter((text) => text !== "");
  return texts.map((text) => {
    const cidr = parseCidr(text.trim());
    if (cidr === undefined)
      throw new UsageError(`--${name}: ${JSON.stringify(text)} is not a CIDR`);
    return cidr;
  });
}

function listenOf(
  flags: FlagValues,
  name: string,
  preset: string,
): NodeProxyOptions["healthListen"] {
  const text = textFlag(flags, name) ?? preset;
  if (text === "") return undefined;
  const parsed = parseHostPort(text);
  if (parsed === undefined)
    throw new UsageError(`--${name}: ${JSON.stringify(text)} is not IP:PORT`);
  return parsed;
}
