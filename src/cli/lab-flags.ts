import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { CommandContext, FlagSpec, FlagValues } from "./command.ts";
import { textFlag } from "./flags.ts";

/** Which lab a command is about. */
export const LAB_NAME = {
  name: {
    type: "string",
    value: "NAME",
    description: "Which lab, if there are several. Default lab.",
  },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export function labNameOf(flags: FlagValues): string {
  return textFlag(flags, "name") ?? "lab";
}

/** Where this user's labs are noted. */
export function statesDir({ env }: CommandContext): string {
  const given = env["XDG_STATE_HOME"] ?? "";
  const home = isAbsolute(given) ? given : join(homedir(), ".local", "state");
  return join(home, "portolan", "labs");
}
