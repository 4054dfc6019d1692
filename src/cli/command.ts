import { parseArgs } from "node:util";
import type { Logger } from "../telemetry/log.ts";

/** How a command ends: 0 done, 1 failed, 2 used wrongly; or as the program ended that it ran. */
export type ExitCode = number;

export interface FlagSpec {
  readonly type: "string" | "boolean" | "strings";
  readonly short?: string;
  /** What the value stands for in the help, such as `IP:PORT`. */
  readonly value?: string;
  readonly description: string;
}

export type FlagValues = Readonly<
  Record<string, string | boolean | readonly (string | boolean)[] | undefined>
>;

/** What a command may use of the process, so that it can be run in a test. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data, on stdout. */
  readonly print: (text: string) => void;
  /** Everything else, on stderr. */
  readonly note: (text: string) => void;
  /** Width of the terminal, or undefined when stdout is not one. */
  readonly terminalWidth: number | undefined;
  readonly useColor: boolean;
  readonly log: Logger;
  /** Aborts when the user asks to end (SIGINT, SIGTERM). */
  readonly signal: AbortSignal;
}

export interface Command {
  /** One word, or two for a command of a group. */
  readonly name: string;
  /** Started by another command only, and not listed. */
  readonly isInternal?: true;
  /** What stands after the flags, as the help shows it; default nothing may. */
  readonly operands?: string;
  readonly summary: string;
  readonly description: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly run: (
    context: CommandContext,
    flags: FlagValues,
    operands: readonly string[],
  ) => Promise<ExitCode>;
}

/** The command line is not what the command understands: exit code 2. */
export class UsageError extends Error {
  readonly code = "USAGE";

  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/**
 * Reads a command's flags, and its operands where it takes any.
 * @throws UsageError naming the first word that is not understood.
 */
export function parseCommandLine(
  command: Command,
  args: readonly string[],
): { readonly flags: FlagValues; readonly operands: readonly string[] } {
  const options = Object.fromEntries(
    Object.entries({ ...command.flags, help: HELP_FLAG }).map(([name, flag]) => [
      name,
      {
        type: flag.type === "boolean" ? ("boolean" as const) : ("string" as const),
        multiple: flag.type === "strings",
        ...(flag.short === undefined ? {} : { short: flag.short }),
      },
    ]),
  );
  try {
    const allowPositionals = command.operands !== undefined;
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals,
    });
    return { flags: values, operands: positionals };
  } catch (error) {
    const text = error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error);
    throw new UsageError(`${text}; see portolan ${command.name} --help`);
  }
}

const HELP_FLAG: FlagSpec = { type: "boolean", short: "h", description: "Show this help." };

/** The text of `portolan COMMAND --help`. */
export function helpOf(command: Command): string {
  const flags = Object.entries({ ...command.flags, help: HELP_FLAG }).map(([name, flag]) => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    const value = flag.value === undefined ? "" : ` ${flag.value}`;
    return [`  ${short}--${name}${value}`, flag.description] as const;
  });
  const width = Math.max(...flags.map(([left]) => left.length)) + 2;
  return [
    command.description,
    "",
    `Usage: portolan ${[command.name, "[flags]", command.operands ?? ""].join(" ").trim()}`,
    "",
    "Flags:",
    ...flags.map(([left, right]) => left.padEnd(width) + right),
    "",
    "Examples:",
    ...command.examples.flatMap(([line, what]) => [`  # ${what}`, `  ${line}`, ""]),
  ].join("\n");
}
