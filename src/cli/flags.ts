import { UsageError } from "./command.ts";
import type { FlagSpec, FlagValues } from "./command.ts";

/** `-o json`, of commands that stay up. */
export const JSON_OUTPUT: FlagSpec = {
  type: "string",
  short: "o",
  value: "json",
  description: "Print one JSON line on stdout when ready.",
};

/**
 * Whether `-o json` was given.
 * @throws UsageError when it was given with anything else.
 */
export function wantsJson(flags: FlagValues): boolean {
  const { output } = flags;
  if (output === undefined || output === "json") return output === "json";
  throw new UsageError(`--output: ${JSON.stringify(output)} is not json`);
}

/** The value of a flag of type `string`, or undefined when it was not given. */
export function textFlag(flags: FlagValues, name: string): string | undefined {
  const value = flags[name];
  return typeof value === "string" ? value : undefined;
}
