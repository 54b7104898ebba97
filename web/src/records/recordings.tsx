/** Recordings: search, list, player. */

import { ActionIcon, Badge, Stack, Table, Title } from "@mantine/core";
import { Play } from "lucide-react";
import { useLocation, useSearch } from "wouter";
import type { Recording } from "../api/types";
import { bytes, clock, percent, when } from "../ui/format";
import { usePageTitle } from "../ui/title";
import { searchOf } from "./filters";
import { List, SearchForm, useFilters, useRows } from "./list";
import { Player } from "./player";

const STATES: Record<Recording["state"], { word: string; color: string }> = {
  stored: { word: "stored", color: "green" },
  pending: { word: "being made", color: "blue" },
  failed: { word: "failed", color: "red" },
};

export default function RecordingsPage() {
  usePageTitle("Recordings");
  const search = useFilters();
  const rows = useRows<Recording>("/api/v1/recordings", search.filters);
  const address = useSearch();
  const [path, navigate] = useLocation();
  const playing = new URLSearchParams(address).get("play");
  const open = (id: string | null) => {
    const values = new URLSearchParams(searchOf(search.filters));
    if (id !== null) values.set("play", id);
    navigate(`${path}?${values}`, { replace: true });
  };
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Recordings
      </Title>
      <SearchForm {...search} testId="recordings-search" />
      {playing !== null && <Player key={playing} id={playing} onClose={() => open(null)} />}
      <List
        rows={rows}
        caption="Recordings"
        columns={[
          "Play",
          "Started",
          "Number",
          "Queue",
          "Agent",
          "Length",
          "Customer talks",
          "Agent talks",
          "Size",
          "State",
        ]}
        empty="No recording fits this search. Widen the time or leave a field empty."
        testId="recordings-table"
      >
        {(item) => <Row key={item.id} item={item} playing={item.id === playing} onPlay={() => open(item.id)} />}
      </List>
    </Stack>
  );
}

function Row({ item, playing, onPlay }: { item: Recording; playing: boolean; onPlay(): void }) {
  const share = (side: Recording["left"]) => (side === null ? "–" : percent(side.talk, item.seconds));
  const state = STATES[item.state];
  return (
    <Table.Tr className={playing ? "row-open" : undefined} data-testid="recording-row" data-recording={item.id}>
      <Table.Td w={52}>
        <ActionIcon
          variant={playing ? "filled" : "light"}
          size="lg"
          radius="xl"
          disabled={item.state !== "stored"}
          aria-label={`Open the recording of ${item.ani ?? "a withheld number"}, ${when(item.started)}`}
          aria-pressed={playing}
          onClick={onPlay}
          data-testid="recording-open"
        >
          <Play size={16} aria-hidden />
        </ActionIcon>
      </Table.Td>
      <Table.Td>
        <time dateTime={item.started}>{when(item.started)}</time>
      </Table.Td>
      <Table.Td>{item.ani ?? "withheld"}</Table.Td>
      <Table.Td>{item.queue_name ?? "–"}</Table.Td>
      <Table.Td>{item.agent_name ?? "–"}</Table.Td>
      <Table.Td className="figures">{clock(item.seconds)}</Table.Td>
      <Table.Td className="figures">{share(item.left)}</Table.Td>
      <Table.Td className="figures">{share(item.right)}</Table.Td>
      <Table.Td className="figures">{bytes(item.size)}</Table.Td>
      <Table.Td>
        <Badge variant="dot" tt="none" color={state.color}>
          {item.paused.length > 0 ? `${state.word}, with pauses` : state.word}
        </Badge>
      </Table.Td>
    </Table.Tr>
  );
}
