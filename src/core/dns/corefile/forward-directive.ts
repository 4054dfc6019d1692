import { parseIpAddress } from "../../../net/address.ts";
import type { IpAddress } from "../../../net/address.ts";
import { parseHostPort, parsePort } from "../../../net/host-port.ts";
import type { Port } from "../../../net/host-port.ts";
import type { DomainName } from "../domain-name.ts";
import type { Directive } from "./directive.ts";
import { codeNumber } from "./rewrite-directive.ts";

const FORWARD_POLICIES = ["random", "round_robin", "sequential", "parallel"] as const;
export type ForwardPolicy = (typeof FORWARD_POLICIES)[number];

/** Where questions go. */
export type ForwardTarget =
  | {
      readonly kind: "server";
      readonly address: IpAddress;
      readonly port: Port;
      readonly isTls: boolean;
    }
  /** The servers of a file such as /etc/resolv.conf. */
  | { readonly kind: "file"; readonly path: string };

/** The `forward` directive. */
export interface ForwardConfig {
  readonly from: DomainName;
  readonly except: readonly DomainName[];
  readonly to: readonly ForwardTarget[];
  readonly policy: ForwardPolicy;
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** How long an idle connection is kept. */
  readonly expireMs: number;
  /** Failed checks after which a server is not asked; 0: never. */
  readonly maxFails: number;
  readonly healthCheckMs: number;
  readonly healthCheckRecursion: boolean;
  readonly healthCheckDomain: DomainName;
  /** Questions at once; more are refused. */
  readonly maxConcurrent: number | undefined;
  /** Codes after which the next server is asked. */
  readonly failover: readonly number[];
  /** Codes after which the next `forward` that is for the name is asked. */
  readonly next: readonly number[];
  readonly failFast: boolean;
  /** Idle connections that are kept to each server; 0: all. */
  readonly maxIdleConnections: number;
  /** How old a connection may get, however much it is used; 0: as old as it likes. */
  readonly maxAgeMs: number;
  /** How many servers are tried for one question; 0: as many as is of use. */
  readonly maxAttempts: number;
  readonly tlsServerName: string | undefined;
  readonly tls:
    | {
        readonly cert: string | undefined;
        readonly key: string | undefined;
        readonly ca: string | undefined;
      }
    | undefined;
  /** Capital and small letters at random in questions, which an answer has to repeat (0x20). */
  readonly randomCase: boolean;
}

/** As CoreDNS. */
const MAX_TARGETS = 15;

export function readForward(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
): ForwardConfig {
  const [from] = zonesOf(directive.required("the zone to forward"));
  const to = directive.rest().map((text) => readTarget(directive, text));
  if (to.length === 0) directive.fail("where to is missing, such as /etc/resolv.conf");
  if (to.length > MAX_TARGETS) directive.fail(`more than ${String(MAX_TARGETS)} servers`);
  const config: { -readonly [K in keyof ForwardConfig]: ForwardConfig[K] } = {
    from: from ?? [],
    except: [],
    to,
    policy: "random",
    forceTcp: false,
    preferUdp: false,
    expireMs: 10_000,
    maxFails: 2,
    healthCheckMs: 500,
    healthCheckRecursion: true,
    healthCheckDomain: [],
    maxConcurrent: undefined,
    failover: [],
    next: [],
    failFast: false,
    maxIdleConnections: 0,
    maxAgeMs: 0,
    maxAttempts: 0,
    tlsServerName: undefined,
    tls: undefined,
    randomCase: false,
  };
  directive.options({
    except: (option) => {
      config.except = option.rest().flatMap(zonesOf);
    },
    policy: (option) => {
      config.policy = option.oneOf("a policy", FORWARD_POLICIES);
    },
    force_tcp: () => {
      config.forceTcp = true;
    },
    prefer_udp: () => {
      config.preferUdp = true;
    },
    expire: (option) => {
      config.expireMs = option.duration("a duration");
    },
    max_fails: (option) => {
      config.maxFails = option.integer("number", 0, 1_000_000);
    },
    max_concurrent: (option) => {
      config.maxConcurrent = option.integer("number", 1, 1_000_000);
    },
    health_check: (option) => {
      config.healthCheckMs = option.duration("a duration");
      // A server that is down would be asked as fast as it refuses.
      if (config.healthCheckMs < 10) option.fail("a server is asked every 10ms at most");
      for (let word = option.optional(); word !== undefined; word = option.optional()) {
        if (word === "no_rec") config.healthCheckRecursion = false;
        else if (word === "domain") {
          config.healthCheckDomain = option.zone(option.required("a domain name"));
        } else option.fail(`${JSON.stringify(word)} is not supported; there are no_rec, domain`);
      }
    },
    failover: (option) => {
      config.failover = readCodes(option);
    },
    next: (option) => {
      config.next = readCodes(option);
    },
    max_idle_conns: (option) => {
      config.maxIdleConnections = option.integer("number of connections", 0, 1_000_000);
    },
    max_age: (option) => {
      config.maxAgeMs = option.duration("a duration");
    },
    max_connect_attempts: (option) => {
      config.maxAttempts = option.integer("number of attempts", 0, 1_000_000);
    },
    failfast_all_unhealthy_upstreams: () => {
      config.failFast = true;
    },
    tls_servername: (option) => {
      config.tlsServerName = option.required("a name");
    },
    tls: (option) => {
      // CoreDNS: nothing, or the authority, or certificate and key, or all three.
      const [first, second, third] = [option.optional(), option.optional(), option.optional()];
      config.tls =
        second === undefined
          ? { cert: undefined, key: undefined, ca: first }
          : { cert: first, key: second, ca: third };
    },
    random_case: () => {
      config.randomCase = true;
    },
  });
  return config;
}

function readTarget(directive: Directive, text: string): ForwardTarget {
  if (text.startsWith("/") || text.startsWith("./")) return { kind: "file", path: text };
  const scheme = /^([a-z]+):\/\//.exec(text)?.[1] ?? "dns";
  if (scheme !== "dns" && scheme !== "tls") {
    directive.fail(`${text}: servers are asked by dns:// and tls://, not by ${scheme}://`);
  }
  const isTls = scheme === "tls";
  const bare = text.replace(/^[a-z]+:\/\//, "").replace(/%[^:\]]*/, "");
  const port = parsePort(isTls ? 853 : 53);
  const address = parseIpAddress(bare.replace(/^\[(.*)\]$/, "$1"));
  const server =
    address !== undefined && port !== undefined ? { address, port } : parseHostPort(bare);
  if (server === undefined)
    directive.fail(`${JSON.stringify(text)} is no address, file or tls://address`);
  return { kind: "server", ...server, isTls };
}

function readCodes(option: Directive): readonly number[] {
  const codes = option.rest().map((text) => codeNumber(option, text));
  return codes.length > 0 ? codes : option.fail("a code is missing, such as NXDOMAIN");
}
