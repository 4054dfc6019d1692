import { metricNameProblem } from "./metric-name.ts";
import type { MetricType } from "./metric-name.ts";
import { escapeHelp, histogramSeries, labelText, sampleLine, scalarSeries } from "./series.ts";
import type { Series } from "./series.ts";

export interface Counter {
  /** Adds `by`, default 1; never negative. */
  inc(by?: number): void;
}

export interface Gauge {
  set(value: number): void;
  add(by: number): void;
}

export interface Histogram {
  observe(value: number): void;
  /** Adds what was observed elsewhere: how often in each bucket by itself, the one for the rest last. */
  merge(counts: ArrayLike<number>, sum: number): void;
}

type Labels<L extends string> = Readonly<Record<L, string>>;
/** A metric without labels is reached by `with()`. */
type LabelArgs<L extends string> = [L] extends [never] ? [] : [labels: Labels<L>];

/** All series of one name. `with` is a map look-up: keep its result where it is used often. */
export interface Family<L extends string, M> {
  with(...labels: LabelArgs<L>): M;
  /** Forgets a series, such as that of a deleted object. */
  remove(...labels: LabelArgs<L>): void;
}

/** Seconds, from a millisecond to ten seconds. */
const LATENCY_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * Series of one name that are kept. Labels come from objects, and a mistake there must not eat the memory:
 * what is beyond shares one series whose labels all say `_overflow`.
 */
export const MAX_SERIES = 10_000;

interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  readonly series: Map<string, Series>;
  readonly collectors: Set<() => Iterable<readonly [Readonly<Record<string, string>>, number]>>;
  readonly makeSeries: (labels: string) => Series;
}

/**
 * The metrics of one process. Asking for a name again gives the same family, so that every part that counts
 * the same thing may declare it; @throws Error when it is declared differently or named against the rules
 * (`metricNameProblem`).
 */
export class Metrics {
  readonly #families = new Map<string, Registered>();
  readonly #beforeRender = new Set<() => void>();

  counter<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Family<L, Counter> {
    return familyOf(this.#register("counter", name, help, labelNames, scalarSeries));
  }

  gauge<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Family<L, Gauge> {
    return familyOf(this.#register("gauge", name, help, labelNames, scalarSeries));
  }

  /** `buckets` are upper bounds in ascending order; one for the rest is added. */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets: readonly number[] = LATENCY_BUCKETS,
  ): Family<L, Histogram> {
    const make = (labels: string): Series => histogramSeries(labels, buckets);
    return familyOf(this.#register("histogram", name, help, labelNames, make));
  }

  /**
   * A gauge whose values are read when the metrics are. Several may share a name, and where they share labels as
   * well, the sum is told, for a series may be there once only. Dispose to stop.
   */
  onScrape<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect: () => Iterable<readonly [Labels<L>, number]>,
  ): Disposable {
    const family = this.#register("gauge", name, help, labelNames, scalarSeries);
    family.collectors.add(collect);
    return {
      [Symbol.dispose]: () => {
        family.collectors.delete(collect);
      },
    };
  }

  /** Calls whoever counts elsewhere, before values are read. Dispose to stop. */
  beforeRender(collect: () => void): Disposable {
    this.#beforeRender.add(collect);
    return {
      [Symbol.dispose]: () => {
        this.#beforeRender.delete(collect);
      },
    };
  }

  /** Names, types and help texts of all that is declared, sorted by name: the list in docs/metrics.md. */
  describe(): readonly {
    name: string;
    type: MetricType;
    help: string;
    labels: readonly string[];
  }[] {
    return this.#sorted().map(({ name, type, help, labelNames }) => ({
      name,
      type,
      help,
      labels: labelNames,
    }));
  }

  /** Prometheus text format 0.0.4, sorted by name; `Content-Type: text/plain; version=0.0.4`. */
  render(): string {
    for (const collect of this.#beforeRender) collect();
    const out: string[] = [];
    for (const family of this.#sorted()) {
      const lines: string[] = [];
      for (const series of family.series.values()) series.render(family.name, lines);
      const collected = new Map<string, number>();
      for (const collect of family.collectors) {
        for (const [labels, value] of collect()) {
          const text = labelText(family.labelNames, labels);
          collected.set(text, (collected.get(text) ?? 0) + value);
        }
      }
      for (const [text, value] of collected) lines.push(sampleLine(family.name, text, value));
      if (lines.length === 0) continue;
      out.push(`# HELP ${family.name} ${escapeHelp(family.help)}`);
      out.push(`# TYPE ${family.name} ${family.type}`, ...lines);
    }
    return out.length === 0 ? "" : `${out.join("\n")}\n`;
  }

  #sorted(): readonly Registered[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #register(
    type: MetricType,
    name: string,
    help: string,
    labelNames: readonly string[],
    makeSeries: (labels: string) => Series,
  ): Registered {
    const known = this.#families.get(name);
    if (known !== undefined) {
      if (known.type === type && known.labelNames.join() === labelNames.join()) return known;
      throw new Error(
        `metric ${name} is a ${known.type} with labels [${known.labelNames.join()}], ` +
          `and cannot also be a ${type} with labels [${labelNames.join()}]`,
      );
    }
    const problem = metricNameProblem(name, type);
    if (problem !== undefined) throw new Error(`metric ${name}: ${problem}`);
    const family: Registered = {
      name,
      help,
      type,
      labelNames,
      series: new Map(),
      collectors: new Set(),
      makeSeries,
    };
    this.#families.set(name, family);
    return family;
  }
}

function familyOf<L extends string>(family: Registered): Family<L, Counter & Gauge & Histogram> {
  const overflow = Object.fromEntries(family.labelNames.map((label) => [label, "_overflow"]));
  const textOf = (args: readonly Labels<string>[]): string =>
    labelText(family.labelNames, args[0] ?? {});
  return {
    with: (...args) => {
      const labels = textOf(args);
      const known = family.series.get(labels);
      if (known !== undefined) return known.metric;
      const isFull = family.series.size >= MAX_SERIES;
      const key = isFull ? labelText(family.labelNames, overflow) : labels;
      const series = family.series.get(key) ?? family.makeSeries(key);
      family.series.set(key, series);
      return series.metric;
    },
    remove: (...args) => {
      family.series.delete(textOf(args));
    },
  };
}
