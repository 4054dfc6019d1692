import type { Counter, Metrics } from "../../telemetry/metrics.ts";
import type { Transaction } from "./kernel-tables.ts";

/** What was written to the kernel: how an operator sees that only differences are. */
export class WriteMetrics {
  readonly #transactions: Counter;
  readonly #added: Counter;
  readonly #deleted: Counter;
  readonly #rebuilds: Counter;
  readonly #refusals: Counter;

  constructor(metrics: Metrics) {
    this.#transactions = metrics
      .counter("portolan_proxy_nftables_transactions_total", "Transactions that the kernel took.")
      .with();
    const elements = metrics.counter(
      "portolan_proxy_nftables_elements_total",
      "Elements of maps and sets written in them, by operation.",
      ["operation"],
    );
    this.#added = elements.with({ operation: "add" });
    this.#deleted = elements.with({ operation: "delete" });
    this.#rebuilds = metrics
      .counter("portolan_proxy_nftables_rebuilds_total", "Times that all rules were made anew.")
      .with();
    this.#refusals = metrics
      .counter("portolan_proxy_nftables_refusals_total", "Transactions that the kernel refused.")
      .with();
  }

  committed({ writes }: Pick<Transaction, "writes">): void {
    this.#transactions.inc();
    this.#added.inc(writes.added);
    this.#deleted.inc(writes.deleted);
  }

  refused(): void {
    this.#refusals.inc();
  }

  rebuilt(): void {
    this.#rebuilds.inc();
  }
}
