import type { Readable, Writable } from "node:stream";
import type { EndStatus } from "./status.ts";

/** Which streams a client wants of a command. */
export interface StreamChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A client of exec or attach, whichever protocol it speaks. What it did not ask for is undefined. */
export interface ClientStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Aborts when the client is gone, or the agent ends. */
  readonly gone: AbortSignal;
  /** Gets each size of the client's terminal; the last one at once, if there was one. */
  onResize(listener: (size: TerminalSize) => void): void;
  /** Sends the end, after all output, and closes the connection. */
  finish(end: EndStatus): Promise<void>;
}

/** Reads `{"Width":80,"Height":24}`; undefined for anything else. */
export function parseTerminalSize(text: string): TerminalSize | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Only malformed JSON throws here; a size that is none is left out.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const at = (name: string): unknown => Reflect.get(value, name);
  const columns = at("Width");
  const rows = at("Height");
  const isSize = (size: unknown): size is number =>
    typeof size === "number" && Number.isInteger(size) && size > 0 && size < 0x1_0000;
  return isSize(columns) && isSize(rows) ? { columns, rows } : undefined;
}
