const SECOND_MS = 1000;
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const YEAR_S = 365 * DAY_S;

/**
 * A duration as kubectl prints ages: about two significant units, the smaller one dropped as the age grows
 * (`119s`, `3m20s`, `25m`, `5h2m`, `26h`, `2d3h`, `12d`, `2y10d`, `9y`).
 *
 * A clock that lags by less than two seconds counts as now; further in the future is `<invalid>`.
 * Source: apimachinery `duration.HumanDuration`.
 */
export function formatAge(durationMs: number): string {
  const s = Math.trunc(durationMs / SECOND_MS);
  if (Number.isNaN(s) || s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 2 * MINUTE_S) return `${String(s)}s`;
  if (s < 10 * MINUTE_S) return twoUnits(s, MINUTE_S, "m", 1, "s");
  if (s < 3 * HOUR_S) return `${String(Math.trunc(s / MINUTE_S))}m`;
  if (s < 8 * HOUR_S) return twoUnits(s, HOUR_S, "h", MINUTE_S, "m");
  if (s < 2 * DAY_S) return `${String(Math.trunc(s / HOUR_S))}h`;
  if (s < 8 * DAY_S) return twoUnits(s, DAY_S, "d", HOUR_S, "h");
  if (s < 2 * YEAR_S) return `${String(Math.trunc(s / DAY_S))}d`;
  if (s < 8 * YEAR_S) return twoUnits(s, YEAR_S, "y", DAY_S, "d");
  return `${String(Math.trunc(s / YEAR_S))}y`;
}

function twoUnits(
  seconds: number,
  big: number,
  bigName: string,
  small: number,
  smallName: string,
): string {
  const whole = `${String(Math.trunc(seconds / big))}${bigName}`;
  const rest = Math.trunc((seconds % big) / small);
  return rest === 0 ? whole : `${whole}${String(rest)}${smallName}`;
}
