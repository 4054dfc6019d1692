import { isWordCode } from "./pattern-classes.ts";
import { PatternError, parsePattern } from "./pattern-parse.ts";
import type { Assertion, Node } from "./pattern-parse.ts";

/**
 * Regular expressions that are matched in time proportional to the text, whatever the pattern: a set of states is
 * moved along the text (Thompson 1968), so nothing is ever tried twice. The patterns are those of whoever may
 * define kinds, the texts those of anybody; a backtracking engine would let one of them stop the server.
 */

type Instruction =
  | { readonly kind: "match" }
  | { readonly kind: "class"; readonly matches: (code: number) => boolean }
  | { readonly kind: "assert"; readonly at: Assertion }
  | { readonly kind: "split"; readonly targets: readonly number[] }
  | { readonly kind: "jump"; readonly target: number };

/** Steps that matching may still take; shared by all patterns of one validation. */
export interface Budget {
  left: number;
}

/** Counted repetition is written out, so patterns such as `((a{1000}){1000})` would fill memory. */
const MAX_INSTRUCTIONS = 20_000;

export interface Pattern {
  /** Number of instructions. */
  readonly size: number;
  /**
   * Whether the text has a match anywhere.
   * @returns undefined when the budget does not suffice to tell.
   */
  test(text: string, budget: Budget): boolean | undefined;
}

/** @throws PatternError */
export function compilePattern(source: string): Pattern {
  const program: Instruction[] = [];
  compileInto(program, source);
  return { size: program.length, test: (text, budget) => run(program, text, budget) };
}

function compileInto(program: Instruction[], source: string): void {
  emit(parsePattern(source), program);
  push(program, { kind: "match" });
}

export type TriedPattern =
  /** `size` is how much it costs to keep, and at most to match a character. */
  | { readonly kind: "compiled"; readonly size: number }
  /** `size` is how far it got. */
  | { readonly kind: "unusable"; readonly problem: string; readonly size: number };

/** Whether a pattern can be used, and if not, why. */
export function tryPattern(source: string): TriedPattern {
  const program: Instruction[] = [];
  try {
    compileInto(program, source);
    return { kind: "compiled", size: program.length };
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return {
      kind: "unusable",
      problem: error.message,
      size: Math.max(program.length, source.length),
    };
  }
}

function push(program: Instruction[], instruction: Instruction): number {
  if (program.length >= MAX_INSTRUCTIONS) {
    throw new PatternError("error parsing regexp: expression too large");
  }
  return program.push(instruction) - 1;
}

function emit(node: Node, program: Instruction[]): void {
  switch (node.kind) {
    case "empty":
      return;
    case "class":
    case "assert":
      push(program, node);
      return;
    case "sequence":
      for (const part of node.parts) emit(part, program);
      return;
    case "choice":
      emitChoice(node.options, program);
      return;
    case "group":
      emit(node.of, program);
      return;
    case "repeat":
      emitRepeat(node.of, node.min, node.max, program);
      return;
  }
}

function emitChoice(options: readonly Node[], program: Instruction[]): void {
  const targets: number[] = [];
  const jumps: number[] = [];
  push(program, { kind: "split", targets });
  for (const option of options) {
    targets.push(program.length);
    emit(option, program);
    jumps.push(push(program, { kind: "jump", target: 0 }));
  }
  for (const at of jumps) program[at] = { kind: "jump", target: program.length };
}

function emitRepeat(of: Node, min: number, max: number, program: Instruction[]): void {
  for (let i = 0; i < min; i++) {
    const before = program.length;
    emit(of, program);
    // What emits nothing matches the empty text: once is as good as a thousand times.
    if (program.length === before) return;
  }
  if (max === Infinity) {
    const targets: number[] = [];
    const at = push(program, { kind: "split", targets });
    emit(of, program);
    push(program, { kind: "jump", target: at });
    targets.push(at + 1, program.length);
    return;
  }
  const exits: number[][] = [];
  for (let i = min; i < max; i++) {
    const targets = [program.length + 1];
    push(program, { kind: "split", targets });
    exits.push(targets);
    emit(of, program);
  }
  for (const targets of exits) targets.push(program.length);
}

/** The states that are alive between two characters. */
interface States {
  readonly list: number[];
  /** By instruction: the position for which it was added last. */
  readonly addedAt: Int32Array;
}

function run(program: readonly Instruction[], text: string, budget: Budget): boolean | undefined {
  let now: States = { list: [], addedAt: new Int32Array(program.length).fill(-1) };
  let next: States = { list: [], addedAt: new Int32Array(program.length).fill(-1) };
  // Clearing two arrays costs as much as a step of every instruction.
  budget.left -= program.length;
  let before: number | undefined;
  for (let at = 0; ; ) {
    const code = text.codePointAt(at);
    // A match may start anywhere.
    if (add(program, now, 0, at, before, code, budget)) return true;
    if (budget.left < 0) return undefined;
    if (code === undefined) return false;
    const end = at + (code > 0xffff ? 2 : 1);
    const after = text.codePointAt(end);
    next.list.length = 0;
    for (const state of now.list) {
      budget.left--;
      const instruction = program[state];
      if (instruction?.kind !== "class" || !instruction.matches(code)) continue;
      if (add(program, next, state + 1, end, code, after, budget)) return true;
    }
    if (budget.left < 0) return undefined;
    [now, next] = [next, now];
    before = code;
    at = end;
  }
}

/** Adds a state and all that it leads to without a character. @returns whether that includes the match. */
function add(
  program: readonly Instruction[],
  states: States,
  start: number,
  at: number,
  before: number | undefined,
  after: number | undefined,
  budget: Budget,
): boolean {
  const stack = [start];
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    if (states.addedAt[state] === at) continue;
    states.addedAt[state] = at;
    budget.left--;
    const instruction = program[state];
    switch (instruction?.kind) {
      case undefined:
        break;
      case "match":
        return true;
      case "class":
        states.list.push(state);
        break;
      case "jump":
        stack.push(instruction.target);
        break;
      case "split":
        stack.push(...instruction.targets);
        break;
      case "assert":
        if (holds(instruction.at, before, after)) stack.push(state + 1);
        break;
    }
  }
  return false;
}

export function holds(
  at: Assertion,
  before: number | undefined,
  after: number | undefined,
): boolean {
  switch (at) {
    case "textStart":
      return before === undefined;
    case "textEnd":
      return after === undefined;
    case "lineStart":
      return before === undefined || before === 10;
    case "lineEnd":
      return after === undefined || after === 10;
    case "wordBoundary":
      return isWord(before) !== isWord(after);
    case "noWordBoundary":
      return isWord(before) === isWord(after);
  }
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && isWordCode(code);
}
