import { getOwn, isJsonObject } from "../machinery/json.ts";

/**
 * The JSONPath that columns, scale and selectable fields are written in: children, quoted children, indices,
 * wildcards and filters that compare one field, e.g. `.status.conditions[?(@.type=="Ready")].status`.
 */
export type JsonPath = readonly Step[];

type Step =
  | { readonly kind: "child"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "every" }
  | {
      readonly kind: "filter";
      readonly path: JsonPath;
      /** undefined: the field is there. */
      readonly operator: string | undefined;
      readonly operand: unknown;
    };

export type ParsedPath =
  | { readonly kind: "parsed"; readonly path: JsonPath }
  | { readonly kind: "malformed"; readonly message: string };

/** Paths are short; parsing must stay so. */
const MAX_LENGTH = 4096;
const OPERATORS = ["==", "!=", "<=", ">=", "<", ">"] as const;

/** Reads a path that starts with a dot or a bracket. */
export function parseJsonPath(text: string): ParsedPath {
  if (text.length > MAX_LENGTH) return malformed(`longer than ${String(MAX_LENGTH)} characters`);
  const steps: Step[] = [];
  let rest = text;
  while (rest !== "") {
    const step = takeStep(rest);
    if (typeof step === "string") return malformed(step);
    if (step.step !== undefined) steps.push(step.step);
    rest = step.rest;
  }
  return { kind: "parsed", path: steps };
}

/** Whether the path names one field by names alone, as scale and selectable fields ask. */
export function namesOf(path: JsonPath): readonly string[] | undefined {
  const names = path.map((step) => (step.kind === "child" ? step.name : undefined));
  return names.every((name) => name !== undefined) ? names : undefined;
}

/** The first value that the path leads to; undefined when there is none. */
export function firstAt(path: JsonPath, value: unknown): unknown {
  return valuesAt(path, value).next().value;
}

function* valuesAt(path: JsonPath, value: unknown): Generator<unknown, undefined> {
  const [step, ...rest] = path;
  if (step === undefined) {
    if (value !== undefined) yield value;
    return undefined;
  }
  for (const inner of follow(step, value)) yield* valuesAt(rest, inner);
  return undefined;
}

function follow(step: Step, value: unknown): readonly unknown[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  switch (step.kind) {
    case "child":
      return isJsonObject(value) ? [getOwn(value, step.name)] : [];
    case "index":
      return [items.at(step.index)];
    case "every":
      return isJsonObject(value) ? Object.values(value) : items;
    case "filter":
      return items.filter((item) => {
        const actual = firstAt(step.path, item);
        return step.operator === undefined
          ? actual !== undefined
          : compare(actual, step.operator, step.operand);
      });
  }
}

function compare(actual: unknown, operator: string, operand: unknown): boolean {
  if (typeof actual !== typeof operand) return false;
  switch (operator) {
    case "==":
      return actual === operand;
    case "!=":
      return actual !== operand;
    default:
      break;
  }
  // Of one type, as just checked.
  const [a, b] = [actual, operand] as [number, number];
  switch (operator) {
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

type Taken = { readonly step: Step | undefined; readonly rest: string };

/** @returns a text when there is something wrong. */
function takeStep(text: string): Taken | string {
  if (text.startsWith("..")) return "recursive descent is not supported";
  if (text.startsWith(".")) return takeName(text.slice(1));
  if (text.startsWith("[")) return takeBracket(text);
  return `unexpected text: ${text}`;
}

/** A name ends at a dot or bracket that is not escaped. */
function takeName(text: string): Taken | string {
  const match = /^(?:[^.[\]\\]|\\.)*/.exec(text)?.[0] ?? "";
  const rest = text.slice(match.length);
  if (rest.startsWith("]") || rest.startsWith("\\")) return `unexpected text: ${rest}`;
  if (match === "*") return { step: { kind: "every" }, rest };
  // ".[0]" and a lone "." say nothing between the dots.
  if (match === "") return { step: undefined, rest };
  return { step: { kind: "child", name: match.replaceAll(/\\(.)/g, "$1") }, rest };
}

function takeBracket(text: string): Taken | string {
  const quoted = /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/.exec(text);
  if (quoted !== null) {
    const name = (quoted[1] ?? quoted[2] ?? "").replaceAll(/\\(.)/g, "$1");
    return { step: { kind: "child", name }, rest: text.slice(quoted[0].length) };
  }
  const index = /^\[(-?\d{1,9})\]/.exec(text);
  if (index !== null) {
    return { step: { kind: "index", index: Number(index[1]) }, rest: text.slice(index[0].length) };
  }
  if (text.startsWith("[*]")) return { step: { kind: "every" }, rest: text.slice(3) };
  if (text.startsWith("[?(")) return takeFilter(text);
  return `unterminated or unsupported array: ${text}`;
}

/** `[?(@.a.b == "c")]` */
function takeFilter(text: string): Taken | string {
  const match =
    /^\[\?\(\s?@((?:[^\\=!<>"')]|\\.)*?)\s?(?:(==|!=|<=|>=|<|>)\s?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"')\s]+))?\s?\)\]/.exec(
      text,
    );
  if (match === null) return `unterminated or unsupported filter: ${text}`;
  const parsed = parseJsonPath((match[1] ?? "").trim());
  if (parsed.kind === "malformed") return parsed.message;
  const operator = OPERATORS.find((one) => one === match[2]);
  const operand = match[3] === undefined ? undefined : operandOf(match[3]);
  if (operator !== undefined && operand === undefined)
    return `unsupported operand: ${match[3] ?? ""}`;
  const step: Step = { kind: "filter", path: parsed.path, operator, operand };
  return { step, rest: text.slice(match[0].length) };
}

function operandOf(text: string): string | number | boolean | undefined {
  if (/^["']/.test(text)) return text.slice(1, -1).replaceAll(/\\(.)/g, "$1");
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function malformed(message: string): ParsedPath {
  return { kind: "malformed", message };
}
