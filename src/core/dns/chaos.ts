import { foldName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import type { Reply } from "./reply.ts";

/** The class in which servers say something of themselves (RFC 4892). */
const CLASS_CH = 3;

export interface ServerFacts {
  readonly version: string;
  readonly authors: readonly string[];
  readonly hostname: string;
}

/** TXT of `version.bind`, `authors.bind`, `hostname.bind` and their like. @returns undefined for other names. */
export function answerChaos(question: Question, facts: ServerFacts): Reply | undefined {
  if (question.class !== CLASS_CH || question.type !== TYPE.TXT) return undefined;
  const texts = textsOf(foldName(question.name).join("."), facts);
  if (texts === undefined) return undefined;
  const answers = texts.map(
    (text): ResourceRecord => ({
      name: question.name,
      class: CLASS_CH,
      ttlSeconds: 0,
      data: { kind: "TXT", strings: [text.slice(0, 255)] },
    }),
  );
  return { rcode: RCODE.NOERROR, authoritative: true, answers };
}

function textsOf(name: string, facts: ServerFacts): readonly string[] | undefined {
  switch (name) {
    case "version.bind":
    case "version.server":
      return [facts.version];
    case "authors.bind":
      return facts.authors;
    case "hostname.bind":
    case "id.server":
      return [facts.hostname];
    default:
      return undefined;
  }
}
