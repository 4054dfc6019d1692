import { badRequest, expired } from "./failures.ts";
import type { KindCache } from "./kind-cache.ts";
import type { ListQuery } from "./query.ts";
import type { Served } from "./stored.ts";
import type { WatchCache } from "./watch-cache.ts";

/** What a list or watch is about: a part of a kind's objects. */
export interface Selection {
  /** Keys of the objects start with this: "" or "namespace/". */
  readonly prefix: string;
  /** Label and field selectors; undefined: all. */
  readonly matches: ((item: Served) => boolean) | undefined;
}

export interface Page {
  readonly items: readonly Served[];
  /** The revision that all items belong to. */
  readonly revision: number;
  /** "" on the last page. */
  readonly continueToken: string;
  /** How many are left; only known without selectors. */
  readonly remaining: number | undefined;
}

const CONTINUE_EXPIRED =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";

/**
 * One page of a list. Pages after the first show the state of the first one.
 * @throws StatusError 400 for a bad token, 410 when that state is no longer known, 504 for a version that
 * is not there yet.
 */
export async function listPage(
  cache: WatchCache,
  kindCache: KindCache,
  selection: Selection,
  query: ListQuery,
  signal: AbortSignal,
): Promise<Page> {
  const token = query.continueToken === "" ? undefined : parseToken(query.continueToken);
  if (query.resourceVersion !== undefined) await cache.reached(query.resourceVersion, signal);
  const exact = isExact(query) ? query.resourceVersion : undefined;
  const revision = token?.revision ?? exact ?? cache.revision;
  if (token !== undefined && token.revision > cache.revision) throw expired(CONTINUE_EXPIRED);
  const state = kindCache.stateAt(revision, selection.prefix);
  if (state === undefined) {
    throw expired(
      token === undefined
        ? `The resourceVersion for the provided list is too old: ${String(revision)}`
        : CONTINUE_EXPIRED,
    );
  }
  return cut(state, selection, token?.after ?? "", query.limit, revision);
}

/** Without a match, a version means "not older", but for a first page exactly it, as upstream. */
function isExact({ resourceVersion = 0, resourceVersionMatch, limit }: ListQuery): boolean {
  if (resourceVersionMatch !== undefined) return resourceVersionMatch === "Exact";
  return resourceVersion > 0 && limit > 0;
}

function cut(
  state: readonly Served[],
  selection: Selection,
  after: string,
  limit: number,
  revision: number,
): Page {
  const { matches } = selection;
  const rest = after === "" ? state : state.filter((item) => item.key > after);
  const wanted = matches === undefined ? rest : rest.filter(matches);
  if (limit === 0 || wanted.length <= limit) {
    return { items: wanted, revision, continueToken: "", remaining: undefined };
  }
  const items = wanted.slice(0, limit);
  return {
    items,
    revision,
    continueToken: formatToken({ revision, after: items.at(-1)?.key ?? "" }),
    remaining: matches === undefined ? wanted.length - limit : undefined,
  };
}

interface Token {
  readonly revision: number;
  readonly after: string;
}

function formatToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: 1, rv: token.revision, after: token.after })).toString(
    "base64url",
  );
}

function parseToken(text: string): Token {
  const parsed = parseJson(Buffer.from(text, "base64url").toString());
  if (typeof parsed === "object" && parsed !== null && "rv" in parsed && "after" in parsed) {
    const { rv, after } = parsed;
    if (typeof rv === "number" && Number.isSafeInteger(rv) && typeof after === "string") {
      return { revision: rv, after };
    }
  }
  throw badRequest("continue key is not valid: it is not a token that this server gave out");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is one more way not to be a token; the caller says so.
    return undefined;
  }
}
