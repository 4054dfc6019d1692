import {
  MAX_JSON_DEPTH,
  cloneJson,
  deepEqual,
  exceedsDepth,
  isJsonObject,
  setOwn,
} from "./json.ts";

/** As upstream: a longer patch is refused with 413. */
const MAX_JSON_PATCH_OPERATIONS = 10_000;

/** Characters of JSON that all `copy` operations, or all `move` ones, may take together; else a short patch grows, or costs, without bound. */
const MAX_COPIED = 3 * 1024 * 1024;

export type JsonPatched =
  | { readonly kind: "patched"; readonly value: unknown }
  /** Not a JSON patch at all: 400. */
  | { readonly kind: "malformed"; readonly message: string }
  /** More than 10,000 operations: 413. */
  | { readonly kind: "tooLong"; readonly message: string }
  /** An operation did not apply to this object: 422. */
  | { readonly kind: "failed"; readonly message: string };

/**
 * Applies a JSON patch (RFC 6902), all operations or none. Neither argument is changed.
 * Texts follow the library that upstream uses.
 */
export function applyJsonPatch(target: unknown, patch: unknown): JsonPatched {
  if (!Array.isArray(patch)) {
    return { kind: "malformed", message: "a JSON patch must be a list of operations" };
  }
  if (patch.length > MAX_JSON_PATCH_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${String(MAX_JSON_PATCH_OPERATIONS)}, got ${String(patch.length)}`;
    return { kind: "tooLong", message };
  }
  const operations = patch.filter(isJsonObject);
  if (operations.length < patch.length) {
    return { kind: "malformed", message: "each operation of a JSON patch must be an object" };
  }
  const document = new Document(cloneJson(target));
  try {
    for (const operation of operations) document.apply(operation);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return { kind: "failed", message: error.message };
  }
  return { kind: "patched", value: document.root };
}

/** Ends the patch at the first operation that does not apply; never leaves this file. */
class OperationError extends Error {}

type Container = Record<string, unknown> | unknown[];

class Document {
  root: unknown;
  readonly #charged = { copy: 0, move: 0 };

  constructor(root: unknown) {
    this.root = root;
  }

  apply(operation: Readonly<Record<string, unknown>>): void {
    const op = operation["op"];
    const path = operation["path"];
    if (typeof path !== "string") throw new OperationError(`${String(op)} operation has no path`);
    switch (op) {
      case "add":
        this.#add(path, cloneJson(valueOf(operation, op)), op);
        return;
      case "remove":
        this.#remove(path, op);
        return;
      case "replace":
        this.#replace(path, cloneJson(valueOf(operation, op)));
        return;
      case "test":
        this.#test(path, operation["value"] ?? null);
        return;
      case "move": {
        const from = fromOf(operation, op);
        if (path.startsWith(`${from}/`)) {
          throw new OperationError(`move operation puts ${from} into itself at ${path}`);
        }
        const value = this.#get(from, op);
        this.#charge(value, op);
        this.#remove(from, op);
        this.#add(path, value, op);
        return;
      }
      case "copy": {
        const value = cloneJson(this.#get(fromOf(operation, op), op));
        this.#charge(value, op);
        this.#add(path, value, op);
        return;
      }
      default:
        throw new OperationError(`Unexpected kind: ${String(op)}`);
    }
  }

  #charge(value: unknown, op: "copy" | "move"): void {
    const total = this.#charged[op] + JSON.stringify(value).length;
    this.#charged[op] = total;
    if (total <= MAX_COPIED) return;
    throw new OperationError(
      `Unable to complete the ${op}, the accumulated size increase of ${op} is ${String(total)}, exceeding the limit ${String(MAX_COPIED)}`,
    );
  }

  #add(path: string, value: unknown, op: string): void {
    checkDepth(path, value);
    if (path === "") {
      this.root = value;
      return;
    }
    const { container, key } = this.#locate(path, op);
    if (!Array.isArray(container)) setOwn(container, key, value);
    else if (key === "-") container.push(value);
    else container.splice(indexIn(container.length + 1, key, path, op), 0, value);
  }

  #remove(path: string, op: string): void {
    const { container, key } = this.#locate(path, op);
    if (Array.isArray(container)) {
      container.splice(indexIn(container.length, key, path, op), 1);
      return;
    }
    if (!Object.hasOwn(container, key)) throw missing(op, "path", path);
    Reflect.deleteProperty(container, key);
  }

  #replace(path: string, value: unknown): void {
    checkDepth(path, value);
    if (path === "") {
      this.root = value;
      return;
    }
    const { container, key } = this.#locate(path, "replace");
    if (Array.isArray(container)) {
      container[indexIn(container.length, key, path, "replace")] = value;
      return;
    }
    if (!Object.hasOwn(container, key)) throw missing("replace", "key", path);
    setOwn(container, key, value);
  }

  #test(path: string, expected: unknown): void {
    // A missing value equals null, as upstream.
    const actual = this.#find(path) ?? null;
    if (!deepEqual(actual, expected)) {
      throw new OperationError(`testing value ${path} failed: test failed`);
    }
  }

  #get(path: string, op: string): unknown {
    const value = this.#find(path);
    if (value === undefined) throw missing(op, "path", path);
    return value;
  }

  #find(path: string): unknown {
    let value: unknown = this.root;
    for (const key of tokensOf(path)) {
      if (Array.isArray(value)) value = /^(0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined;
      else if (isJsonObject(value) && Object.hasOwn(value, key)) value = value[key];
      else return undefined;
    }
    return value;
  }

  #locate(path: string, op: string): { readonly container: Container; readonly key: string } {
    const cut = path.lastIndexOf("/");
    const key = tokensOf(path).at(-1);
    const container = cut === -1 ? undefined : this.#find(path.slice(0, cut));
    if (key === undefined || !isContainer(container)) throw missing(op, "path", path);
    return { container, key };
  }
}

/** Else a few operations that copy the object into itself make it too deep for everything that recurses. */
function checkDepth(path: string, value: unknown): void {
  if (exceedsDepth(value, MAX_JSON_DEPTH - tokensOf(path).length)) {
    throw new OperationError("exceeded max depth");
  }
}

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

/** The keys of a JSON pointer (RFC 6901). */
function tokensOf(path: string): readonly string[] {
  if (path === "") return [];
  if (!path.startsWith("/")) throw new OperationError(`path ${path} does not start with /`);
  const tokens = path.slice(1).split("/");
  return tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function indexIn(length: number, key: string, path: string, op: string): number {
  const index = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
  if (index < 0 || index >= length) {
    throw new OperationError(
      `${op} operation does not apply: doc is missing path: ${path}: index ${key} is outside of the list`,
    );
  }
  return index;
}

function valueOf(operation: Readonly<Record<string, unknown>>, op: string): unknown {
  if (!Object.hasOwn(operation, "value")) throw new OperationError(`${op} operation has no value`);
  return operation["value"];
}

function fromOf(operation: Readonly<Record<string, unknown>>, op: string): string {
  const from = operation["from"];
  if (typeof from !== "string") throw new OperationError(`${op} operation has no from`);
  return from;
}

function missing(op: string, what: "path" | "key", path: string): OperationError {
  return new OperationError(
    `${op} operation does not apply: doc is missing ${what}: ${path}: missing value`,
  );
}
