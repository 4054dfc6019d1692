import { foldName, formatDomainName, isWithin } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import type { Message, ResourceRecord } from "./message.ts";
import { TYPE, typeOf } from "./message.ts";

/**
 * The answer with only what answers its question: records of the name asked for and of those that its aliases
 * lead to, and of the authority only zones above these (the bailiwick). A server is believed on what it was
 * asked, not on whatever else it says (RFC 2181 section 5.4.1).
 */
export function relevantPart(message: Message): Message {
  const { question } = message;
  if (question === undefined) return message;
  const names = chainOf(foldName(question.name), message.answers);
  const owners = new Map(message.answers.map((record) => [record, foldName(record.name)]));
  const folded = (record: ResourceRecord): DomainName =>
    owners.get(record) ?? foldName(record.name);
  const inChain = (record: ResourceRecord): boolean => {
    const owner = folded(record);
    if (names.has(formatDomainName(owner))) return true;
    // A DNAME, and its signature, stand above the name that they redirect.
    const isAbove = [...names.values()].some((name) => isWithin(name, owner));
    return isAbove && (typeOf(record.data) === DNAME || typeOf(record.data) === RRSIG);
  };
  const inBailiwick = (record: ResourceRecord): boolean => {
    const owner = folded(record);
    return [...names.values()].some((name) => isWithin(name, owner)) || isProof(record);
  };
  return {
    ...message,
    answers: message.answers.filter(inChain),
    authority: message.authority.filter(inBailiwick),
    // Nobody here looks into it, and clients must not have to wonder whether it is true.
    additional: message.additional.filter((record) => isTarget(record, message.answers)),
  };
}

const DNAME = 39;
const RRSIG = 46;
const NSEC = 47;
const NSEC3 = 50;

/** Proofs of absence have the owner that the signer chose; who wants signatures checks them. */
function isProof({ data }: ResourceRecord): boolean {
  const type = typeOf(data);
  return type === NSEC || type === NSEC3 || type === RRSIG;
}

function isTarget({ name, data }: ResourceRecord, answers: readonly ResourceRecord[]): boolean {
  const type = typeOf(data);
  if (type !== TYPE.A && type !== TYPE.AAAA) return false;
  const owner = formatDomainName(foldName(name));
  return answers.some(({ data: answer }) =>
    namesIn(answer).some((target) => formatDomainName(foldName(target)) === owner),
  );
}

/** The names that records of the types which clients follow point to. */
function namesIn(data: ResourceRecord["data"]): readonly DomainName[] {
  if ("target" in data) return [data.target];
  return data.kind === "other"
    ? data.parts.flatMap((part) => (part instanceof Uint8Array ? [] : [part]))
    : [];
}

/** The names from the question's on along the aliases, folded, by their text. */
function chainOf(
  start: DomainName,
  answers: readonly ResourceRecord[],
): ReadonlyMap<string, DomainName> {
  const aliases = new Map<string, DomainName>();
  for (const { name, data } of answers) {
    if (data.kind === "CNAME") aliases.set(formatDomainName(foldName(name)), foldName(data.target));
  }
  const chain = new Map<string, DomainName>();
  for (let name: DomainName | undefined = start; name !== undefined; ) {
    const text = formatDomainName(name);
    if (chain.has(text)) break;
    chain.set(text, name);
    name = aliases.get(text);
  }
  return chain;
}
