import { Random } from "../fuzz/random.ts";

/** Whole numbers from 0 below a bound; the same seed gives the same numbers. */
export type Pick = (below: number) => number;

export function pickFrom(seed: number): Pick {
  const random = new Random(seed);
  return (below) => random.below(below);
}
