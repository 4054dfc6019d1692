import { isJsonObject, setOwn } from "../json.ts";
import { decodeScalar } from "../decode-scalar.ts";
import type { ScalarName } from "../schema.ts";
import { pathText } from "./path-element.ts";
import { itemElement, memberOf, shapeFor } from "./shape.ts";
import type { ListShape, RecordShape, Shape } from "./shape.ts";

export type Config =
  | { readonly kind: "config"; readonly value: unknown }
  /** As structured-merge-diff words it: `.spec.nope: field not declared in schema`. */
  | { readonly kind: "malformed"; readonly message: string };

/**
 * Checks a configuration against its type: nothing in it may be undeclared, and no two items of a list may have
 * one name. Scalars come out in canonical form, so that `1000m` is no change to `1`; all else as it was given,
 * for what is given is what is owned, zeros and nulls too.
 */
export function readConfig(shape: Shape, value: unknown): Config {
  const read = new Reading();
  const result = read.value(shape, value, []);
  const [first] = read.problems;
  if (first === undefined) return { kind: "config", value: result };
  const message =
    read.problems.length === 1
      ? first
      : ["errors:", ...read.problems.map((one) => `  ${one}`)].join("\n");
  return { kind: "malformed", message };
}

class Reading {
  readonly problems: string[] = [];

  value(type: Shape, value: unknown, path: readonly string[]): unknown {
    if (value === null || value === undefined) return value;
    const shape = shapeFor(type, value);
    switch (shape.kind) {
      case "scalar":
        return this.#scalar(shape.scalar, value, path);
      case "list":
        if (Array.isArray(value)) return this.#items(shape, value, path);
        break;
      case "record":
        if (isJsonObject(value)) return this.#members(shape, value, path);
        break;
    }
    const wanted = shape.kind === "list" ? "list" : "map";
    return this.#problem(path, `expected ${wanted}, got ${goText(value)}`);
  }

  #scalar(scalar: ScalarName, value: unknown, path: readonly string[]): unknown {
    const wanted = WANTED[scalar];
    if (wanted !== undefined && !wanted.types.includes(typeof value)) {
      const got =
        wanted.text === "numeric (int or float)"
          ? goType(value)
          : wanted.text === "string"
            ? `&value.valueUnstructured{Value:${goLiteral(value)}}`
            : goText(value);
      return this.#problem(path, `expected ${wanted.text}, got ${got}`);
    }
    const decoded = decodeScalar(scalar, value);
    // What is well typed and yet no value is told when the whole object is decoded.
    return decoded.kind === "value" ? decoded.value : value;
  }

  #items(shape: ListShape, items: readonly unknown[], path: readonly string[]): unknown {
    const seen = new Set<string>();
    return items.map((item, i) => {
      const at = shape.atomic
        ? { kind: "element" as const, element: `i:${String(i)}` }
        : itemElement(shape, item);
      if (at.kind === "nameless") return this.#problem(path, `element ${String(i)}: ${at.why}`);
      if (seen.has(at.element)) {
        this.#problem(path, `duplicate entries for key ${pathText([at.element])}`);
      }
      seen.add(at.element);
      return this.value(shape.element, item, [...path, at.element]);
    });
  }

  #members(
    shape: RecordShape,
    object: Readonly<Record<string, unknown>>,
    path: readonly string[],
  ): unknown {
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(object)) {
      const member = memberOf(shape, key);
      if (member === undefined) {
        this.#problem([...path, `f:${key}`], "field not declared in schema");
        break;
      }
      setOwn(result, key, this.value(member.shape, object[key], [...path, member.element]));
    }
    return result;
  }

  #problem(path: readonly string[], message: string): undefined {
    this.problems.push(path.length === 0 ? message : `${pathText(path)}: ${message}`);
  }
}

const STRING = { text: "string", types: ["string"] };
const NUMBER = { text: "numeric (int or float)", types: ["number"] };
const ANY = { text: "any scalar", types: ["string", "number", "boolean"] };

/** Which JSON types a scalar takes; any other value is refused. `json` takes all. */
const WANTED: Readonly<
  Record<ScalarName, { readonly text: string; readonly types: readonly string[] } | undefined>
> = {
  string: STRING,
  bytes: STRING,
  boolean: { text: "boolean", types: ["boolean"] },
  int32: NUMBER,
  int64: NUMBER,
  double: NUMBER,
  quantity: ANY,
  intOrString: ANY,
  time: ANY,
  microTime: ANY,
  json: undefined,
};

function goType(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isJsonObject(value)) return "map[string]interface {}";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** As Go's `%#v`. */
function goLiteral(value: unknown): string {
  return typeof value === "object" ? goType(value) : JSON.stringify(value);
}

/** As Go's `%v` of the box that the value is in. */
function goText(value: unknown): string {
  return `&{${inner(value)}}`;
}

function inner(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inner).join(" ")}]`;
  if (isJsonObject(value)) {
    const pairs = Object.keys(value).toSorted();
    return `map[${pairs.map((key) => `${key}:${inner(value[key])}`).join(" ")}]`;
  }
  return typeof value === "string" ? value : value === null ? "<nil>" : JSON.stringify(value);
}
