import { LOG_LEVELS } from "./log.ts";
import type { LogFields, LogLevel, Logger } from "./log.ts";

export interface LoggerOptions {
  /** Takes one line, without its line end. */
  readonly write: (line: string) => void;
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
  /** `text`: `2026-03-01T10:00:00.000Z INFO  slices written service=default/web added=2`; `json`: an object. */
  readonly format: "text" | "json";
  readonly now: () => Date;
}

/** A logger that never throws, whatever its fields hold. */
export function createLogger(options: LoggerOptions): Logger {
  return loggerWith(options, {});
}

function loggerWith(options: LoggerOptions, context: LogFields): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const at =
    (level: LogLevel) =>
    (event: string, fields?: LogFields): void => {
      if (LOG_LEVELS.indexOf(level) < threshold) return;
      const render = options.format === "json" ? renderJson : renderText;
      options.write(render(options.now().toISOString(), level, event, { ...context, ...fields }));
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => loggerWith(options, { ...context, ...fields }),
  };
}

function renderText(time: string, level: LogLevel, event: string, fields: LogFields): string {
  let line = `${time} ${level.toUpperCase().padEnd(5)} ${onOneLine(event)}`;
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${name}=${textOf(value)}`;
  }
  return line;
}

function renderJson(time: string, level: LogLevel, event: string, fields: LogFields): string {
  const line: Record<string, unknown> = { time, level, event };
  for (const [name, value] of Object.entries(fields)) {
    // A field may not hide what the line says of itself.
    const key = name in line ? `${name}_` : name;
    line[key] = plain(value);
  }
  return stringify(line);
}

/** As it is when it reads well unquoted, else as a JSON string, which also keeps the line one line. */
function textOf(value: unknown): string {
  const shown = plain(value);
  if (typeof shown === "string") {
    return /^[^\s"=\p{Cc}]+$/u.test(shown) ? shown : JSON.stringify(shown);
  }
  const json = stringify(shown);
  return /\s/.test(json) ? JSON.stringify(json) : json;
}

function onOneLine(event: string): string {
  return /\p{Cc}/u.test(event) ? JSON.stringify(event) : event;
}

/** An error becomes its message and code, and that of its causes; the rest stays. */
function plain(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const parts: string[] = [];
  let error: unknown = value;
  while (error instanceof Error && parts.length < MAX_CAUSES) {
    const code: unknown = "code" in error ? error.code : undefined;
    const message = error.message === "" ? error.name : error.message;
    const hasCode = typeof code === "string" && code !== "" && !message.includes(code);
    parts.push(hasCode ? `${message} (${code})` : message);
    error = error.cause;
  }
  return parts.join(": ");
}

/** Enough to see the root; a chain may be a circle. */
const MAX_CAUSES = 5;

function stringify(value: unknown): string {
  try {
    const json: string | undefined = JSON.stringify(value, (_key, part: unknown) =>
      typeof part === "bigint" ? part.toString() : plain(part),
    );
    // Functions, symbols and undefined have no JSON.
    return json ?? typeof value;
  } catch {
    // A circle or a throwing toJSON; a log line is not worth a failure.
    return JSON.stringify({ unprintable: Object.prototype.toString.call(value) });
  }
}
