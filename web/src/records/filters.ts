/** What to search for, as it stands in the address, in the form and in the request. */

import { query } from "../api/http";
import { localToIso, toLocalField } from "../ui/format";

export interface Filters {
  /** As `datetime-local` fields give it, in the browser's zone; empty for no limit. */
  from: string;
  to: string;
  number: string;
  agent: string;
  queue: string;
  final: string;
}

export const NAMES = ["from", "to", "number", "agent", "queue", "final"] as const;
export const PAGE_SIZE = 50;

/** The filters of an address; without any, the last seven days. */
export function filtersOf(search: string, now: Date): Filters {
  const values = new URLSearchParams(search);
  const read = (name: string) => values.get(name) ?? "";
  const fresh = !NAMES.some((name) => values.has(name));
  const weekAgo = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 6);
  return {
    from: fresh ? toLocalField(weekAgo) : read("from"),
    to: read("to"),
    number: read("number"),
    agent: read("agent"),
    queue: read("queue"),
    final: read("final"),
  };
}

/** The filters as a part of the page's address; `from` stays even when empty, so that "no limit" is kept. */
export function searchOf(filters: Filters): string {
  const values = new URLSearchParams({ from: filters.from });
  for (const name of NAMES) if (name !== "from" && filters[name]) values.set(name, filters[name].trim());
  return values.toString();
}

/** The request for one page of a list, older than `before`. */
export function request(path: string, filters: Filters, before: string | null): string {
  return query(path, {
    from: localToIso(filters.from),
    to: localToIso(filters.to),
    number: filters.number.trim(),
    agent: filters.agent,
    queue: filters.queue,
    final: filters.final,
    limit: PAGE_SIZE,
    before,
  });
}
