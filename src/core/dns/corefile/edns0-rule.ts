import { OPTION_FACTS } from "../upstream-options.ts";
import type { OptionRule } from "../upstream-options.ts";
import type { Directive } from "./directive.ts";

const CODES = { nsid: 3, subnet: 8 } as const;
const ACTIONS = ["set", "append", "unset"] as const;

/**
 * What is behind `rewrite edns0`: `local ACTION CODE DATA`, `nsid ACTION` or `subnet ACTION IPV4BITS IPV6BITS`, each
 * with `revert` or without: options never come back to clients here.
 */
export function readOptionRule(directive: Directive, words: readonly string[]): OptionRule {
  const [kind = "", actionText = "", ...rest] =
    words.at(-1) === "revert" ? words.slice(0, -1) : words;
  const action = ACTIONS.find((each) => each === actionText);
  if (action === undefined) {
    return directive.fail(
      `edns0 ${kind} ${actionText} is not supported, for no option of a client is passed on; there are ${ACTIONS.join(", ")}`,
    );
  }
  const expect = (count: number): void => {
    const wanted = action === "unset" ? Math.min(count, 1) : count;
    if (rest.length !== wanted) {
      directive.fail(`edns0 ${kind} ${action} needs ${String(wanted)} words behind it`);
    }
  };
  switch (kind) {
    case "local": {
      expect(2);
      const [code = "", data = ""] = rest;
      return { code: numberOf(directive, code, 0xffff), action, value: dataOf(directive, data) };
    }
    case "nsid":
      expect(0);
      return { code: CODES.nsid, action, value: { kind: "bytes", bytes: new Uint8Array() } };
    case "subnet": {
      if (action !== "unset") expect(2);
      const [four = "0", six = "0"] = rest;
      const [ipv4Bits, ipv6Bits] = [numberOf(directive, four, 32), numberOf(directive, six, 128)];
      return { code: CODES.subnet, action, value: { kind: "subnet", ipv4Bits, ipv6Bits } };
    }
    default:
      return directive.fail(`edns0 ${kind} is not supported; there are local, nsid, subnet`);
  }
}

function dataOf(directive: Directive, text: string): OptionRule["value"] {
  const placeholder = /^\{(.*)\}$/.exec(text)?.[1];
  if (placeholder !== undefined) {
    const fact = OPTION_FACTS.find((each) => each === placeholder);
    const known = OPTION_FACTS.map((each) => `{${each}}`).join(", ");
    if (fact === undefined) directive.fail(`edns0: ${text} is not supported; there are ${known}`);
    return { kind: "fact", fact: fact ?? "qname" };
  }
  const hex = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1];
  if (hex === undefined) return { kind: "bytes", bytes: textBytes(text) };
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return { kind: "bytes", bytes };
}

function textBytes(text: string): Uint8Array {
  return Uint8Array.from(Array.from(text, (character) => character.charCodeAt(0) & 0xff));
}

function numberOf(directive: Directive, text: string, max: number): number {
  const value = /^(?:\d{1,5}|0x[0-9a-f]{1,4})$/i.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  return directive.fail(`edns0: ${JSON.stringify(text)} is no number from 0 to ${String(max)}`);
}
