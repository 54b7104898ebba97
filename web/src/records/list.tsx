/** A searched list with keyset paging: the form, the table, "load more", and what to say when there is nothing. */

import { Alert, Button, Center, Loader, NativeSelect, Stack, Table, Text, TextInput } from "@mantine/core";
import { Search as SearchIcon } from "lucide-react";
import { type FormEvent, type ReactNode, useMemo, useState } from "react";
import useSWR from "swr";
import useSWRInfinite from "swr/infinite";
import { useLocation, useSearch } from "wouter";
import { get, sentence } from "../api/http";
import type { AgentName, Named, Page } from "../api/types";
import { type Filters, filtersOf, NAMES, request, searchOf } from "./filters";

export interface Search {
  filters: Filters;
  apply(filters: Filters): void;
}

/** The filters in the page's address: a search can be kept as a bookmark and undone by "back". */
export function useFilters(): Search {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filters = useMemo(() => filtersOf(search, new Date()), [search]);
  return { filters, apply: (wanted) => navigate(`${path}?${searchOf(wanted)}`) };
}

export interface Rows<T> {
  items: T[];
  loading: boolean;
  error: string;
  more: boolean;
  loadMore(): void;
  reload(): void;
}

export function useRows<T>(path: string, filters: Filters): Rows<T> {
  const { data, error, isLoading, isValidating, size, setSize, mutate } = useSWRInfinite<Page<T>, unknown>(
    (index: number, previous: Page<T> | null) => {
      if (index > 0 && previous?.next == null) return null;
      return request(path, filters, previous?.next ?? null);
    },
    get,
    { revalidateFirstPage: false, revalidateOnFocus: false, keepPreviousData: true, shouldRetryOnError: false },
  );
  const items = useMemo(() => (data ?? []).flatMap((page) => page.items), [data]);
  return {
    items,
    loading: isLoading || (isValidating && data?.[size - 1] === undefined),
    error: error === undefined ? "" : sentence(error),
    more: data?.at(-1)?.next != null,
    loadMore: () => void setSize(size + 1),
    reload: () => void mutate(),
  };
}

interface SearchFormProps extends Search {
  testId: string;
  /** More fields of the page's own. */
  children?: ReactNode;
}

export function SearchForm({ filters, apply, testId, children }: SearchFormProps) {
  const agents = useSWR<{ items: AgentName[] }>("/api/v1/agents", get, { revalidateOnFocus: false });
  const queues = useSWR<{ items: Named[] }>("/api/v1/queues", get, { revalidateOnFocus: false });
  const [invalid, setInvalid] = useState("");

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const wanted = { ...filters };
    for (const name of NAMES) wanted[name] = String(form.get(name) ?? "");
    if (wanted.from && wanted.to && wanted.from > wanted.to) {
      setInvalid("“To” must be later than “From”.");
      return;
    }
    setInvalid("");
    apply(wanted);
  };

  return (
    <search>
      {/* A new address, by "back" for instance, fills the form anew. */}
      <form className="panel filters" key={searchOf(filters)} onSubmit={submit} data-testid={testId}>
        <TextInput className="moment" label="From" name="from" type="datetime-local" defaultValue={filters.from} />
        <TextInput
          className="moment"
          label="To"
          name="to"
          type="datetime-local"
          defaultValue={filters.to}
          error={invalid || undefined}
        />
        <TextInput label="Number" name="number" type="tel" defaultValue={filters.number} autoComplete="off" />
        <NativeSelect
          label="Agent"
          name="agent"
          key={`agents ${agents.data?.items.length ?? 0}`}
          defaultValue={filters.agent}
          data={[
            { value: "", label: "All agents" },
            ...(agents.data?.items ?? []).map(({ id, display }) => ({ value: id, label: display })),
          ]}
        />
        <NativeSelect
          label="Queue"
          name="queue"
          key={`queues ${queues.data?.items.length ?? 0}`}
          defaultValue={filters.queue}
          data={[
            { value: "", label: "All queues" },
            ...(queues.data?.items ?? []).map(({ id, name }) => ({ value: id, label: name })),
          ]}
        />
        {children}
        <Button type="submit" leftSection={<SearchIcon size={16} aria-hidden />} data-testid={`${testId}-submit`}>
          Search
        </Button>
      </form>
    </search>
  );
}

interface ListProps<T> {
  rows: Rows<T>;
  caption: string;
  columns: string[];
  /** Said when nothing was found. */
  empty: string;
  testId: string;
  children(item: T): ReactNode;
}

export function List<T>({ rows, caption, columns, empty, testId, children }: ListProps<T>) {
  const { items, loading, error, more } = rows;
  return (
    <div className="panel" aria-busy={loading} style={{ padding: 0, overflow: "hidden" }}>
      {error && (
        <Alert color="red" role="alert" m="md">
          {error}{" "}
          <Button size="compact-sm" variant="default" ml="xs" onClick={rows.reload}>
            Try again
          </Button>
        </Alert>
      )}
      {items.length > 0 && (
        // A wide table scrolls on a narrow screen, also by the keyboard.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
        <section className="table-wrap" aria-label={`${caption}, table`} tabIndex={0}>
          <Table highlightOnHover fz="sm" verticalSpacing="xs" horizontalSpacing="sm" data-testid={testId}>
            <Table.Thead>
              <Table.Tr>
                {columns.map((name) => (
                  <Table.Th key={name} scope="col">
                    {name}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>{items.map(children)}</Table.Tbody>
          </Table>
        </section>
      )}
      <Center
        p="md"
        role="status"
        mih={loading || items.length === 0 || more ? 64 : 0}
        display={!loading && items.length > 0 && !more ? "none" : undefined}
      >
        {loading ? (
          <Loader size="sm" aria-label="Loading" />
        ) : more ? (
          <Button variant="default" onClick={rows.loadMore} data-testid="load-more">
            Load more
          </Button>
        ) : (
          items.length === 0 &&
          !error && (
            <Stack gap={4} align="center" py="xl">
              <Text fw={600}>Nothing found</Text>
              <Text c="dimmed" size="sm" ta="center">
                {empty}
              </Text>
            </Stack>
          )
        )}
      </Center>
    </div>
  );
}
