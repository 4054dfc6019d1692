/** One labelled line of values, and how it is written in Prometheus text format 0.0.4. */
export interface Series {
  readonly metric: AnyMetric;
  render(name: string, out: string[]): void;
}

interface AnyMetric {
  inc(by?: number): void;
  set(value: number): void;
  add(by: number): void;
  observe(value: number): void;
  merge(counts: ArrayLike<number>, sum: number): void;
}

/** A counter or gauge. `labels` is what {@link labelText} gives. */
export function scalarSeries(labels: string): Series {
  let value = 0;
  const add = (by: number): void => {
    value += by;
  };
  return {
    metric: {
      add,
      inc: (by = 1) => {
        if (by < 0) throw new RangeError(`a counter cannot go down: inc(${String(by)})`);
        add(by);
      },
      set: (to) => {
        value = to;
      },
      observe: add,
      merge: (_counts, sum) => {
        add(sum);
      },
    },
    render: (name, out) => {
      out.push(sampleLine(name, labels, value));
    },
  };
}

/** `buckets` are upper bounds, ascending. */
export function histogramSeries(labels: string, buckets: readonly number[]): Series {
  const counts = new Float64Array(buckets.length + 1);
  let sum = 0;
  const observe = (value: number): void => {
    const found = buckets.findIndex((bound) => value <= bound);
    const slot = found === -1 ? buckets.length : found;
    counts[slot] = (counts[slot] ?? 0) + 1;
    sum += value;
  };
  const merge = (added: ArrayLike<number>, addedSum: number): void => {
    for (const [i, count] of counts.entries()) counts[i] = count + (added[i] ?? 0);
    sum += addedSum;
  };
  return {
    metric: { observe, merge, inc: observe, set: observe, add: observe },
    render: (name, out) => {
      let total = 0;
      for (const [i, count] of counts.entries()) {
        total += count;
        const le = `le="${numberText(buckets[i] ?? Number.POSITIVE_INFINITY)}"`;
        out.push(sampleLine(`${name}_bucket`, labels === "" ? le : `${labels},${le}`, total));
      }
      out.push(sampleLine(`${name}_sum`, labels, sum), sampleLine(`${name}_count`, labels, total));
    },
  };
}

/** `name{labels} value`. */
export function sampleLine(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(value)}`;
}

/** `proto="udp",type="A"`, in the order of `names`: the identity of a series. */
export function labelText(
  names: readonly string[],
  values: Readonly<Record<string, string>>,
): string {
  return names.map((name) => `${name}="${escapeLabel(values[name] ?? "")}"`).join(",");
}

export function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
