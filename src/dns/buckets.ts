/** Seconds; from CoreDNS (`plugin.TimeBuckets`), so that dashboards made for it fit: 0.25 ms times 2^n. */
export const DURATION_BUCKETS = Array.from({ length: 16 }, (_, n) => 0.00025 * 2 ** n);

/** Bytes; likewise (`plugin/metrics/vars`). */
export const SIZE_BUCKETS = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000,
];
