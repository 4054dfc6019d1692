export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Facts of a log line. An Error is written as its message and code. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line an event: a fixed text, and the facts as fields. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each line, such as `{ component: "dns" }`. */
  with(fields: LogFields): Logger;
}
