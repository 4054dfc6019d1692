import {
  listAttributes,
  readAttributes,
  readMessages,
  readText,
} from "../../kernel/netlink/message-reader.ts";
import type { NetlinkMessage } from "../../kernel/netlink/message-reader.ts";
import type { NetlinkFailure } from "../../kernel/netlink/netlink-socket.ts";
import { FAMILY_NUMBER, MESSAGE } from "../../kernel/nftables/batch.ts";
import type { TableFamily } from "../../kernel/nftables/batch.ts";

/** What of a transaction the kernel did not take. */
export interface RefusedPart {
  readonly kind: "table" | "set" | "chain" | "rule" | "expression" | "element";
  /** Of the expression, set or chain; a rule has its chain's, an element its set's. */
  readonly name: string;
  /** What it is in: a chain's name for a rule's expression. */
  readonly within: string;
  readonly family: TableFamily;
}

const MESSAGE_HEADER = 16;
const FAMILY_HEADER = 4;
const TABLE_NAME = 1;
const OBJECT_NAME = 2;
const CHAIN_NAME = 3;
const RULE_EXPRESSIONS = 4;
const EXPRESSION_NAME = 1;

/** Names what a refusal is about: the kernel says which message, and newer ones where in it. */
export function refusedPart(
  batch: Uint8Array,
  { sequence, offset }: Pick<NetlinkFailure, "sequence" | "offset">,
): RefusedPart | undefined {
  const message = readMessages(batch).find((each) => each.sequence === sequence);
  if (message === undefined) return undefined;
  const attributes = readAttributes(message.body, FAMILY_HEADER);
  const text = (type: number): string => readText(attributes.get(type));
  const family = message.body[0] === FAMILY_NUMBER.ip6 ? "ip6" : "ip";
  const about = { family, within: text(TABLE_NAME) } as const;
  switch (message.type) {
    case MESSAGE.newTable:
    case MESSAGE.deleteTable:
      return { kind: "table", name: text(TABLE_NAME), ...about };
    case MESSAGE.newChain:
      return { kind: "chain", name: text(CHAIN_NAME), ...about };
    case MESSAGE.newSet:
      return { kind: "set", name: text(OBJECT_NAME), ...about };
    case MESSAGE.newElement:
    case MESSAGE.deleteElement:
      return { kind: "element", name: text(OBJECT_NAME), ...about };
    case MESSAGE.newRule: {
      const chain = text(OBJECT_NAME);
      const expression = expressionAt(message, attributes.get(RULE_EXPRESSIONS), offset);
      return expression === undefined
        ? { kind: "rule", name: chain, ...about }
        : { kind: "expression", name: expression, family, within: chain };
    }
    default:
      return undefined;
  }
}

export function partText({ kind, name, within, family }: RefusedPart): string {
  switch (kind) {
    case "expression":
      return `expression ${name}, which chain ${within} of table ${family} needs`;
    case "rule":
      return `a rule of chain ${name} in table ${family} ${within}`;
    case "element":
      return `an element of ${name} in table ${family} ${within}`;
    case "table":
      return `table ${family} ${name}`;
    case "set":
    case "chain":
      return `${kind} ${name} of table ${family} ${within}`;
  }
}

/** The name of the rule's expression that the offset, from the message's start, lies in. */
function expressionAt(
  { body }: NetlinkMessage,
  list: Uint8Array | undefined,
  offset: number | undefined,
): string | undefined {
  if (list === undefined || offset === undefined) return undefined;
  const at = offset - MESSAGE_HEADER + body.byteOffset;
  for (const [, value] of listAttributes(list)) {
    const end = value.byteOffset + value.length;
    // The attribute's own header of four bytes stands before its value.
    if (at < value.byteOffset - 4 || at >= end) continue;
    return readText(readAttributes(value).get(EXPRESSION_NAME));
  }
  return undefined;
}
