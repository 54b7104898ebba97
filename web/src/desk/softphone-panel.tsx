/** The softphone's state in words, the microphone with its level, notifications. */

import { Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { Bell } from "lucide-react";
import { useEffect, useState } from "react";
import { LevelBar } from "../media/level";
import { isMuted } from "./desk";
import { useDesk, useDeskView } from "./hooks";
import { softphoneWords } from "./words";

export function SoftphonePanel() {
  const desk = useDesk();
  const view = useDeskView();
  const { state, words, tone } = softphoneWords(view);
  const { device, devices } = view.microphone;
  return (
    <section className="panel" aria-labelledby="softphone-title">
      <Stack gap="sm">
        <h2 className="panel-title" id="softphone-title">
          Softphone
        </h2>
        <Group gap="xs" wrap="nowrap" role="status" data-testid="softphone-state" data-state={state}>
          <span className="dot" data-tone={tone} />
          <Text size="sm">{words}</Text>
        </Group>
        <NativeSelect
          label="Microphone"
          size="sm"
          value={device}
          disabled={devices.length === 0}
          onChange={(event) => desk.microphone.choose(event.currentTarget.value)}
          data={
            devices.length === 0
              ? [{ value: "", label: "None" }]
              : devices.map(({ id, label }) => ({ value: id, label }))
          }
          data-testid="microphone-device"
        />
        <Level />
        <NotifyButton />
      </Stack>
    </section>
  );
}

function Level() {
  const desk = useDesk();
  const { microphone, snapshot } = useDeskView();
  const [heard, setHeard] = useState(false);
  const on = microphone.state === "on";
  useEffect(() => {
    if (!on) setHeard(false);
  }, [on]);
  const muted = isMuted(snapshot);
  return (
    <Stack gap={6}>
      <LevelBar meter={desk.microphone.meter} onHeard={() => on && setHeard(true)} />
      <Text size="xs" c="dimmed" role="status">
        {muted
          ? "You are muted."
          : heard
            ? "The microphone hears you."
            : on
              ? "Say a word: the bar moves when the microphone hears you."
              : "No microphone yet."}
      </Text>
    </Stack>
  );
}

function NotifyButton() {
  const known = "Notification" in window;
  const [permission, setPermission] = useState(known ? Notification.permission : "denied");
  if (permission !== "default") return null;
  return (
    <Button
      variant="default"
      size="xs"
      leftSection={<Bell size={14} aria-hidden />}
      onClick={() => void Notification.requestPermission().then(setPermission)}
    >
      Notify me of calls
    </Button>
  );
}
