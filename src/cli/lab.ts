import { spawn } from "node:child_process";
import { constants } from "node:os";
import { parseHostPort } from "../net/host-port.ts";
import { endLab, labNamed } from "../programs/lab/state.ts";
import type { Command, FlagValues } from "./command.ts";
import { UsageError } from "./command.ts";
import { ended } from "./ended.ts";
import { JSON_OUTPUT, textFlag, wantsJson } from "./flags.ts";
import { LAB_NAME, labNameOf, statesDir } from "./lab-flags.ts";
import { labForward } from "./lab-forward.ts";

const labUp: Command = {
  name: "lab up",
  summary: "Run a cluster of several nodes, with kernel rules, in network namespaces.",
  description: `Builds a multi-node cluster on this machine without Docker: each node, each Pod, the control plane and a
"world" outside the cluster have network namespaces of their own, joined by a bridge; nodes serve Services by
nftables and names by a DNS server of their own. Nothing of the host's network changes, and no root is needed
where users may make user namespaces. It stays up until Ctrl-C, and leaves nothing behind.`,
  flags: {
    ...LAB_NAME,
    nodes: { type: "string", value: "N", description: "How many nodes. Default 3." },
    zones: {
      type: "string",
      value: "N",
      description: "Deal the nodes to so many zones. Default none.",
    },
    "api-listen": {
      type: "string",
      value: "IP:PORT",
      description: "Where kubectl finds the API on the host. Default 127.0.0.1:0, a free port.",
    },
    kubeconfig: { type: "string", value: "FILE", description: "Where to write the kubeconfig." },
    "cluster-domain": { type: "string", value: "NAME", description: "Default cluster.local." },
    filename: {
      type: "strings",
      short: "f",
      value: "FILE|DIR",
      description: "Manifests to apply at start; may be repeated.",
    },
    output: JSON_OUTPUT,
  },
  examples: [
    ["portolan lab up --nodes 3 --zones 3 -f examples/lab.yaml", "three nodes, a zone each"],
    ["portolan lab exec world -- curl http://10.201.0.1", "ask a load balancer from outside"],
    ["portolan lab exec node-1 -- nft list table inet portolan", "look at a node's rules"],
  ],
  run: async (context, flags) => {
    const isJson = wantsJson(flags);
    const listen = textFlag(flags, "api-listen") ?? "127.0.0.1:0";
    const apiListen = parseHostPort(listen);
    if (apiListen === undefined)
      throw new UsageError(`--api-listen: ${JSON.stringify(listen)} is not IP:PORT`);
    const { startLab } = await import("../programs/lab/lab.ts");
    const lab = await startLab(
      {
        name: labNameOf(flags),
        statesDir: statesDir(context),
        nodes: count(flags, "nodes", 3, 1),
        zones: count(flags, "zones", 0, 0),
        clusterDomain: textFlag(flags, "cluster-domain") ?? "cluster.local",
        apiListen,
        kubeconfig: textFlag(flags, "kubeconfig"),
        manifests: Array.isArray(flags["filename"]) ? flags["filename"].map(String) : [],
        program: thisProgram(),
      },
      context,
    );
    const startMs = Math.round(performance.now());
    for (const problem of lab.problems) context.note(`portolan: not applied: ${problem}\n`);
    const { api, kubeconfig } = lab;
    if (isJson)
      context.print(
        `${JSON.stringify({ ready: true, api, kubeconfig, pid: process.pid, startMs })}\n`,
      );
    else {
      for (const line of lab.applied) context.note(`${line}\n`);
      context.note(readyText(startMs, kubeconfig));
    }
    await Promise.race([ended(context.signal), lab.ended]);
    const isAsked = context.signal.aborted;
    await lab[Symbol.asyncDispose]();
    if (isAsked) return 0;
    context.note("portolan: the lab has ended by itself\n");
    return 1;
  },
};

const labExec: Command = {
  name: "lab exec",
  summary: "Run a command in a node, a Pod or the world of a lab.",
  description: `Runs a command in the network of one of a running lab's places: world (outside the cluster), control (the API
server), node-1, node-2, ..., pod/NAME or pod/NAMESPACE/NAME. Files are the host's; a Pod has its own
/etc/resolv.conf and /etc/hosts.`,
  operands: "PLACE -- COMMAND [ARGUMENT...]",
  flags: LAB_NAME,
  examples: [
    ["portolan lab exec world -- curl http://10.201.0.1", "a client outside the cluster"],
    ["portolan lab exec node-1 -- nft list table inet portolan", "a node's rules"],
    ["portolan lab exec pod/web-0 -- dig web", "a name as a Pod sees it"],
  ],
  run: async (context, flags, [place, ...command]) => {
    if (place === undefined || command.length === 0)
      throw new UsageError("lab exec needs a place and a command; see portolan lab exec --help");
    const lab = await labNamed(statesDir(context), labNameOf(flags));
    const { enterLab } = await import("../programs/lab/enter.ts");
    const [program = "", ...args] = [...(await enterLab(lab, place, process.cwd())), ...command];
    const child = spawn(program, args, { stdio: "inherit" });
    // The terminal sends Ctrl-C to both; this process waits for the other's answer.
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        // As shells tell of a signal.
        resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
      });
    });
  },
};

const labDown: Command = {
  name: "lab down",
  summary: "End a lab that runs in another terminal.",
  description: "Ends a running lab as Ctrl-C does, and waits until nothing of it is left.",
  flags: LAB_NAME,
  examples: [["portolan lab down", "end the lab"]],
  run: async (context, flags) => {
    const lab = await labNamed(statesDir(context), labNameOf(flags));
    await endLab(lab, context.signal);
    return 0;
  },
};

export const LAB_COMMANDS: readonly Command[] = [labUp, labExec, labForward, labDown];

function readyText(startMs: number, kubeconfig: string): string {
  return [
    `The lab is ready after ${String(startMs)} ms. Ctrl-C ends it.`,
    "",
    `  export KUBECONFIG=${kubeconfig}`,
    "  kubectl get nodes -o wide",
    "  portolan lab exec world -- curl http://LOAD-BALANCER",
    "",
  ].join("\n");
}

function count(flags: FlagValues, flag: string, otherwise: number, min: number): number {
  const given = textFlag(flags, flag);
  if (given === undefined) return otherwise;
  const number = Number(given);
  if (/^\d+$/.test(given) && number >= min) return number;
  throw new UsageError(
    `--${flag}: ${JSON.stringify(given)} is not a number from ${String(min)} on`,
  );
}

function thisProgram(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ""];
}
