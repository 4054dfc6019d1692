import { parseIpAddress } from "../../../net/address.ts";
import type { IpAddress } from "../../../net/address.ts";
import type { DomainName } from "../domain-name.ts";
import { EDNS_UDP_BYTES } from "../message.ts";
import type { RewriteRule } from "../rewrite.ts";
import type { AccessRule } from "../access.ts";
import type { Template } from "../template.ts";
import { readAccess } from "./access-directive.ts";
import { readBalance } from "./balance-directive.ts";
import type { BalanceConfig } from "./balance-directive.ts";
import { readCache } from "./cache-directive.ts";
import type { CacheConfig } from "./cache-directive.ts";
import { CorefileError } from "./corefile-error.ts";
import type { Position } from "./corefile-error.ts";
import { Directive, MAX_WAIT_MS, parseDuration } from "./directive.ts";
import type { ListenOn } from "./directive.ts";
import { readErrors } from "./errors-directive.ts";
import type { ErrorsConfig } from "./errors-directive.ts";
import { readForward } from "./forward-directive.ts";
import type { ForwardConfig } from "./forward-directive.ts";
import { readKubernetes } from "./kubernetes-directive.ts";
import type { KubernetesConfig } from "./kubernetes-directive.ts";
import { parseServerKey, zonesOf } from "./server-key.ts";
import type { ServerKey } from "./server-key.ts";
import { readRewrite } from "./rewrite-directive.ts";
import { readHosts, readLog, readTransfer } from "./small-directives.ts";
import type { HostsConfig, LogConfig, TransferConfig } from "./small-directives.ts";
import { parseStatements } from "./statements.ts";
import { readTemplate } from "./template-directive.ts";
import { readTls } from "./tls-directive.ts";
import type { TlsConfig } from "./tls-directive.ts";
import type { CorefileContext, Statement } from "./statements.ts";

/** A server block: the zones before the braces, and what stands between them. */
export interface BlockConfig {
  /** Where it stands. */
  readonly at: Position;
  /** The names of its directives, in their order. */
  readonly plugins: readonly string[];
  readonly keys: readonly ServerKey[];
  /** Addresses to listen on instead of the command line's. */
  readonly bind: readonly BindTarget[];
  readonly tls: TlsConfig | undefined;
  readonly kubernetes: KubernetesConfig | undefined;
  readonly forwards: readonly ForwardConfig[];
  readonly cache: CacheConfig | undefined;
  readonly hosts: HostsConfig | undefined;
  readonly rewrites: readonly RewriteRule[];
  readonly templates: readonly Template[];
  readonly access: readonly AccessRule[];
  readonly transfers: readonly TransferConfig[];
  readonly log: readonly LogConfig[];
  /** Undefined: failures are not logged. */
  readonly errors: ErrorsConfig | undefined;
  readonly health: (ListenOn & { readonly lameduckMs: number }) | undefined;
  readonly ready: ListenOn | undefined;
  readonly prometheus: ListenOn | undefined;
  readonly detectsLoops: boolean;
  readonly reload: { readonly intervalMs: number; readonly jitterMs: number } | undefined;
  /** Undefined: addresses stay in their order. */
  readonly balance: BalanceConfig | undefined;
  readonly autopath: boolean;
  /** The most that a client may say it takes over UDP; undefined: as usual. */
  readonly maxUdpBytes: number | undefined;
  /** Whether answers with records have no others beside them. */
  readonly isMinimal: boolean;
  readonly chaos: ChaosConfig | undefined;
}

/** Where a block listens: an address, or all of an interface's. */
export type BindTarget =
  | { readonly kind: "address"; readonly address: IpAddress }
  | { readonly kind: "interface"; readonly name: string };

/** What is said of this server in class CH. */
export interface ChaosConfig {
  /** Undefined: the program's own. */
  readonly version: string | undefined;
  readonly authors: readonly string[];
}

type Draft = { -readonly [K in keyof BlockConfig]: BlockConfig[K] };

/**
 * Reads a Corefile.
 * @throws CorefileError for the first thing that is wrong or not supported, by its file, line and name.
 */
export function parseCorefile(text: string, context: CorefileContext): readonly BlockConfig[] {
  const blocks = parseStatements(text, context).map(readBlock);
  if (blocks.length === 0)
    throw new CorefileError({ line: 1, column: 1 }, "there is no server block such as .:53 { }");
  const seen = new Map<string, BlockConfig[]>();
  for (const block of blocks) {
    for (const { scheme, zones, port } of block.keys) {
      for (const zone of zones) {
        const id = `${scheme}://${zone.join(".")}.:${String(port ?? "")}`;
        const others = seen.get(id) ?? [];
        const first = others.find((other) => isBoundTogether(other, block));
        if (first !== undefined) {
          const line = String(first.at.line);
          throw new CorefileError(block.at, `${id} has a server block on line ${line} already`);
        }
        seen.set(id, [...others, block]);
      }
    }
  }
  return blocks;
}

/** Whether two blocks listen at one place; interfaces are only known where they are. */
function isBoundTogether({ bind: some }: BlockConfig, { bind: others }: BlockConfig): boolean {
  const textOf = (target: BindTarget): string =>
    target.kind === "address" ? target.address : `interface ${target.name}`;
  const places = new Set(some.map(textOf));
  return some.length === 0 ? others.length === 0 : others.some((each) => places.has(textOf(each)));
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
    templates: [],
    access: [],
    transfers: [],
    log: [],
    errors: undefined,
    health: undefined,
    ready: undefined,
    prometheus: undefined,
    detectsLoops: false,
    reload: undefined,
    balance: undefined,
    autopath: false,
    maxUdpBytes: undefined,
    isMinimal: false,
    chaos: undefined,
  };
  const seen = new Set<string>();
  for (const each of block) {
    const directive = new Directive(each);
    const { name } = directive;
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (read === undefined) {
      const remedy = Object.hasOwn(REMEDIES, name) ? REMEDIES[name] : undefined;
      return directive.fail(
        `is not supported; ${remedy ?? `there are ${Object.keys(READERS).join(", ")}`}`,
      );
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

const REPEATABLE = new Set(["acl", "forward", "log", "rewrite", "template", "transfer"]);

/** What to do about directives that CoreDNS has and this server does not. */
const REMEDIES: Readonly<Record<string, string>> = {
  debug: "leave it out, and start with --log-level debug",
  dns64: "have another server translate, and name it in forward",
  dnssec: "leave it out: names of a cluster are not signed",
  etcd: "have another server serve these names, and name it in forward",
  file: "have another server serve the zone, and name it in forward; for single names there is hosts",
  auto: "have another server serve the zones, and name it in forward",
  secondary: "have another server serve the zone, and name it in forward",
  k8s_external: "leave it out: only names of the cluster domain are served",
  metadata: "leave it out: nothing here reads it",
  nsid: "leave it out; chaos says which server answers",
  pprof: "leave it out: it shows the inside of a Go program",
  trace: "leave it out; log and prometheus say what was answered",
  dnstap: "leave it out; log says what was answered",
  local: "leave it out: localhost is always answered here",
  multisocket: "leave it out, and start with --workers N",
  header: "leave it out: flags of answers are as they have to be",
  whoami: "leave it out; log says who asks",
  timeouts: "leave it out: connections that are idle for 10s are closed",
  view: "give each sort of client a server block of its own, by bind",
};

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
  acl: (draft, directive, zones) => {
    draft.access = [...draft.access, readAccess(directive, zonesFor(directive), zones)];
  },
  // ANY has always one record, or those of one type (RFC 8482).
  any: (_draft, directive) => {
    directive.end();
  },
  autopath: (draft, directive) => {
    const words = directive.rest();
    if (words.join(" ") !== "@kubernetes") {
      directive.fail(`${words.join(" ")} is not supported; there is @kubernetes`);
    }
    directive.end();
    draft.autopath = true;
  },
  bind: (draft, directive) => {
    draft.bind = directive.rest().map((word): BindTarget => {
      const address = parseIpAddress(word);
      if (address !== undefined) return { kind: "address", address };
      if (!/^[^\s/:]{1,15}$/.test(word)) {
        directive.fail(`${JSON.stringify(word)} is neither an IP address nor an interface`);
      }
      return { kind: "interface", name: word };
    });
    if (draft.bind.length === 0) directive.fail("an address is missing");
    directive.end();
  },
  bufsize: (draft, directive) => {
    const text = directive.optional();
    const value = text === undefined ? EDNS_UDP_BYTES : /^\d{3,4}$/.test(text) ? Number(text) : 0;
    if (value < 512 || value > 4096) directive.fail(`${text ?? ""} is no size from 512 to 4096`);
    directive.end();
    // More than this no answer has in any case.
    draft.maxUdpBytes = value < EDNS_UDP_BYTES ? value : undefined;
  },
  cache: (draft, directive) => {
    draft.cache = readCache(directive, zonesFor(directive));
  },
  chaos: (draft, directive) => {
    const [version, ...authors] = directive.rest();
    directive.end();
    draft.chaos = { version, authors };
  },
  errors: (draft, directive) => {
    draft.errors = readErrors(directive);
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
    draft.balance = readBalance(directive);
  },
  log: (draft, directive) => {
    draft.log = [...draft.log, readLog(directive)];
  },
  loop: (draft, directive) => {
    directive.end();
    draft.detectsLoops = true;
  },
  minimal: (draft, directive) => {
    directive.end();
    draft.isMinimal = true;
  },
  prometheus: (draft, directive) => {
    draft.prometheus = directive.listen("localhost:9153");
    directive.end();
  },
  ready: (draft, directive) => {
    draft.ready = directive.listen(":8181");
    directive.options({
      // What is ready here stays so, so that both are the same.
      monitor: (option) => {
        option.oneOf("when to look", ["continuously", "until-ready"]);
      },
    });
  },
  reload: (draft, directive) => {
    const durations = directive.rest().map((word) => parseDuration(word));
    const [intervalMs = 30_000, jitterMs = intervalMs / 2] = durations;
    const isLong = intervalMs > MAX_WAIT_MS / 2;
    if (durations.includes(undefined) || durations.length > 2 || intervalMs < 2000 || isLong) {
      directive.fail("needs an interval from 2s to 288h, and a jitter, such as 30s 15s");
    }
    directive.end();
    // As CoreDNS: more jitter than half the interval is half of it.
    draft.reload = { intervalMs, jitterMs: Math.min(jitterMs, intervalMs / 2) };
  },
  rewrite: (draft, directive) => {
    draft.rewrites = [...draft.rewrites, readRewrite(directive)];
  },
  template: (draft, directive, zones) => {
    draft.templates = [...draft.templates, readTemplate(directive, zonesFor(directive), zones)];
  },
  tls: (draft, directive) => {
    draft.tls = readTls(directive);
  },
  transfer: (draft, directive, zones) => {
    draft.transfers = [...draft.transfers, readTransfer(directive, zonesFor(directive), zones)];
  },
};
