import { setMaxListeners } from "node:events";
import process from "node:process";
import { CONFIG_ERROR } from "../programs/config.ts";
import type { ConfigError } from "../programs/config.ts";
import { programVersion } from "../programs/version.ts";
import { LOG_LEVELS } from "../telemetry/log.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { createLogger } from "../telemetry/logger.ts";
import { helpOf, parseCommandLine, UsageError } from "./command.ts";
import type { Command, CommandContext, ExitCode } from "./command.ts";
import { demo } from "./demo.ts";
import { dns } from "./dns.ts";
import { LAB_COMMANDS } from "./lab.ts";
import { LAB_PARTS } from "./lab-parts.ts";
import { proxy } from "./proxy.ts";
import { up } from "./up.ts";

const COMMANDS: readonly Command[] = [up, demo, dns, proxy, ...LAB_COMMANDS, ...LAB_PARTS];

// Not awaited here, as what is bundled as a script cannot: it never rejects.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const topic = findCommand(rest);
    process.stdout.write(topic === undefined ? overview() : helpOf(topic.command));
    return name === undefined ? 2 : 0;
  }
  if (name === "version" || name === "--version") {
    process.stdout.write(`portolan ${programVersion()}\n`);
    return 0;
  }
  const found = findCommand(args);
  if (found === undefined)
    return fail(2, `no command ${JSON.stringify(nameTried(args))}; see portolan --help`);
  const { command } = found;
  try {
    const { flags, operands } = parseCommandLine(command, found.rest);
    if (flags["help"] === true) {
      process.stdout.write(helpOf(command));
      return 0;
    }
    return await command.run(contextOf(stopSignal()), flags, operands);
  } catch (error) {
    return isConfigError(error) || error instanceof UsageError
      ? fail(2, error.message)
      : fail(1, reasonText(error));
  }
}

/** By its code: what a command loads to run may be bundled by itself, with a class of its own. */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && "code" in error && error.code === CONFIG_ERROR;
}

/** A command by its one word or its two. */
function findCommand(
  words: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  for (const length of [1, 2]) {
    const name = words.slice(0, length).join(" ");
    const command = COMMANDS.find((candidate) => candidate.name === name);
    if (command !== undefined) return { command, rest: words.slice(length) };
  }
  return undefined;
}

function nameTried([first = "", second = ""]: readonly string[]): string {
  const isGroup = COMMANDS.some((command) => command.name.startsWith(`${first} `));
  return isGroup ? `${first} ${second}`.trim() : first;
}

function contextOf(signal: AbortSignal): CommandContext {
  const { env } = process;
  return {
    env,
    print: (text) => process.stdout.write(text),
    note: (text) => process.stderr.write(text),
    terminalWidth: process.stdout.isTTY ? process.stdout.columns : undefined,
    useColor: process.stdout.isTTY && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
    log: createLogger({
      write: (line) => process.stderr.write(`${line}\n`),
      level: logLevel(env["PORTOLAN_LOG"]),
      format: env["PORTOLAN_LOG_FORMAT"] === "json" ? "json" : "text",
      now: () => new Date(),
    }),
    signal,
  };
}

function logLevel(text: string | undefined): LogLevel {
  if (text === undefined || text === "") return "warn";
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (level === undefined) {
    throw new UsageError(
      `PORTOLAN_LOG: ${JSON.stringify(text)} is not one of ${LOG_LEVELS.join(", ")}`,
    );
  }
  return level;
}

/** The first SIGINT or SIGTERM asks for an orderly end; a second one does not wait for it. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  // Every part that waits for something listens to it.
  setMaxListeners(0, controller.signal);
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(signal === "SIGINT" ? 130 : 143);
    controller.abort(new Error(`ended by ${signal}`));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return controller.signal;
}

/** One line: what failed and, where the message does not say it already, what lay beneath. */
function reasonText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Errors with a code of their own are written to be complete.
  const isComplete = "code" in error || !(error.cause instanceof Error);
  return isComplete ? error.message : `${error.message}: ${reasonText(error.cause)}`;
}

function fail(code: 1 | 2, message: string): ExitCode {
  process.stderr.write(`portolan: ${message}\n`);
  return code;
}

function overview(): string {
  const listed = COMMANDS.filter((command) => command.isInternal !== true);
  const width = Math.max(...listed.map((command) => command.name.length)) + 2;
  return [
    "Portolan: Kubernetes Services as a system of its own.",
    "",
    "Usage: portolan COMMAND [flags]",
    "",
    "Commands:",
    ...listed.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
    `  ${"version".padEnd(width)}Print the version.`,
    "",
    "portolan COMMAND --help explains a command and gives examples.",
    "Set PORTOLAN_LOG to debug, info, warn (default) or error for logs on stderr.",
    "",
  ].join("\n");
}
