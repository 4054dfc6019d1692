import { labelValueProblems, qualifiedNameProblems } from "./label-names.ts";
import { parseInteger } from "./label-selector.ts";
import type { LabelOperator, LabelRequirement, LabelRequirements } from "./label-selector.ts";

const OPERATORS: Readonly<Record<string, LabelOperator>> = {
  in: "In",
  notin: "NotIn",
  "=": "In",
  "==": "In",
  "!=": "NotIn",
  ">": "Gt",
  "<": "Lt",
};

const END = "";

/**
 * Parses the `labelSelector` of a query as kubectl and clients write it: `a=b,c!=d,e in (x,y),!f,g`.
 * The grammar, the order of checks and the wording follow apimachinery `labels.Parse`.
 */
export function parseLabelSelector(text: string): LabelRequirements {
  try {
    return { kind: "parsed", requirements: new Parser(text).parse() };
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return { kind: "malformed", message: `unable to parse requirement: ${error.message}` };
  }
}

/** Ends the descent of the parser at the first thing that is wrong; never leaves this file. */
class SelectorError extends Error {}

class Parser {
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(text: string) {
    // Two-character operators first; blanks only separate.
    this.#tokens = text.match(/==|!=|[=!(),<>]|[^=!(),<>\s]+/g) ?? [];
  }

  parse(): readonly LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    if (this.#peek() === END) return requirements;
    if (!this.#startsRequirement()) this.#expected("!, identifier, or 'end of string'");
    for (;;) {
      requirements.push(this.#parseRequirement());
      const separator = this.#take();
      if (separator === END) return requirements;
      if (separator !== ",") fail(separator, "',' or 'end of string'");
      if (!this.#startsRequirement()) this.#expected("identifier after ','");
    }
  }

  #parseRequirement(): LabelRequirement {
    const negated = this.#peek() === "!";
    if (negated) this.#take();
    const key = this.#take();
    if (!isIdentifier(key)) fail(key, "identifier");
    const problems = qualifiedNameProblems(key);
    if (problems.length > 0) refuse("key", key, problems.join("; "));
    if (negated) return { key, operator: "DoesNotExist", values: [] };
    if (this.#peek() === END || this.#peek() === ",")
      return { key, operator: "Exists", values: [] };

    const sign = this.#take();
    const operator = Object.hasOwn(OPERATORS, sign) ? OPERATORS[sign] : undefined;
    if (operator === undefined) return fail(sign, "in, notin, =, ==, !=, gt, lt");
    const isSet = sign === "in" || sign === "notin";
    const values = isSet ? this.#parseValues() : [this.#parseExactValue()];
    checkValues(key, operator, values);
    return { key, operator, values };
  }

  /** `(x,y)`; an empty place between commas or brackets is the empty value. */
  #parseValues(): readonly string[] {
    const open = this.#take();
    if (open !== "(") fail(open, "'('");
    const values = new Set<string>();
    if (this.#peek() === ")") {
      throw new SelectorError(
        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
      );
    }
    for (;;) {
      values.add(isIdentifier(this.#peek()) ? this.#take() : "");
      const separator = this.#take();
      if (separator === ")") return [...values].toSorted();
      if (separator !== ",") fail(separator, "',' or ')'");
    }
  }

  #parseExactValue(): string {
    if (this.#peek() === END || this.#peek() === ",") return "";
    const value = this.#take();
    return isIdentifier(value) ? value : fail(value, "identifier");
  }

  #startsRequirement(): boolean {
    return this.#peek() === "!" || isIdentifier(this.#peek());
  }

  #peek(): string {
    return this.#tokens[this.#next] ?? END;
  }

  #take(): string {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #expected(what: string): never {
    return fail(this.#peek(), what);
  }
}

function isIdentifier(token: string): boolean {
  return token !== END && !/^[=!(),<>]/.test(token);
}

function checkValues(key: string, operator: LabelOperator, values: readonly string[]): void {
  for (const [i, value] of values.entries()) {
    if ((operator === "Gt" || operator === "Lt") && parseInteger(value) === undefined) {
      refuse(
        `values[${String(i)}]`,
        value,
        "for 'Gt', 'Lt' operators, the value must be an integer",
      );
    }
    const problems = labelValueProblems(value);
    if (problems.length > 0) refuse(`values[${String(i)}][${key}]`, value, problems.join("; "));
  }
}

function refuse(field: string, value: string, detail: string): never {
  throw new SelectorError(`${field}: Invalid value: ${JSON.stringify(value)}: ${detail}`);
}

function fail(found: string, expected: string): never {
  throw new SelectorError(`found '${found}', expected: ${expected}`);
}
