import { holds } from "../../api/apiextensions/pattern.ts";
import { PatternError, parsePattern } from "../../api/apiextensions/pattern-parse.ts";
import type { Assertion, Node } from "../../api/apiextensions/pattern-parse.ts";

/**
 * Regular expressions in RE2's syntax that say what their groups matched, as Corefiles have them. Names come
 * from anybody: each place of the pattern is tried once at each place of the text, so that the time is bounded
 * by their product, whatever the pattern. What comes first in the pattern is preferred, as in Go and Perl.
 */
export interface NamePattern {
  readonly source: string;
  /** The names of groups that have one. */
  readonly groupNames: ReadonlyMap<string, number>;
  /** How many groups there are, the whole not counted. */
  readonly groups: number;
  /** The first match: the whole and its groups, undefined for a group that took no part. */
  exec(text: string): NameMatch | undefined;
}

export interface NameMatch {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly (string | undefined)[];
}

type Instruction =
  | { readonly kind: "match" }
  | { readonly kind: "class"; readonly matches: (code: number) => boolean }
  | { readonly kind: "assert"; readonly at: Assertion }
  /** The first target is preferred. */
  | { readonly kind: "split"; targets: readonly number[] }
  | { readonly kind: "save"; readonly slot: number };

/** With a name of at most a thousand characters, written out, a match takes some milliseconds at worst. */
const MAX_INSTRUCTIONS = 2000;

/** @returns what is wrong, in words, when the pattern cannot be used. */
export function parseNamePattern(source: string): NamePattern | { readonly problem: string } {
  try {
    return compile(source);
  } catch (error) {
    if (error instanceof PatternError) return { problem: error.message };
    throw error;
  }
}

function compile(source: string): NamePattern {
  const program: Instruction[] = [];
  const groupNames = new Map<string, number>();
  let groups = 0;
  const push = (instruction: Instruction): number => {
    if (program.length >= MAX_INSTRUCTIONS) throw new PatternError("the pattern is too large");
    return program.push(instruction) - 1;
  };
  const split = (): { readonly at: number; to(...targets: readonly number[]): void } => {
    const instruction: Instruction = { kind: "split", targets: [] };
    const at = push(instruction);
    return { at, to: (...targets) => void (instruction.targets = targets) };
  };
  const repeat = ({ of, min, max, isLazy }: Extract<Node, { kind: "repeat" }>): void => {
    const order = (more: number, end: number): readonly number[] =>
      isLazy ? [end, more] : [more, end];
    for (let i = 0; i < min; i++) emit(of);
    if (max === Number.POSITIVE_INFINITY) {
      const choice = split();
      emit(of);
      split().to(choice.at);
      choice.to(...order(choice.at + 1, program.length));
      return;
    }
    const choices = Array.from({ length: max - min }, () => {
      const choice = split();
      emit(of);
      return choice;
    });
    for (const choice of choices) choice.to(...order(choice.at + 1, program.length));
  };
  const emit = (node: Node): void => {
    switch (node.kind) {
      case "empty":
        return;
      case "class":
      case "assert":
        push(node);
        return;
      case "sequence":
        for (const part of node.parts) emit(part);
        return;
      case "choice": {
        const choice = split();
        const starts: number[] = [];
        const ends = node.options.map((option) => {
          starts.push(program.length);
          emit(option);
          return split();
        });
        choice.to(...starts);
        for (const end of ends) end.to(program.length);
        return;
      }
      case "group":
        groups = Math.max(groups, node.number);
        if (node.name !== undefined) groupNames.set(node.name, node.number);
        push({ kind: "save", slot: 2 * node.number });
        emit(node.of);
        push({ kind: "save", slot: 2 * node.number + 1 });
        return;
      case "repeat":
        repeat(node);
        return;
    }
  };
  emit(parsePattern(source));
  push({ kind: "match" });
  return { source, groupNames, groups, exec: (text) => search(program, groups, text) };
}

function search(
  program: readonly Instruction[],
  groups: number,
  text: string,
): NameMatch | undefined {
  // Shared by all starts: what failed from a place fails from there again.
  const tried = new Uint8Array(program.length * (text.length + 1));
  for (let start = 0; start <= text.length; start++) {
    const slots = matchAt(program, text, start, groups, tried);
    if (slots === undefined) continue;
    const found = Array.from({ length: groups + 1 }, (_, i) => {
      const [from = -1, to = -1] = [slots[2 * i], slots[2 * i + 1]];
      return from < 0 || to < 0 ? undefined : text.slice(from, to);
    });
    return { start, end: slots[1] ?? start, groups: found };
  }
  return undefined;
}

/** A place to try, or a slot to put back when all that was tried behind it failed. */
type Step =
  | { readonly pc: number; readonly at: number }
  | { readonly slot: number; readonly before: number };

/** @returns where each group starts and ends, -1 for nowhere. */
function matchAt(
  program: readonly Instruction[],
  text: string,
  start: number,
  groups: number,
  tried: Uint8Array,
): readonly number[] | undefined {
  const slots = Array.from({ length: 2 * groups + 2 }, () => -1);
  const stack: Step[] = [{ pc: 0, at: start }];
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    if ("slot" in step) {
      slots[step.slot] = step.before;
      continue;
    }
    const { pc, at } = step;
    const place = pc * (text.length + 1) + at;
    if (tried[place] === 1) continue;
    tried[place] = 1;
    const instruction = program[pc];
    const code = at < text.length ? text.charCodeAt(at) : undefined;
    switch (instruction?.kind) {
      case undefined:
        break;
      case "match":
        return [start, at, ...slots.slice(2)];
      case "class":
        if (code !== undefined && instruction.matches(code)) stack.push({ pc: pc + 1, at: at + 1 });
        break;
      case "assert": {
        const before = at > 0 ? text.charCodeAt(at - 1) : undefined;
        if (holds(instruction.at, before, code)) stack.push({ pc: pc + 1, at });
        break;
      }
      case "split":
        for (const target of instruction.targets.toReversed()) stack.push({ pc: target, at });
        break;
      case "save":
        stack.push({ slot: instruction.slot, before: slots[instruction.slot] ?? -1 });
        slots[instruction.slot] = at;
        stack.push({ pc: pc + 1, at });
        break;
    }
  }
  return undefined;
}
