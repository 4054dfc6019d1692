import type { IpAddress } from "../../../net/address.ts";
import type { DomainName } from "../domain-name.ts";
import type { RewriteRule } from "../rewrite.ts";
import { readCache } from "./cache-directive.ts";
import type { CacheConfig } from "./cache-directive.ts";
import { CorefileError } from "./corefile-error.ts";
import type { Position } from "./corefile-error.ts";
import { Directive, parseDuration } from "./directive.ts";
import type { ListenOn } from "./directive.ts";
import { readForward } from "./forward-directive.ts";
import type { ForwardConfig } from "./forward-directive.ts";
import { readKubernetes } from "./kubernetes-directive.ts";
import type { KubernetesConfig } from "./kubernetes-directive.ts";
import { parseServerKey, zonesOf } from "./server-key.ts";
import type { ServerKey } from "./server-key.ts";
import { readHosts, readLog, readRewrite, readTransfer } from "./small-directives.ts";
import type { HostsConfig, LogConfig, TransferConfig } from "./small-directives.ts";
import { parseStatements } from "./statements.ts";
import type { Statement } from "./statements.ts";

/** A server block: the zones before the braces, and what stands between them. */
export interface BlockConfig {
  /** Where it stands. */
  readonly at: Position;
  /** The names of its directives, in their order. */
  readonly plugins: readonly string[];
  readonly keys: readonly ServerKey[];
  /** Addresses to listen on instead of the command line's. */
  readonly bind: readonly IpAddress[];
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly kubernetes: KubernetesConfig | undefined;
  readonly forwards: readonly ForwardConfig[];
  readonly cache: CacheConfig | undefined;
  readonly hosts: HostsConfig | undefined;
  readonly rewrites: readonly RewriteRule[];
  readonly transfers: readonly TransferConfig[];
  readonly log: readonly LogConfig[];
  readonly logsErrors: boolean;
  readonly health: (ListenOn & { readonly lameduckMs: number }) | undefined;
  readonly ready: ListenOn | undefined;
  readonly prometheus: ListenOn | undefined;
  readonly detectsLoops: boolean;
  readonly reload: { readonly intervalMs: number; readonly jitterMs: number } | undefined;
  readonly rotates: boolean;
  readonly autopath: boolean;
}

type Draft = { -readonly [K in keyof BlockConfig]: BlockConfig[K] };

/**
 * Reads a Corefile.
 * @param env the environment, for `{$NAME}`.
 * @throws CorefileError for the first thing that is wrong or not supported, by its line and name.
 */
export function parseCorefile(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): readonly BlockConfig[] {
  const blocks = parseStatements(text, env).map(readBlock);
  if (blocks.length === 0)
    throw new CorefileError({ line: 1, column: 1 }, "there is no server block such as .:53 { }");
  const seen = new Map<string, number>();
  for (const { at, keys } of blocks) {
    for (const { scheme, zones, port } of keys) {
      for (const zone of zones) {
        const id = `${scheme}://${zone.join(".")}.:${String(port ?? "")}`;
        const first = seen.get(id);
        if (first !== undefined) {
          throw new CorefileError(at, `${id} has a server block on line ${String(first)} already`);
        }
        seen.set(id, at.line);
      }
    }
  }
  return blocks;
}

function readBlock(statement: Statement): BlockConfig {
  const { words, block } = statement;
  if (block === undefined) {
    throw new CorefileError(
      statement,
      `${words.join(" ")}: a server block needs { and } behind its zones`,
    );
  }
  const keys = words.map((word) => parseServerKey(word, statement));
  const zones = keys.flatMap((key) => key.zones);
  const draft: Draft = {
    at: statement,
    plugins: [],
    keys,
    bind: [],
    tls: undefined,
    kubernetes: undefined,
    forwards: [],
    cache: undefined,
    hosts: undefined,
    rewrites: [],
    transfers: [],
    log: [],
    logsErrors: false,
    health: undefined,
    ready: undefined,
    prometheus: undefined,
    detectsLoops: false,
    reload: undefined,
    rotates: false,
    autopath: false,
  };
  const seen = new Set<string>();
  for (const each of block) {
    const directive = new Directive(each);
    const { name } = directive;
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (read === undefined) {
      return directive.fail(`is not supported; there are ${Object.keys(READERS).join(", ")}`);
    }
    if (seen.has(name) && !REPEATABLE.has(name)) directive.fail("stands twice in its server block");
    seen.add(name);
    read(draft, directive, zones);
  }
  draft.plugins = [...seen];
  if (keys.some((key) => key.scheme === "tls") && draft.tls === undefined) {
    throw new CorefileError(
      statement,
      `${words.join(" ")}: tls:// needs tls CERTIFICATE KEY in its block`,
    );
  }
  if (draft.autopath && draft.kubernetes === undefined) {
    throw new CorefileError(statement, "autopath @kubernetes needs kubernetes in its block");
  }
  return draft;
}

const REPEATABLE = new Set(["forward", "rewrite", "transfer", "log"]);

/** Zones as a directive names them: names, or ranges of addresses. */
const zonesFor =
  (directive: Directive) =>
  (text: string): readonly DomainName[] => {
    const zones = zonesOf(text);
    return zones.length > 0 ? zones : directive.fail(`${JSON.stringify(text)} is no zone`);
  };

const READERS: Readonly<
  Record<string, (draft: Draft, directive: Directive, zones: readonly DomainName[]) => void>
> = {
  autopath: (draft, directive) => {
    const words = directive.rest();
    if (words.join(" ") !== "@kubernetes") {
      directive.fail(`${words.join(" ")} is not supported; there is @kubernetes`);
    }
    directive.end();
    draft.autopath = true;
  },
  bind: (draft, directive) => {
    draft.bind = directive.rest().map((word) => directive.address(word));
    if (draft.bind.length === 0) directive.fail("an address is missing");
    directive.end();
  },
  cache: (draft, directive) => {
    draft.cache = readCache(directive, zonesFor(directive));
  },
  errors: (draft, directive) => {
    directive.options({});
    draft.logsErrors = true;
  },
  forward: (draft, directive) => {
    draft.forwards = [...draft.forwards, readForward(directive, zonesFor(directive))];
  },
  health: (draft, directive) => {
    const listen = directive.listen(":8080");
    let lameduckMs = 0;
    directive.options({
      lameduck: (option) => {
        lameduckMs = option.duration("a duration");
      },
    });
    draft.health = { ...listen, lameduckMs };
  },
  hosts: (draft, directive, zones) => {
    draft.hosts = readHosts(directive, zonesFor(directive), zones);
  },
  kubernetes: (draft, directive, zones) => {
    draft.kubernetes = readKubernetes(directive, zonesFor(directive), zones);
  },
  loadbalance: (draft, directive) => {
    directive.oneOf("a policy", ["round_robin"], "round_robin");
    directive.end();
    draft.rotates = true;
  },
  log: (draft, directive) => {
    draft.log = [...draft.log, readLog(directive)];
  },
  loop: (draft, directive) => {
    directive.end();
    draft.detectsLoops = true;
  },
  prometheus: (draft, directive) => {
    draft.prometheus = directive.listen("localhost:9153");
    directive.end();
  },
  ready: (draft, directive) => {
    draft.ready = directive.listen(":8181");
    directive.end();
  },
  reload: (draft, directive) => {
    const durations = directive.rest().map((word) => parseDuration(word));
    const [intervalMs = 30_000, jitterMs = intervalMs / 2] = durations;
    if (durations.includes(undefined) || durations.length > 2 || intervalMs < 2000) {
      directive.fail("needs an interval of at least 2s, and a jitter, such as 30s 15s");
    }
    directive.end();
    // As CoreDNS: more jitter than half the interval is half of it.
    draft.reload = { intervalMs, jitterMs: Math.min(jitterMs, intervalMs / 2) };
  },
  rewrite: (draft, directive) => {
    draft.rewrites = [...draft.rewrites, readRewrite(directive)];
  },
  tls: (draft, directive) => {
    const cert = directive.required("the file of a certificate");
    draft.tls = { cert, key: directive.required("the file of its key") };
    directive.end();
  },
  transfer: (draft, directive, zones) => {
    draft.transfers = [...draft.transfers, readTransfer(directive, zonesFor(directive), zones)];
  },
};
