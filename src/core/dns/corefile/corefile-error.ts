/** Where something stands in a Corefile; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A Corefile cannot be used. The message names the place and the word, and says what would do. */
export class CorefileError extends Error implements Position {
  readonly code = "COREFILE";
  readonly line: number;
  readonly column: number;

  constructor({ line, column }: Position, problem: string) {
    super(`line ${String(line)}, column ${String(column)}: ${problem}`);
    this.name = "CorefileError";
    this.line = line;
    this.column = column;
  }
}
