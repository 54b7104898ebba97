/** The list of contacts. */

import { Badge, NativeSelect, Stack, Table, Title } from "@mantine/core";
import type { Contact } from "../api/types";
import { clock, when } from "../ui/format";
import { usePageTitle } from "../ui/title";
import { List, SearchForm, useFilters, useRows } from "./list";

const FINALS = ["handled", "abandoned", "short-abandoned", "flowed out", "rejected", "failed"];
const COLORS: Record<string, string> = {
  handled: "green",
  abandoned: "red",
  "short-abandoned": "orange",
  failed: "red",
  rejected: "orange",
};

const time = (seconds: number | null): string => (seconds === null ? "–" : clock(seconds));

/** "flowed_out", "flowed-out" and "flowed out" are one state to a reader. */
const words = (state: string): string => state.replaceAll(/[_]/g, " ");

export default function ContactsPage() {
  usePageTitle("Contacts");
  const search = useFilters();
  const rows = useRows<Contact>("/api/v1/contacts", search.filters);
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Contacts
      </Title>
      <SearchForm {...search} testId="contacts-search">
        <NativeSelect
          label="Final state"
          name="final"
          defaultValue={search.filters.final}
          data={[
            { value: "", label: "All" },
            ...FINALS.map((name) => ({ value: name.replaceAll(" ", "-"), label: name })),
          ]}
        />
      </SearchForm>
      <List
        rows={rows}
        caption="Contacts"
        columns={["Arrived", "Channel", "Number", "Queue", "Agent", "Waited", "Talked", "Final state", "Wrap-up"]}
        empty="No contact fits this search. Widen the time or leave a field empty."
        testId="contacts-table"
      >
        {(contact) => (
          <Table.Tr key={contact.id} data-testid="contact-row">
            <Table.Td>
              <time dateTime={contact.arrived}>{when(contact.arrived)}</time>
            </Table.Td>
            <Table.Td>{contact.channel}</Table.Td>
            <Table.Td>{contact.ani ?? "withheld"}</Table.Td>
            <Table.Td>{contact.queue_name ?? "–"}</Table.Td>
            <Table.Td>{contact.agent_name ?? "–"}</Table.Td>
            <Table.Td className="figures">{time(contact.waited)}</Table.Td>
            <Table.Td className="figures">{time(contact.talked)}</Table.Td>
            <Table.Td>
              {contact.final === null ? (
                <Badge variant="dot" tt="none" color="blue">
                  open
                </Badge>
              ) : (
                <Badge variant="dot" tt="none" color={COLORS[contact.final] ?? "gray"}>
                  {words(contact.final)}
                </Badge>
              )}
            </Table.Td>
            <Table.Td>{contact.wrap_up_code ?? "–"}</Table.Td>
          </Table.Tr>
        )}
      </List>
    </Stack>
  );
}
