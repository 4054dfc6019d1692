import { spawn } from "node:child_process";
import { lengthOf, paddedLength, SET } from "../../kernel/nftables/batch.ts";
import type { DataType, SetSpec, TableRef } from "../../kernel/nftables/batch.ts";
import type { ElementTime } from "../../kernel/nftables/element-writer.ts";
import type { TableState } from "../../kernel/nftables/kernel-state.ts";
import { ipFromBytes } from "../../net/address.ts";
import { cidrAddress, cidrBits, cidrContains } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { ElementSink } from "./elements.ts";
import { KernelRefusal } from "./kernel-tables.ts";
import type { KernelTables, Transaction } from "./kernel-tables.ts";
import { affinityPack, DISPATCHERS, isDispatched, OPS, setsOf } from "./program.ts";
import type { BaseChainSpec, ChainPack, ChainSpec, SetName } from "./program.ts";

const NFT_LIMIT_MS = 60_000;
/** `nft` needs about a hundred times the memory of its input. */
const MAX_TRANSACTION = 8 * 1024 * 1024;
/** In the words that `nft` accepts for sets whose keys are random numbers: it wants types from expressions. */
const TYPEOF: Partial<Record<SetName, (family: string) => string>> = {
  endpoints: (family) => `typeof meta priority . numgen random mod 2 : ${family} daddr . th dport`,
  slots_cluster: () => "typeof meta priority . numgen random mod 2 : meta priority",
  slots_local: () => "typeof meta priority . numgen random mod 2 : meta priority",
};

/**
 * Tables through the program `nft`, where no netlink socket can be had from this process. A change costs some 20 ms;
 * others may change the tables, and it is noticed only when they delete one; clients with affinity are given
 * an endpoint anew after a restart, and over IPv6 with each connection, as `nft` 1.0 cannot write such rules.
 */
export class TextTables implements KernelTables {
  readonly way = "nft";
  readonly isOwner = false;
  readonly maxTransaction = MAX_TRANSACTION;
  /** Each look runs a program. */
  readonly lookEveryMs = 400;
  #commits = 0;
  /** Which tables of ours there were after the last transaction that made or deleted one. */
  #ours: string | undefined;

  async list(): Promise<readonly TableState[]> {
    const listing = await runNft(["-n", "list", "tables"]);
    const tables: TableState[] = [];
    for (const [, family, name = ""] of listing.matchAll(/^table (ip6?) (\S+)$/gm)) {
      if (family !== "ip" && family !== "ip6") continue;
      const text = await runNft(["-n", "-t", "list", "table", family, name]);
      const comment = /^\tcomment "([^"]*)"$/m.exec(text)?.[1] ?? "";
      const isOwned = /^\tflags [^\n]*owner/m.test(text);
      tables.push({ family, name, flags: 0, comment, owner: isOwned ? 0 : undefined });
    }
    return tables;
  }

  isOurs(): boolean {
    return false;
  }

  begin(): Transaction {
    return new TextTransaction(this);
  }

  /** `nft` does not tell; that a table of ours is gone is all that can be seen cheaply. */
  async generation(): Promise<number> {
    const listing = await runNft(["list", "tables"]);
    const ours = (listing.match(/^table ip6? portolan(_next)?$/gm) ?? []).join();
    this.#ours ??= ours;
    return ours === this.#ours ? this.#commits : this.#commits + 1;
  }

  dump(): Promise<void> {
    return Promise.resolve();
  }

  async shape(table: TableRef): Promise<ReadonlyMap<string, string>> {
    const text = await runNft(["-n", "-t", "list", "table", table.family, table.name]);
    const names = [...text.matchAll(/^\t(chain|map|set) (\S+) \{$/gm)];
    return new Map(
      names.map(([, kind, name]) => [`${kind === "chain" ? "chain" : "set"} ${name ?? ""}`, ""]),
    );
  }

  /** @throws KernelRefusal */
  async run(commands: string): Promise<void> {
    await runNft(["-f", "-"], commands);
    this.#commits++;
    if (/^(add|delete) table /m.test(commands)) this.#ours = undefined;
  }

  [Symbol.dispose](): void {
    // Holds nothing.
  }
}

class TextTransaction implements Transaction {
  readonly #tables: TextTables;
  readonly #lines: string[] = [];
  readonly #sinks = new Map<string, TextElements>();

  constructor(tables: TextTables) {
    this.#tables = tables;
  }

  get size(): number {
    let size = 0;
    for (const line of this.#lines) size += line.length;
    for (const sink of this.#sinks.values()) size += sink.size;
    return size;
  }

  get isEmpty(): boolean {
    const sinks = [...this.#sinks.values()];
    return (
      this.#lines.length === 0 && !sinks.some((sink) => sink.size > 0 || sink.packs.length > 0)
    );
  }

  /** Of no use here: what chains hold is not looked at. */
  get hasChains(): boolean {
    return false;
  }

  get writes(): Transaction["writes"] {
    const sinks = [...this.#sinks.values()];
    return {
      added: sinks.reduce((sum, sink) => sum + sink.additions.length, 0),
      deleted: sinks.reduce((sum, sink) => sum + sink.deletions.length, 0),
    };
  }

  createTable(table: TableRef, comment: string): void {
    this.#lines.push(`add table ${refText(table)} { comment "${comment}"; }`);
  }

  createSets(table: TableRef): void {
    for (const [name, set] of Object.entries(setsOf(table.family))) {
      // Object.entries forgets what the keys are.
      this.#lines.push(setText(table, name as SetName, set));
    }
    const size = `size ${String(OPS)};`;
    for (const name of DISPATCHERS) {
      this.#lines.push(`add map ${refText(table)} ${name} { type classid : verdict; ${size} }`);
    }
  }

  createChains(table: TableRef, pack: ChainPack): void {
    this.#lines.push(...chainTexts(table, pack));
  }

  createHooks(table: TableRef, chains: readonly BaseChainSpec[]): void {
    for (const { name, base, rules } of chains) {
      const hook = ["prerouting", "input", "forward", "output", "postrouting"][base.hook] ?? "";
      const spec = `type ${base.type} hook ${hook} priority ${String(base.priority)};`;
      this.#lines.push(`add chain ${refText(table)} ${name} { ${spec} }`);
      this.#lines.push(...ruleTexts(table, { name, rules }));
    }
  }

  deleteTable(table: TableRef): void {
    this.#lines.push(`delete table ${refText(table)}`);
  }

  setRanges(table: TableRef, set: SetName, ranges: readonly Cidr[]): void {
    if (ranges.length === 0) return;
    const outer = ranges.filter(
      (range, i) =>
        !ranges.some((other, j) => i !== j && (i > j || other !== range) && covers(other, range)),
    );
    this.#lines.push(`add element ${refText(table)} ${set} { ${outer.join(", ")} }`);
  }

  addRemembered(_table: TableRef, _key: Uint8Array, _data: Uint8Array, _time: ElementTime): void {
    // Nothing is dumped, so there is nothing to copy.
  }

  elements(table: TableRef): ElementSink {
    const key = refText(table);
    const known = this.#sinks.get(key);
    if (known !== undefined) return known;
    const made = new TextElements(table);
    this.#sinks.set(key, made);
    return made;
  }

  async commit(): Promise<void> {
    const sinks = [...this.#sinks.values()];
    const lines = [
      ...this.#lines,
      ...sinks.flatMap((sink) => sink.packs),
      ...sinks.flatMap((sink) => sink.deletions),
      ...sinks.flatMap((sink) => sink.additions),
    ];
    if (lines.length > 0) await this.#tables.run(`${lines.join("\n")}\n`);
  }
}

class TextElements implements ElementSink {
  readonly #table: TableRef;
  readonly #sets: Readonly<Record<SetName, SetSpec>>;
  readonly packs: string[] = [];
  readonly deletions: string[] = [];
  readonly additions: string[] = [];
  size = 0;

  constructor(table: TableRef) {
    this.#table = table;
    this.#sets = setsOf(table.family);
  }

  add(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void {
    const value = data === undefined ? "" : ` : ${this.#dataText(set, data)}`;
    this.#push(this.additions, "add", set, `${this.#keyText(set, key, keyEnd)}${value}`);
  }

  delete(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void {
    const value = data === undefined ? "" : ` : ${this.#dataText(set, data)}`;
    this.#push(this.deletions, "delete", set, `${this.#keyText(set, key, keyEnd)}${value}`);
  }

  needAffinityClass(timeoutClass: number, timeoutSeconds: number): void {
    const pack = affinityPack(this.#table.family, timeoutClass, timeoutSeconds);
    this.packs.push(
      ...chainTexts(this.#table, this.#table.family === "ip" ? pack : forgetful(pack)),
    );
  }

  #push(lines: string[], verb: string, set: SetName, element: string): void {
    const line = `${verb} element ${refText(this.#table)} ${set} { ${element} }`;
    this.size += line.length + 1;
    lines.push(line);
  }

  #keyText(set: SetName, key: Uint8Array, keyEnd: Uint8Array | undefined): string {
    const { key: types, flags } = this.#sets[set];
    const isRange = (flags & SET.interval) !== 0;
    const first = valueText(types, key, isRange);
    if (keyEnd === undefined) return first;
    const width = paddedLength("classid");
    const last = ipFromBytes(keyEnd.subarray(width));
    const address = ipFromBytes(key.subarray(width));
    return address === last ? first : `${first}-${last}`;
  }

  #dataText(set: SetName, data: Uint8Array): string {
    const { data: types } = this.#sets[set];
    if (types === undefined || types === "verdict") throw new Error(`${set} has no data`);
    return valueText(types, data, false);
  }
}

function chainTexts(table: TableRef, pack: ChainPack): readonly string[] {
  return [
    ...pack.chains.map(({ name }) => `add chain ${refText(table)} ${name}`),
    ...pack.chains.flatMap((chain) => ruleTexts(table, chain)),
    ...DISPATCHERS.flatMap((dispatcher) => {
      const elements = pack.ops
        .filter(([op]) => isDispatched(dispatcher, op))
        .map(([op, chain]) => `0:${op.toString(16)} : goto ${chain}`);
      return elements.length === 0
        ? []
        : [`add element ${refText(table)} ${dispatcher} { ${elements.join(", ")} }`];
    }),
  ];
}

function ruleTexts(table: TableRef, chain: ChainSpec): readonly string[] {
  return chain.rules.map((rule) => {
    const text = rule.map((statement) => statement.text).join(" ");
    return `add rule ${refText(table)} ${chain.name} ${text}`;
  });
}

function forgetful(pack: ChainPack): ChainPack {
  const writes = /^(update|delete) @/;
  const chains = pack.chains.map(({ name, rules }) => ({
    name,
    rules: rules.filter((rule) => !rule.some((statement) => writes.test(statement.text))),
  }));
  return { chains, ops: pack.ops };
}

function setText(table: TableRef, name: SetName, set: SetSpec): string {
  const isMap = (set.flags & SET.map) !== 0;
  const data = Array.isArray(set.data) ? ` : ${set.data.join(" . ")}` : "";
  const type = TYPEOF[name]?.(table.family) ?? `type ${set.key.join(" . ")}${data}`;
  const flags = [
    ...((set.flags & SET.interval) !== 0 ? ["interval"] : []),
    ...((set.flags & SET.dynamic) !== 0 ? ["dynamic"] : []),
    ...((set.flags & SET.timeout) !== 0 ? ["timeout"] : []),
  ];
  return [
    `add ${isMap ? "map" : "set"} ${refText(table)} ${name} { ${type};`,
    ...(flags.length === 0 ? [] : [`flags ${flags.join(",")};`]),
    ...(set.size === undefined ? [] : [`size ${String(set.size)};`]),
    ...(set.hasCounter === true ? ["counter;"] : []),
    "}",
  ].join(" ");
}

function valueText(types: readonly DataType[], bytes: Uint8Array, isRange: boolean): string {
  if (lengthOf(types) > bytes.length)
    throw new Error(`${types.join(" . ")} is longer than its bytes`);
  let at = 0;
  return types
    .map((type) => {
      const part = bytes.subarray(at, at + paddedLength(type));
      at += paddedLength(type);
      return partText(type, part, isRange);
    })
    .join(" . ");
}

function partText(type: DataType, part: Uint8Array, isRange: boolean): string {
  const view = new DataView(part.buffer, part.byteOffset, part.length);
  switch (type) {
    case "ipv4_addr":
    case "ipv6_addr":
      return ipFromBytes(part);
    case "inet_proto":
      return String(view.getUint8(0));
    case "inet_service":
      return String(view.getUint16(0));
    case "mark":
      return String(view.getUint32(0, true));
    case "classid": {
      const number = view.getUint32(0, !isRange);
      return `${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`;
    }
  }
}

function covers(outer: Cidr, inner: Cidr): boolean {
  return (
    outer === inner ||
    (cidrContains(outer, cidrAddress(inner, 0n)) && cidrBits(outer) < cidrBits(inner))
  );
}

function refText(table: TableRef): string {
  return `${table.family} ${table.name}`;
}

function runNft(args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("nft", [...args], { stdio: "pipe" });
    // Not spawn's own limit: that one goes on when there is no such program, and holds the process for a minute.
    const limit = setTimeout(() => child.kill("SIGKILL"), NFT_LIMIT_MS);
    let out = "";
    let problems = "";
    child.stdout.on("data", (chunk) => (out += String(chunk)));
    child.stderr.on("data", (chunk) => {
      if (problems.length < 4096) problems += String(chunk);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(limit);
      const hint = error.code === "ENOENT" ? "install nftables" : error.message;
      reject(
        new KernelRefusal(`the program nft cannot be run: ${hint}`, undefined, { cause: error }),
      );
    });
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      if (code === 0) resolve(out);
      else {
        const why = problems.trim().split("\n")[0] ?? "";
        const how = signal ?? `exit code ${String(code)}`;
        reject(new KernelRefusal(`nft ${args.join(" ")} failed (${how}): ${why}`, undefined));
      }
    });
    // nft may end before it has read everything; its exit code says why.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
