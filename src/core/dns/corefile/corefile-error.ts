/** Where something stands in a Corefile; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
  /** The imported file that it is in; undefined for the Corefile itself. */
  readonly file?: string | undefined;
}

/** A Corefile cannot be used. The message names the place and the word, and says what would do. */
export class CorefileError extends Error implements Position {
  readonly code = "COREFILE";
  readonly line: number;
  readonly column: number;
  readonly file: string | undefined;

  constructor({ line, column, file }: Position, problem: string) {
    const where = `line ${String(line)}, column ${String(column)}`;
    super(`${file === undefined ? "" : `${file} `}${where}: ${problem}`);
    this.name = "CorefileError";
    this.line = line;
    this.column = column;
    this.file = file;
  }
}
