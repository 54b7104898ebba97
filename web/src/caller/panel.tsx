/** The call: its state in words, how long it lasts, keys, mute, hang up; then how it ended. */

import { Alert, Button, Group, Stack, Text, Title } from "@mantine/core";
import { CloudOff, Mic, MicOff, Phone, PhoneOff, TriangleAlert, Volume2, WifiOff } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { LevelBar } from "../media/level";
import { microphoneAdvice } from "../media/microphone";
import { DigitsPad, isDigit } from "../ui/digits";
import { clock, spoken } from "../ui/format";
import { useKeys } from "../ui/keys";
import type { Call, CallView } from "./call";
import { callWords } from "./words";

interface CallPanelProps {
  call: Call;
  onAgain(): void;
  onBack(): void;
}

export function CallPanel({ call, onAgain, onBack }: CallPanelProps) {
  const view = useSyncExternalStore(call.subscribe, () => call.view);
  return view.phase === "ended" ? (
    <Ended number={call.number} view={view} onAgain={onAgain} onBack={onBack} />
  ) : (
    <Going call={call} view={view} />
  );
}

function Going({ call, view }: { call: Call; view: CallView }) {
  const { phase, muted } = view;
  const { state, hint } = callWords(view);
  const connected = phase === "connected";
  useKeys((key) => {
    if (!connected || !isDigit(key)) return false;
    call.press(key);
    return true;
  });
  return (
    <section
      className="panel"
      aria-label="Call"
      data-testid="caller-panel"
      data-phase={phase}
      data-talking={view.talking}
      data-muted={muted}
    >
      <Stack gap="md" align="stretch">
        <Warnings call={call} view={view} />
        <Heading number={call.number} state={state}>
          <Timer since={view.since} />
        </Heading>
        <DigitsPad large sent={view.sent} hint={hint} disabled={!connected} onDigit={(digit) => call.press(digit)} />
        <Stack gap={6}>
          <LevelBar meter={call.microphoneMeter} />
          <Text size="xs" c="dimmed" ta="center" role="status">
            {muted ? "You are muted: nobody hears you." : "The bar moves when the microphone hears you."}
          </Text>
        </Stack>
        <Group grow gap="sm">
          <Button
            size="lg"
            px="xs"
            variant={muted ? "filled" : "default"}
            aria-pressed={muted}
            leftSection={muted ? <MicOff size={20} aria-hidden /> : <Mic size={20} aria-hidden />}
            disabled={!connected}
            onClick={() => call.mute(!muted)}
            data-testid="caller-mute"
          >
            {muted ? "Unmute" : "Mute"}
          </Button>
          <Button
            size="lg"
            px="xs"
            color="red"
            leftSection={<PhoneOff size={20} aria-hidden />}
            onClick={() => call.hangUp()}
            data-testid="caller-hangup"
          >
            Hang up
          </Button>
        </Group>
      </Stack>
    </section>
  );
}

/** What the caller should know at once, and can do something about. */
function Warnings({ call, view }: { call: Call; view: CallView }) {
  const advice = view.phase === "microphone" ? null : microphoneAdvice(view.microphone);
  return (
    <>
      {advice !== null && (
        <Alert
          color="red"
          icon={<MicOff aria-hidden />}
          title={advice.title}
          role="alert"
          data-testid="caller-microphone"
        >
          {advice.advice}
        </Alert>
      )}
      {view.away && (
        <Alert
          color="orange"
          icon={<CloudOff aria-hidden />}
          title="The exchange is away for a moment"
          role="alert"
          data-testid="caller-away"
        >
          Your call goes on. Keys that you press now count as soon as it is back.
        </Alert>
      )}
      {view.interrupted && (
        <Alert color="orange" icon={<WifiOff aria-hidden />} title="The sound is interrupted" role="alert">
          The network does not let it through at the moment. It comes back by itself, or the call ends soon.
        </Alert>
      )}
      {view.blocked && (
        <Alert color="orange" icon={<Volume2 aria-hidden />} title="The browser holds the sound back" role="alert">
          <Button size="xs" mt={4} onClick={() => call.play()}>
            Turn the sound on
          </Button>
        </Alert>
      )}
      {view.notice && (
        <Alert color="red" icon={<TriangleAlert aria-hidden />} role="alert" data-testid="caller-notice">
          {view.notice}
        </Alert>
      )}
    </>
  );
}

function Heading({ number, state, children }: { number: string; state: string; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <Stack gap={2} align="center">
      <Title order={2} className="number caller-number" tabIndex={-1} ref={heading}>
        {number}
      </Title>
      <Text fw={600} ta="center" role="status" data-testid="caller-state">
        {state}
      </Text>
      {children}
    </Stack>
  );
}

const TICK_MS = 250;

function Timer({ since }: { since: number | null }) {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <Text className="talk-timer" mih={34} role="timer" aria-label="Length of the call" data-testid="caller-timer">
      {since === null ? "" : clock((now - since) / 1000)}
    </Text>
  );
}

/** How it ended, and what can be done now. */
function Ended({ number, view, onAgain, onBack }: { number: string; view: CallView } & Omit<CallPanelProps, "call">) {
  const advice = view.since === null ? microphoneAdvice(view.microphone) : null;
  const { state } = callWords(view);
  const { title, text } =
    advice === null ? { title: "", text: view.ended } : { title: advice.title, text: advice.advice };
  const bad = view.failed || advice !== null;
  return (
    <section className="panel" aria-label="Call" data-testid="caller-panel" data-phase="ended">
      <Stack gap="md">
        <Heading number={number} state={state}>
          {view.since !== null && (
            <Text size="sm" c="dimmed">
              It lasted {spoken(view.seconds)}.
            </Text>
          )}
        </Heading>
        {bad ? (
          <Alert
            color="red"
            icon={advice === null ? <TriangleAlert aria-hidden /> : <MicOff aria-hidden />}
            title={title || undefined}
            role="alert"
            data-testid="caller-ended"
          >
            {text}
          </Alert>
        ) : (
          <Text ta="center" role="status" data-testid="caller-ended">
            {text}
          </Text>
        )}
        <Button
          size="lg"
          fullWidth
          color="green"
          leftSection={<Phone size={20} aria-hidden />}
          onClick={onAgain}
          data-testid="caller-again"
        >
          {bad ? "Try again" : "Call again"}
        </Button>
        <Button size="md" fullWidth variant="default" onClick={onBack} data-testid="caller-back">
          Another number
        </Button>
      </Stack>
    </section>
  );
}
