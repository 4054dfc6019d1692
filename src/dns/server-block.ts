import type { AccessAction, AccessRule } from "../core/dns/access.ts";
import { orderedAnswers } from "../core/dns/address-order.ts";
import type { AddressOrder } from "../core/dns/address-order.ts";
import { answer, zoneOf } from "../core/dns/answer.ts";
import type { Decision } from "../core/dns/answer.ts";
import { answerChaos } from "../core/dns/chaos.ts";
import type { ServerFacts } from "../core/dns/chaos.ts";
import type { Query } from "../core/dns/decode.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import type { TransferConfig } from "../core/dns/corefile/small-directives.ts";
import { foldName, isWithin, sameName } from "../core/dns/domain-name.ts";
import type { DomainName } from "../core/dns/domain-name.ts";
import { RCODE, TYPE, typeOf } from "../core/dns/message.ts";
import type { Question, ResourceRecord } from "../core/dns/message.ts";
import type { HostsTable } from "../core/dns/hosts-table.ts";
import type { ZoneOptions } from "../core/dns/records.ts";
import type { Reply } from "../core/dns/reply.ts";
import { redirectAlias, restoreReply, rewriteQuestion } from "../core/dns/rewrite.ts";
import type { RewriteRule, Rewritten } from "../core/dns/rewrite.ts";
import { answerFromTemplates } from "../core/dns/template.ts";
import type { Template, Templated } from "../core/dns/template.ts";
import { upstreamOptions } from "../core/dns/upstream-options.ts";
import type { Asker } from "../core/dns/upstream-options.ts";
import type { Forwarded, Forwarder } from "./forwarder.ts";
import type { LoggedAnswer } from "./query-log.ts";

/** How one group of zones is answered: what stands between braces in a Corefile. */
export interface ServerBlock {
  /** Folded; the empty name serves all. */
  readonly zones: readonly DomainName[];
  /** The names of its directives in a Corefile, for whoever counts them. */
  readonly plugins?: readonly string[] | undefined;
  /** Who may ask, and who hears of what was decided for each question. */
  readonly access?: readonly AccessRule[] | undefined;
  readonly onAccess?: ((action: AccessAction) => void) | undefined;
  /** The most that a client may say it takes over UDP. */
  readonly maxUdpBytes?: number | undefined;
  /** What is said of this server in class CH; undefined: nothing. */
  readonly chaos?: ServerFacts | undefined;
  /** Answers made from the question, before all names. */
  readonly templates?: readonly Template[] | undefined;
  /** Whether answers with records have no others beside them. */
  readonly isMinimal?: boolean | undefined;
  /** Which addresses come first, where it is not whose turn it is. */
  readonly order?: (() => AddressOrder) | undefined;
  /** What is looked for in place of what was asked for. */
  readonly rewrites?: readonly RewriteRule[] | undefined;
  /** Names with addresses of their own, before all others. */
  readonly hosts?: HostsSource | undefined;
  readonly cluster: ClusterNames | undefined;
  /** Names of a set of clusters (KEP-1645), asked for what `cluster` forwards. */
  readonly clusterset?: ClusterNames | undefined;
  /** The one whose `from` is the longest is asked. */
  readonly forwards: readonly ForwardRule[];
  /** Who may have the cluster's zones whole. */
  readonly transfers?: readonly TransferConfig[] | undefined;
  /** Default true: one address after the other comes first. */
  readonly rotates?: boolean | undefined;
  /** Gets each answer. */
  readonly log?: ((logged: LoggedAnswer) => void) | undefined;
  /** Whether `log` leaves out all answers but failures: neither names nor their absence. */
  readonly logsFailuresOnly?: boolean | undefined;
  /** Gets each question that failed here or elsewhere. */
  readonly onFailure?: ((question: Question, reason: string) => void) | undefined;
}

export interface HostsSource {
  /** As it is now. */
  readonly table: HostsTable;
  /** Calls the listener as soon as the table is another, until this is disposed. */
  onChange(listener: () => void): Disposable;
}

/** Where the names of the cluster come from. */
export interface ClusterNames {
  /** Undefined as long as the cluster is not known. */
  readonly index: () => DnsIndex | undefined;
  readonly zone: ZoneOptions;
}

export interface ForwardRule {
  /** Folded. */
  readonly from: DomainName;
  /** Zones below `from` that are not forwarded, folded. */
  readonly except: readonly DomainName[];
  readonly forwarder: Forwarder;
  /** Codes after which the next rule for the name is asked. */
  readonly next?: readonly number[] | undefined;
}

/** A reply, and which of CoreDNS's plugins would have made it. */
export interface Step extends Reply {
  readonly by: "kubernetes" | "forward" | "hosts" | "transfer" | "template" | "acl" | "chaos" | "";
  /** Why, when it failed. */
  readonly reason?: string | undefined;
}

/** What an answer is made for, beside the question. */
export interface AnswerShape {
  /** Which of several addresses comes first: any whole number from 0. */
  readonly rotation: number;
  /** What its message may have. */
  readonly maxBytes: number;
  readonly asker: Asker;
  /** What upstream servers are told beside the question: see {@link upstreamOptions}. */
  readonly options?: Uint8Array | undefined;
}

/**
 * Answers a question in its server block: from the cluster's names at once, all other names when others have
 * answered.
 */
export function answerInBlock(
  block: ServerBlock,
  query: Query,
  shape: AnswerShape,
): Step | Promise<Step> {
  let turned = block.rotates === false ? { ...shape, rotation: 0 } : shape;
  const about = block.chaos && answerChaos(query.question, block.chaos);
  if (about !== undefined) return { ...about, by: "chaos" };
  const rewritten = rewriteQuestion(query.question, block.rewrites ?? []);
  const finished = (step: Step): Step =>
    withShape(block, rewritten === undefined ? step : restoreReply(step, rewritten), query);
  const options = (rewritten?.rules ?? []).flatMap((rule) =>
    rule.field === "edns0" ? [rule.option] : [],
  );
  if (options.length > 0) {
    turned = { ...turned, options: upstreamOptions(options, query.question, shape.asker) };
  }
  const found =
    rewritten === undefined
      ? answerNamed(block, query, turned)
      : answerNamed(block, { ...query, question: rewritten.question }, turned);
  const step =
    rewritten?.rules.some(({ field }) => field === "cname") === true
      ? redirected(block, query, turned, rewritten, found)
      : found;
  if (rewritten === undefined && block.order === undefined && block.isMinimal !== true) return step;
  return step instanceof Promise ? step.then(finished) : finished(step);
}

/** The answer behind another alias where a rule says so (CoreDNS `rewrite cname`). */
async function redirected(
  block: ServerBlock,
  query: Query,
  shape: AnswerShape,
  { question, rules }: Rewritten,
  found: Step | Promise<Step>,
): Promise<Step> {
  const step = await found;
  const redirect = redirectAlias(step.answers ?? [], rules);
  if (redirect === undefined) return step;
  const { kept, target } = redirect;
  if (question.type === TYPE.CNAME) return { ...step, answers: kept };
  const behind = { ...query, question: { ...question, name: target } };
  return behindAlias(
    { ...step, answers: kept, authority: [], additional: [] },
    answerNamed(block, behind, shape),
  );
}

/** The step's records as the block wants them: which come first, and which are not there. */
function withShape(block: ServerBlock, step: Step, { question }: Query): Step {
  const { answers = [] } = step;
  const isAddresses = question.type === TYPE.A || question.type === TYPE.AAAA;
  const ordered =
    block.order !== undefined && isAddresses
      ? orderedAnswers(answers, question.name, block.order(), Math.random())
      : answers;
  const isBare = block.isMinimal === true && answers.length > 0;
  return { ...step, answers: ordered, ...(isBare ? { authority: [], additional: [] } : {}) };
}

function templatedAnswer(
  { templates = [] }: ServerBlock,
  { id, question }: Query,
  { asker }: AnswerShape,
): Templated | undefined {
  if (templates.length === 0) return undefined;
  return answerFromTemplates(question, { id, remote: asker.address ?? "" }, templates);
}

/** @param aliases how many CNAMEs of templates lead here. */
function answerNamed(
  block: ServerBlock,
  query: Query,
  shape: AnswerShape,
  aliases = 0,
): Step | Promise<Step> {
  const { question } = query;
  const templated = templatedAnswer(block, query, shape);
  if (templated !== undefined) {
    const step: Step = { ...templated, by: "template" };
    const cname = step.answers?.at(-1)?.data;
    const isAlias = cname?.kind === "CNAME" && step.rcode === RCODE.NOERROR;
    if (question.type === TYPE.ANY) return minimal(step);
    if (!isAlias || question.type === TYPE.CNAME) return step;
    if (aliases >= MAX_ALIASES) {
      return { rcode: RCODE.SERVFAIL, by: "template", reason: "too many CNAMEs of templates" };
    }
    const target = { ...query, question: { ...question, name: cname.target } };
    return behindAlias(step, answerNamed(block, target, shape, aliases + 1));
  }
  const fromHosts = block.hosts?.table.answer(question);
  if (fromHosts !== undefined) return { ...fromHosts, by: "hosts" };
  if (block.cluster === undefined) return resolveElsewhere(block, query, shape, question.name);
  const { index, zone } = block.cluster;
  const decision = answer(question, index(), zone, shape.rotation, shape.maxBytes);
  switch (decision.kind) {
    case "answer":
      return { ...decision, by: "kubernetes" };
    case "servfail":
      return { rcode: RCODE.SERVFAIL, by: "kubernetes", reason: decision.reason };
    case "forward":
      return resolveElsewhere(block, query, shape, question.name);
    case "chase":
      return behindAliases(
        decision.answers,
        resolveElsewhere(block, query, shape, decision.target),
      );
    case "search":
      return searchElsewhere(block, query, shape, decision, zone.ttlSeconds);
  }
}

/**
 * What a set of clusters has of a name that this cluster does not.
 * @returns undefined when others have to answer.
 */
function answerImported(
  { clusterset }: ServerBlock,
  question: Question,
  { rotation, maxBytes }: AnswerShape,
): Step | undefined {
  if (clusterset === undefined) return undefined;
  const { index, zone } = clusterset;
  const isItsName = zoneOf(foldName(question.name), zone.zones) !== undefined;
  // Before the set is known, and it may never be, the reverse zones are this cluster's alone.
  const known = index() ?? (isItsName ? undefined : NO_NAMES);
  const decision = answer(question, known, zone, rotation, maxBytes);
  if (decision.kind === "answer") return { ...decision, by: "kubernetes" };
  if (decision.kind !== "servfail") return undefined;
  return { rcode: RCODE.SERVFAIL, by: "kubernetes", reason: decision.reason };
}

const NO_NAMES = new DnsIndex();

/** Has others answer for a name that is not the cluster's. */
async function resolveElsewhere(
  block: ServerBlock,
  query: Query,
  shape: AnswerShape,
  name: DomainName,
  type = query.question.type,
): Promise<Step> {
  const question = { ...query.question, name, type };
  const fromHosts = block.hosts?.table.answer(question);
  if (fromHosts !== undefined) return { ...fromHosts, by: "hosts" };
  const imported = answerImported(block, question, shape);
  if (imported !== undefined) return imported;
  let step: Step = { rcode: RCODE.REFUSED, by: "" };
  for (const { forwarder, next = [] } of forwardsFor(block.forwards, foldName(name))) {
    const forwarded = await forwarder.resolve({
      name,
      type,
      class: query.question.class,
      dnssecOk: query.edns?.dnssecOk ?? false,
      authenticData: query.authenticData,
      checkingDisabled: query.checkingDisabled,
      options: shape.options,
    });
    step = stepOf(forwarded, name);
    if (!next.includes(step.rcode)) break;
  }
  return type === TYPE.ANY ? minimal(step) : step;
}

/** The rules that are for a name, folded: those with the longest `from` first, else in their order. */
function forwardsFor(rules: readonly ForwardRule[], name: DomainName): readonly ForwardRule[] {
  return rules
    .filter(
      ({ from, except }) => isWithin(name, from) && !except.some((zone) => isWithin(name, zone)),
    )
    .toSorted((a, b) => b.from.length - a.from.length);
}

/**
 * All that others have of a name is more than anybody needs who asks for ANY, and much for whoever did not ask
 * but is made to look so: records of one type are enough (RFC 8482 section 4.1).
 */
function minimal({ answers = [], authority = [], ...step }: Step): Step {
  const [first] = answers;
  // Who gets no answer still learns for how long.
  if (first === undefined) return { ...step, authority, additional: [] };
  const isKept = ({ name, data }: ResourceRecord): boolean =>
    sameName(name, first.name) && typeOf(data) === typeOf(first.data);
  return { ...step, answers: answers.filter(isKept), authority: [], additional: [] };
}

function stepOf(forwarded: Forwarded, asked: DomainName): Step {
  if (forwarded.kind === "failed") {
    return { rcode: forwarded.rcode, by: "forward", reason: forwarded.reason };
  }
  const { rcode, authenticData, authority, additional } = forwarded.message;
  // In the letters of this question: the answer may be one that another client, or chance, spelt differently.
  const answers = forwarded.message.answers.map((record) =>
    sameName(record.name, asked) ? { ...record, name: asked } : record,
  );
  const reason = rcode === RCODE.SERVFAIL ? "the upstream server said SERVFAIL" : undefined;
  return { rcode, authenticData, answers, authority, additional, by: "forward", reason };
}

/** How many CNAMEs of templates are followed, as many as of Services. */
const MAX_ALIASES = 10;

/** The step's answers, which end in an alias, and what is at its target. */
async function behindAlias(step: Step, target: Step | Promise<Step>): Promise<Step> {
  const rest = await target;
  if (rest.rcode === RCODE.SERVFAIL && rest.by === "template") return rest;
  // Nobody here knows: whoever asks can do so elsewhere.
  if (rest.rcode === RCODE.REFUSED && rest.by === "") return step;
  return {
    ...rest,
    by: step.by,
    authoritative: step.authoritative ?? false,
    authenticData: false,
    answers: [...(step.answers ?? []), ...(rest.answers ?? [])],
    authority: [...(step.authority ?? []), ...(rest.authority ?? [])],
    additional: [...(step.additional ?? []), ...(rest.additional ?? [])],
  };
}

/**
 * Our CNAMEs stay in the answer whatever becomes of their target, whose code is the answer's (RFC 6604): a
 * client can tell a name that points to nothing from one that has no address.
 */
async function behindAliases(
  cnames: readonly ResourceRecord[],
  target: Step | Promise<Step>,
): Promise<Step> {
  const reply = await target;
  // What we say ourselves is not signed, so the whole is not either.
  return {
    ...reply,
    by: "kubernetes",
    authoritative: true,
    authenticData: false,
    answers: [...cnames, ...(reply.answers ?? [])],
  };
}

/**
 * The first candidate that exists, behind a CNAME. Whether one exists is the same for A and AAAA: some servers
 * deny a name that only has addresses of the other family, so that NXDOMAIN counts only when it is for both.
 */
async function searchElsewhere(
  block: ServerBlock,
  query: Query,
  shape: AnswerShape,
  search: Extract<Decision, { kind: "search" }>,
  ttlSeconds: number,
): Promise<Step> {
  const { name, type } = query.question;
  const otherType = type === TYPE.A ? TYPE.AAAA : TYPE.A;
  for (const target of search.candidates) {
    const reply = await resolveElsewhere(block, query, shape, target);
    // Nobody is there to be asked for this one: it is not in the search list either.
    if (reply.rcode === RCODE.REFUSED && reply.by === "") continue;
    if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) {
      return { rcode: RCODE.SERVFAIL, by: "forward", reason: reply.reason };
    }
    const isDenied = reply.rcode === RCODE.NXDOMAIN;
    const exists =
      !isDenied ||
      (await resolveElsewhere(block, query, shape, target, otherType)).rcode === RCODE.NOERROR;
    if (!exists) continue;
    const cname: ResourceRecord = { name, ttlSeconds, data: { kind: "CNAME", target } };
    return behindAliases([cname], { ...reply, rcode: RCODE.NOERROR });
  }
  return { ...search.otherwise, by: "kubernetes" };
}
