/** One recording: both channels seen and heard, who talked how much, download. */

import {
  ActionIcon,
  Alert,
  Button,
  Center,
  CloseButton,
  Group,
  Loader,
  NativeSelect,
  Stack,
  Table,
  Text,
  Title,
} from "@mantine/core";
import { Download, Pause, Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import useSWR from "swr";
import { get, sentence } from "../api/http";
import type { RecordingDetail } from "../api/types";
import { bytes, clock, percent, when } from "../ui/format";
import { Waveform } from "./waveform";

const SPEEDS = ["0.75", "1", "1.25", "1.5", "2"];

export function Player({ id, onClose }: { id: string; onClose(): void }) {
  const path = `/api/v1/recordings/${encodeURIComponent(id)}`;
  const { data, error, mutate } = useSWR<RecordingDetail>(path, get, {
    revalidateOnFocus: false,
    shouldRetryOnError: false,
  });
  const section = useRef<HTMLElement>(null);
  const loaded = data !== undefined;
  useEffect(() => {
    if (loaded) section.current?.scrollIntoView({ block: "nearest" });
  }, [loaded]);
  return (
    <section className="panel player" ref={section} aria-label="Player" data-testid="player">
      {error !== undefined ? (
        <Alert color="red" role="alert" withCloseButton closeButtonLabel="Close the player" onClose={onClose}>
          {sentence(error)}{" "}
          <Button size="compact-sm" variant="default" ml="xs" onClick={() => void mutate()}>
            Try again
          </Button>
        </Alert>
      ) : data === undefined ? (
        <Center mih={220}>
          <Loader aria-label="Loading the recording" />
        </Center>
      ) : (
        <Deck recording={data} audioPath={`${path}/audio`} onClose={onClose} />
      )}
    </section>
  );
}

interface DeckProps {
  recording: RecordingDetail;
  audioPath: string;
  onClose(): void;
}

function Deck({ recording, audioPath, onClose }: DeckProps) {
  const audio = useRef<HTMLAudioElement>(null);
  const [position, setPosition] = useState(0);
  const [playing, setPlaying] = useState(false);
  const [problem, setProblem] = useState("");
  const [speed, setSpeed] = useState("1");

  // The element tells its time four times a second; while it plays, the cursor moves with every frame.
  useEffect(() => {
    if (!playing) return;
    let frame = 0;
    const follow = () => {
      if (audio.current !== null) setPosition(audio.current.currentTime);
      frame = requestAnimationFrame(follow);
    };
    frame = requestAnimationFrame(follow);
    return () => cancelAnimationFrame(frame);
  }, [playing]);

  const toggle = () => {
    const element = audio.current;
    if (element === null) return;
    if (!element.paused) {
      element.pause();
      return;
    }
    element.play().then(
      () => setProblem(""),
      (error: unknown) => {
        // Paused again before it began: not a failure.
        if (error instanceof DOMException && error.name === "AbortError") return;
        setProblem("The recording cannot be played. Try again, or download it.");
      },
    );
  };
  const seek = (seconds: number) => {
    if (audio.current !== null) audio.current.currentTime = seconds;
    setPosition(seconds);
  };

  return (
    <Stack gap="md">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div>
          <Title order={2} size="h4">
            {recording.ani ?? "Number withheld"}
          </Title>
          <Text size="sm" c="dimmed">
            {[recording.queue_name, recording.agent_name, when(recording.started)].filter(Boolean).join(" · ")}
          </Text>
        </div>
        <CloseButton aria-label="Close the player" onClick={onClose} />
      </Group>
      <div className="wave">
        <div className="wave-names">
          <span>Customer</span>
          <span>Agent</span>
        </div>
        <Waveform recording={recording} position={position} onSeek={seek} onToggle={toggle} />
      </div>
      {/* biome-ignore lint/a11y/useMediaCaption: a call has no captions; who speaks is shown by the waveform */}
      <audio
        ref={audio}
        src={audioPath}
        preload="metadata"
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
        onEnded={() => setPlaying(false)}
        onTimeUpdate={(event) => setPosition(event.currentTarget.currentTime)}
        onError={() => setProblem("The recording's sound cannot be loaded.")}
      />
      <Group gap="md">
        <ActionIcon
          size={44}
          radius="xl"
          variant="filled"
          aria-label={playing ? "Pause" : "Play"}
          onClick={toggle}
          data-testid="player-play"
        >
          {playing ? <Pause size={20} aria-hidden /> : <Play size={20} aria-hidden />}
        </ActionIcon>
        <Text className="figures" data-testid="player-time">
          {clock(position)} / {clock(recording.seconds)}
        </Text>
        <NativeSelect
          aria-label="Speed"
          w={92}
          value={speed}
          data={SPEEDS.map((value) => ({ value, label: `${value} ×` }))}
          onChange={(event) => {
            const value = event.currentTarget.value;
            setSpeed(value);
            if (audio.current !== null) audio.current.playbackRate = Number(value);
          }}
        />
        <Button
          component="a"
          href={`${audioPath}?download=1`}
          download
          variant="default"
          ml="auto"
          leftSection={<Download size={16} aria-hidden />}
          data-testid="player-download"
        >
          Download ({bytes(recording.size)})
        </Button>
      </Group>
      {problem && (
        <Alert color="red" role="alert">
          {problem}
        </Alert>
      )}
      <Figures recording={recording} />
    </Stack>
  );
}

/** Talk and silence of each side, overlap, paused time; each with its share of the whole. */
function Figures({ recording }: { recording: RecordingDetail }) {
  const { left, right, overlap, seconds, paused } = recording;
  const cell = (value: number | null | undefined) =>
    value == null ? "–" : `${clock(value)} (${percent(value, seconds)})`;
  const gaps = paused.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  return (
    <div className="table-wrap">
      <Table withRowBorders={false} verticalSpacing={4} w="auto" className="figures" data-testid="player-figures">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Of {clock(seconds)}</Table.Th>
            <Table.Th scope="col">Talk</Table.Th>
            <Table.Th scope="col">Silence</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          <Table.Tr>
            <Table.Th scope="row">Customer</Table.Th>
            <Table.Td>{cell(left?.talk)}</Table.Td>
            <Table.Td>{cell(left?.silence)}</Table.Td>
          </Table.Tr>
          <Table.Tr>
            <Table.Th scope="row">Agent</Table.Th>
            <Table.Td>{cell(right?.talk)}</Table.Td>
            <Table.Td>{cell(right?.silence)}</Table.Td>
          </Table.Tr>
          <Table.Tr>
            <Table.Th scope="row">Both at once</Table.Th>
            <Table.Td>{cell(overlap)}</Table.Td>
            <Table.Td />
          </Table.Tr>
          {gaps > 0 && (
            <Table.Tr>
              <Table.Th scope="row">Paused</Table.Th>
              <Table.Td>{cell(gaps)}</Table.Td>
              <Table.Td />
            </Table.Tr>
          )}
        </Table.Tbody>
      </Table>
    </div>
  );
}
