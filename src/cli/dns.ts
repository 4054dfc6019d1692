import { parseListen, parseDomain } from "../programs/config.ts";
import type { StandaloneDnsConfig } from "../programs/standalone-dns.ts";
import { UsageError } from "./command.ts";
import type { Command, FlagValues } from "./command.ts";
import { ended } from "./ended.ts";
import { JSON_OUTPUT, textFlag, wantsJson } from "./flags.ts";

export const dns: Command = {
  name: "dns",
  summary: "Answer a cluster's names: DNS alone, for any Kubernetes API.",
  description: `Serves cluster DNS from the Services and EndpointSlices of any Kubernetes API, over UDP and TCP, and
has other servers answer for all other names. It reads CoreDNS's Corefile and counts by CoreDNS's
names, so that it can take CoreDNS's place. It stays up until Ctrl-C or SIGTERM; SIGUSR1 has it
look at its Corefile at once.`,
  flags: {
    kubeconfig: {
      type: "string",
      value: "FILE",
      description:
        "How to reach the API. Default the Pod's service account, $KUBECONFIG, ~/.kube/config.",
    },
    context: { type: "string", value: "NAME", description: "Which of its contexts." },
    listen: {
      type: "string",
      value: "IP:PORT",
      description:
        "Where to listen, UDP and TCP. Default 127.0.0.1:10053; port 0 takes a free one.",
    },
    corefile: {
      type: "string",
      value: "FILE",
      description: "A Corefile; its blocks without a port or bind listen on --listen.",
    },
    "cluster-domain": {
      type: "string",
      value: "NAME",
      description: "Default cluster.local; with a Corefile its kubernetes line says it.",
    },
    "http-listen": {
      type: "string",
      value: "IP:PORT",
      description: "Serve /health, /ready and /metrics here; with a Corefile it says where.",
    },
    "rate-limit": {
      type: "string",
      value: "N",
      description: "Answers a second over UDP to one source (/24 or /56); default all.",
    },
    "tcp-connections": {
      type: "string",
      value: "N",
      description: "Open connections a socket, TCP or TLS; default 4096. Longest silent ones go.",
    },
    "tcp-connections-per-source": {
      type: "string",
      value: "N",
      description: "Of these, how many one source may have (an IPv4 address, a /64); default all.",
    },
    workers: {
      type: "string",
      value: "N",
      description: "Threads that answer over UDP, 0..64; 0 leaves it to the main one. Default 1.",
    },
    output: JSON_OUTPUT,
  },
  examples: [
    ["portolan dns --kubeconfig admin.kubeconfig --listen 127.0.0.1:5353", "names of a cluster"],
    ["dig +short @127.0.0.1 -p 5353 kubernetes.default.svc.cluster.local", "ask it"],
    ["portolan dns --corefile Corefile --listen 0.0.0.0:53", "in CoreDNS's place"],
    ["portolan dns --listen 127.0.0.1:0 -o json", "for a test: a free port"],
  ],
  run: async (context, flags) => {
    const isJson = wantsJson(flags);
    const config = configOf(flags);
    const { startStandaloneDns } = await import("../programs/standalone-dns.ts");
    const server = await startStandaloneDns(
      {
        env: context.env,
        log: context.log,
        print: (line) => {
          context.print(`${line}\n`);
        },
      },
      config,
    );
    // As CoreDNS: look at the Corefile now. Node would start its debugger.
    const reload = (): void => {
      // What is wrong with the file is logged, and counted, where it is read.
      void server.reload();
    };
    process.on("SIGUSR1", reload);
    try {
      await server.synced(context.signal);
      const startMs = Math.round(performance.now());
      if (isJson) {
        const [first = ""] = server.addresses;
        const facts = {
          ready: true,
          dns: first.replace(/^[a-z]+:\/\//, ""),
          listens: server.addresses,
          pid: process.pid,
          startMs,
        };
        context.print(`${JSON.stringify(facts)}\n`);
      } else {
        context.note(`DNS is ready after ${String(startMs)} ms: ${server.addresses.join(" ")}\n`);
      }
      await ended(context.signal);
    } catch (error) {
      if (!context.signal.aborted) throw error;
    } finally {
      process.off("SIGUSR1", reload);
      await server[Symbol.asyncDispose]();
    }
    return 0;
  },
};

function configOf(flags: FlagValues): StandaloneDnsConfig {
  const text = (name: string): string | undefined => textFlag(flags, name);
  const http = text("http-listen");
  const count = (name: string, of: string): number | undefined => {
    const value = text(name);
    if (value !== undefined && !/^[1-9]\d{0,8}$/.test(value)) {
      throw new UsageError(`--${name}: ${JSON.stringify(value)} is no number of ${of}`);
    }
    return value === undefined ? undefined : Number(value);
  };
  const workers = text("workers") ?? "1";
  if (!/^(?:\d|[1-5]\d|6[0-4])$/.test(workers)) {
    throw new UsageError(`--workers: ${JSON.stringify(workers)} is no number of threads, 0..64`);
  }
  return {
    workers: Number(workers),
    listen: parseListen(text("listen") ?? "127.0.0.1:10053", "--listen"),
    corefile: text("corefile"),
    clusterDomain: parseDomain(text("cluster-domain") ?? "cluster.local", "--cluster-domain"),
    kubeconfig: text("kubeconfig"),
    context: text("context"),
    httpListen: http === undefined ? undefined : parseListen(http, "--http-listen"),
    rateLimit: count("rate-limit", "answers a second"),
    maxConnections: count("tcp-connections", "connections"),
    maxPerSource: count("tcp-connections-per-source", "connections"),
  };
}
