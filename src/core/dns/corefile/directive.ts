import { parseIpAddress } from "../../../net/address.ts";
import type { IpAddress } from "../../../net/address.ts";
import { parseHostPort, parsePort } from "../../../net/host-port.ts";
import type { Port } from "../../../net/host-port.ts";
import { foldName, parseDomainName } from "../domain-name.ts";
import type { DomainName } from "../domain-name.ts";
import { CorefileError } from "./corefile-error.ts";
import type { Position } from "./corefile-error.ts";
import type { Statement } from "./statements.ts";

/**
 * A statement being read as a directive: its arguments one after the other, each with an error that names the
 * line and the directive when it is not what it should be.
 */
export class Directive {
  readonly name: string;
  readonly #at: Position;
  readonly #path: string;
  readonly #words: readonly string[];
  readonly #block: readonly Statement[] | undefined;
  #next = 1;

  constructor(statement: Statement, parent?: string) {
    this.name = statement.words[0] ?? "";
    this.#at = statement;
    this.#path = parent === undefined ? this.name : `${parent}: ${this.name}`;
    this.#words = statement.words;
    this.#block = statement.block;
  }

  fail(problem: string): never {
    throw new CorefileError(this.#at, `${this.#path}: ${problem}`);
  }

  /** The next argument, or undefined behind the last. */
  optional(): string | undefined {
    const word = this.#words[this.#next];
    if (word !== undefined) this.#next += 1;
    return word;
  }

  /** @param what names it in the error when it is missing, such as "a duration". */
  required(what: string): string {
    return this.optional() ?? this.fail(`${what} is missing`);
  }

  rest(): readonly string[] {
    const words = this.#words.slice(this.#next);
    this.#next = this.#words.length;
    return words;
  }

  /** What is left must be nothing. */
  end(): void {
    const word = this.optional();
    if (word !== undefined) this.fail(`${JSON.stringify(word)} is too much here`);
    if (this.#block !== undefined) this.fail("it has no options in braces");
  }

  /**
   * The options between braces, each read by the function of its name.
   * An option that has none is refused by its name, like everything that is not supported.
   */
  options(readers: Readonly<Record<string, (option: Directive) => void>>): void {
    const word = this.optional();
    if (word !== undefined) this.fail(`${JSON.stringify(word)} is too much here`);
    for (const statement of this.#block ?? []) {
      const option = new Directive(statement, this.#path);
      const read = Object.hasOwn(readers, option.name) ? readers[option.name] : undefined;
      if (read === undefined) {
        return option.fail(`is not supported; there are ${namesOf(readers)}`);
      }
      read(option);
      option.end();
    }
  }

  /** The statements between braces, for directives whose lines are no options. */
  lines(): readonly Statement[] {
    return this.#block ?? [];
  }

  duration(what: string): number {
    const text = this.required(what);
    const ms =
      parseDuration(text) ?? this.fail(`${JSON.stringify(text)} is no duration such as 5s`);
    if (ms > MAX_WAIT_MS) this.fail(`${JSON.stringify(text)} is longer than 24 days (576h)`);
    return ms;
  }

  integer(what: string, min: number, max: number): number {
    const text = this.required(what);
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    return this.fail(`${JSON.stringify(text)} is no ${what} from ${String(min)} to ${String(max)}`);
  }

  /** One of some words; the default when there is no argument and one is given. */
  oneOf<const T extends string>(what: string, words: readonly T[], fallback?: T): T {
    const text = this.optional() ?? fallback;
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    return this.fail(
      text === undefined
        ? `${what} is missing; there are ${words.join(", ")}`
        : `${JSON.stringify(text)} is not supported; there are ${words.join(", ")}`,
    );
  }

  zone(text: string): DomainName {
    const name = parseDomainName(text);
    return name === undefined
      ? this.fail(`${JSON.stringify(text)} is no domain name`)
      : foldName(name);
  }

  address(text: string): IpAddress {
    return parseIpAddress(text) ?? this.fail(`${JSON.stringify(text)} is no IP address`);
  }

  /** `ADDRESS:PORT` or `:PORT`, which stands for every address of both families; the default without an argument. */
  listen(fallback: string): ListenOn {
    const text = this.optional() ?? fallback;
    const port = /^(?:localhost)?:(\d+)$/.exec(text)?.[1];
    const onPort = port === undefined ? undefined : parsePort(port);
    const parsed =
      onPort === undefined
        ? parseHostPort(text)
        : { address: this.address(text.startsWith(":") ? "::" : "127.0.0.1"), port: onPort };
    return parsed ?? this.fail(`${JSON.stringify(text)} is no ADDRESS:PORT`);
  }
}

/** Timers take 31 bits of milliseconds, and what is more they take for nothing. */
export const MAX_WAIT_MS = 24 * 24 * 3_600_000;

export interface ListenOn {
  readonly address: IpAddress;
  readonly port: Port;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration as Go writes it: `5s`, `1m30s`, `500ms`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number = "", unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(number) * (UNIT_MS[unit] ?? 0);
  }
  return sum;
}

function namesOf(readers: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(readers);
  return names.length === 0 ? "no options" : names.join(", ");
}
