/** A Corefile cannot be used. The message names the line and the word, and says what would do. */
export class CorefileError extends Error {
  readonly code = "COREFILE";
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${String(line)}: ${problem}`);
    this.name = "CorefileError";
    this.line = line;
  }
}
