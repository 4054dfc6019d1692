import { readFile } from "node:fs/promises";
import type { SupervisorConfig } from "../programs/lab/supervisor.ts";
import type { Command } from "./command.ts";
import { ended } from "./ended.ts";
import { textFlag } from "./flags.ts";

/** Runs inside the lab's namespaces; started by `lab up` alone. */
const labSupervisor: Command = {
  name: "lab-supervisor",
  isInternal: true,
  summary: "The inside of a lab.",
  description:
    "Builds and runs a lab in the namespaces that it was started in; `portolan lab up` starts it.",
  flags: { config: { type: "string", value: "FILE", description: "What to build." } },
  examples: [],
  run: async (context, flags) => {
    const config = await readConfig(textFlag(flags, "config") ?? "");
    // Whoever holds the other end of stdin wants the lab; a pipe ends with its last writer, however that dies.
    const gone = new AbortController();
    process.stdin.resume().once("end", () => {
      gone.abort(new Error("lab up has ended"));
    });
    context.signal.addEventListener("abort", () => {
      gone.abort(context.signal.reason);
    });
    const { runLabSupervisor } = await import("../programs/lab/supervisor.ts");
    await runLabSupervisor(config, {
      log: context.log,
      signal: gone.signal,
      print: (line) => {
        context.print(`${JSON.stringify(line)}\n`);
      },
    });
    process.stdin.destroy();
    return 0;
  },
};

const labPart: Command = {
  name: "lab-part",
  isInternal: true,
  summary: "A part of a lab.",
  description: "Runs the control plane or a node of a lab; its supervisor starts it.",
  flags: { part: { type: "string", value: "FILE", description: "What to run." } },
  examples: [],
  run: async (context, flags) => {
    const { startPart } = await import("../programs/lab/part.ts");
    await using part = await startPart(textFlag(flags, "part") ?? "", context);
    context.print(`${JSON.stringify(part.ready)}\n`);
    await ended(context.signal);
    return 0;
  },
};

/** What `portolan lab up` starts of this program. */
export const LAB_PARTS: readonly Command[] = [labSupervisor, labPart];

async function readConfig(file: string): Promise<SupervisorConfig> {
  // Written by `lab up`, which types it.
  return JSON.parse(await readFile(file, "utf8")) as SupervisorConfig;
}
