import type { ConsolidateConfig } from "../core/dns/corefile/errors-directive.ts";
import { formatDomainName } from "../core/dns/domain-name.ts";
import type { Question } from "../core/dns/message.ts";
import { formatType } from "../core/dns/record-type.ts";
import type { Logger } from "../telemetry/log.ts";

/** Writes failed questions to the log, those of a sort together. Disposing writes what is counted. */
export interface ErrorLog extends Disposable {
  readonly note: (question: Question, reason: string) => void;
}

interface Sort {
  readonly config: ConsolidateConfig;
  count: number;
  timer: NodeJS.Timeout | undefined;
}

/** The first rule whose pattern is in a failure's reason counts it. */
export function createErrorLog(log: Logger, configs: readonly ConsolidateConfig[]): ErrorLog {
  const sorts = configs.map((config): Sort => ({ config, count: 0, timer: undefined }));
  const write = (question: Question, reason: string, level: ConsolidateConfig["level"]): void => {
    const { name, type } = question;
    log[level]("dns question failed", {
      name: formatDomainName(name),
      type: formatType(type),
      reason,
    });
  };
  const flush = (sort: Sort): void => {
    clearTimeout(sort.timer);
    sort.timer = undefined;
    const { count, config } = sort;
    sort.count = 0;
    if (count === 0) return;
    const { pattern, periodMs, level } = config;
    log[level]("dns questions failed", { count, like: pattern.source, seconds: periodMs / 1000 });
  };
  return {
    note: (question, reason) => {
      const sort = sorts.find(({ config }) => config.pattern.exec(reason) !== undefined);
      if (sort === undefined) {
        write(question, reason, "error");
        return;
      }
      sort.count += 1;
      if (sort.timer !== undefined) return;
      const { showsFirst, level, periodMs } = sort.config;
      if (showsFirst) write(question, reason, level);
      sort.timer = setTimeout(() => {
        flush(sort);
      }, periodMs);
      // A line that waits is no reason for a program to stay: disposing writes it.
      sort.timer.unref();
    },
    [Symbol.dispose]: () => {
      for (const sort of sorts) flush(sort);
    },
  };
}
