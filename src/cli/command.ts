import { parseArgs } from "node:util";
import type { Logger } from "../telemetry/log.ts";

/** How a command ends: 0 done, 1 failed, 2 used wrongly. */
export type ExitCode = 0 | 1 | 2;

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
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly run: (context: CommandContext, flags: FlagValues) => Promise<ExitCode>;
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
 * Reads a command's flags.
 * @throws UsageError naming the first word that is not understood.
 */
export function parseFlags(command: Command, args: readonly string[]): FlagValues {
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
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
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
    `Usage: portolan ${command.name} [flags]`,
    "",
    "Flags:",
    ...flags.map(([left, right]) => left.padEnd(width) + right),
    "",
    "Examples:",
    ...command.examples.flatMap(([line, what]) => [`  # ${what}`, `  ${line}`, ""]),
  ].join("\n");
}
