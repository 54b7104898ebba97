/** The call: who, how long, and everything that the agent can do with it. */

import { Badge, Button, Group, Kbd, Stack, Text, Title } from "@mantine/core";
import { CircleDot, CirclePause, Grid3x3, Mic, MicOff, Pause, PhoneOff, Play } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { DeskCommands, DeskContact } from "../api/desk";
import { DigitsPad, isDigit } from "../ui/digits";
import { clock } from "../ui/format";
import { useKeys } from "../ui/keys";
import { KEYS, useDesk, useDeskView, useSecondsSince } from "./hooks";
import { RECORDING_WORDS } from "./words";

export function CallPanel({ contact }: { contact: DeskContact }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const [padOpen, setPadOpen] = useState(false);
  const [sent, setSent] = useState("");
  const talking = contact.state === "talking";
  const usable = link === "open" && talking;

  const mute = () => void desk.command("mute", { on: !contact.muted });
  const hold = () => void desk.command("hold", { on: !contact.held });
  const hangUp = () => void desk.command("hang_up", {});
  const digit = (d: string) => {
    setSent((before) => before + d);
    void desk.command("digits", { digits: d });
  };

  useKeys((key) => {
    const ifUsable = (act: () => void, type: keyof DeskCommands) => {
      if (usable && !busy.has(type)) act();
      return true;
    };
    if (key === KEYS.mute) return ifUsable(mute, "mute");
    if (key === KEYS.hold) return ifUsable(hold, "hold");
    if (key === KEYS.hangUp) {
      if (link === "open" && contact.state !== "ended" && !busy.has("hang_up")) hangUp();
      return true;
    }
    if (!isDigit(key) || !usable) return false;
    setPadOpen(true);
    digit(key);
    return true;
  });

  return (
    <section
      className="panel desk-work"
      aria-label="Call"
      data-testid="call"
      data-state={contact.state}
      data-held={contact.held}
      data-muted={contact.muted}
      data-recording={contact.recording}
    >
      <Group justify="space-between" gap="xs" mih={36}>
        <Badges contact={contact} />
        <RecordButton contact={contact} disabled={!usable} />
      </Group>
      <div className="desk-centre">
        <Stack gap={2} align="center">
          <Text c="dimmed">{contact.queue_name ?? "Call"}</Text>
          <Title order={2} className="number" data-testid="call-number">
            {(contact.callback ? contact.number : contact.ani) ?? "Number withheld"}
          </Title>
          {contact.dnis && (
            <Text size="sm" c="dimmed">
              dialled {contact.dnis}
            </Text>
          )}
        </Stack>
        <CallTime contact={contact} />
        <Group justify="center" gap="sm" mt="sm">
          <CallButton
            label={contact.muted ? "Unmute" : "Mute"}
            shortcut={KEYS.mute}
            pressed={contact.muted}
            icon={contact.muted ? <MicOff size={18} aria-hidden /> : <Mic size={18} aria-hidden />}
            busy={busy.has("mute")}
            disabled={!usable}
            onClick={mute}
            testId="call-mute"
          />
          <CallButton
            label={contact.held ? "Resume" : "Hold"}
            shortcut={KEYS.hold}
            pressed={contact.held}
            icon={contact.held ? <Play size={18} aria-hidden /> : <Pause size={18} aria-hidden />}
            busy={busy.has("hold")}
            disabled={!usable}
            onClick={hold}
            testId="call-hold"
          />
          <Button
            size="md"
            variant={padOpen ? "light" : "default"}
            leftSection={<Grid3x3 size={18} aria-hidden />}
            aria-expanded={padOpen}
            disabled={!usable}
            onClick={() => setPadOpen(!padOpen)}
            data-testid="call-digits"
          >
            Digits
          </Button>
          <Button
            size="md"
            color="red"
            leftSection={<PhoneOff size={18} aria-hidden />}
            rightSection={<Kbd aria-hidden>{KEYS.hangUp}</Kbd>}
            loading={busy.has("hang_up")}
            disabled={link !== "open" || contact.state === "ended"}
            onClick={hangUp}
            aria-keyshortcuts={KEYS.hangUp}
            data-testid="call-hangup"
          >
            Hang up
          </Button>
        </Group>
        {padOpen && talking && <DigitsPad sent={sent} disabled={!usable} onDigit={digit} />}
      </div>
      <CallData cad={contact.cad} />
    </section>
  );
}

interface CallButtonProps {
  label: string;
  shortcut: string;
  pressed: boolean;
  icon: ReactNode;
  busy: boolean;
  disabled: boolean;
  testId: string;
  onClick(): void;
}

function CallButton({ label, shortcut, pressed, icon, busy, disabled, testId, onClick }: CallButtonProps) {
  return (
    <Button
      size="md"
      variant={pressed ? "filled" : "default"}
      leftSection={icon}
      rightSection={<Kbd aria-hidden>{shortcut}</Kbd>}
      loading={busy}
      disabled={disabled}
      onClick={onClick}
      aria-keyshortcuts={shortcut}
      data-testid={testId}
      data-on={pressed}
    >
      {label}
    </Button>
  );
}

function RecordButton({ contact, disabled }: { contact: DeskContact; disabled: boolean }) {
  const desk = useDesk();
  const { busy } = useDeskView();
  if (contact.recording !== "on" && contact.recording !== "paused") return null;
  const paused = contact.recording === "paused";
  return (
    <Button
      size="xs"
      variant={paused ? "filled" : "default"}
      leftSection={paused ? <CircleDot size={16} aria-hidden /> : <CirclePause size={16} aria-hidden />}
      loading={busy.has("record")}
      disabled={disabled}
      onClick={() => void desk.command("record", { on: paused })}
      data-testid="call-record"
      data-on={!paused}
    >
      {paused ? "Resume recording" : "Pause recording"}
    </Button>
  );
}

function CallTime({ contact }: { contact: DeskContact }) {
  const seconds = useSecondsSince(contact.since);
  if (contact.state === "connecting") return <Text role="status">Connecting …</Text>;
  if (contact.state === "dialling") {
    return <Text role="status">Dialling{contact.tries > 1 ? `, try ${contact.tries}` : ""} …</Text>;
  }
  if (contact.state === "ended") return <Text role="status">The call has ended</Text>;
  return (
    <Text className="talk-timer" role="timer" aria-label="Talk time" data-testid="call-timer">
      {clock(seconds)}
    </Text>
  );
}

function Badges({ contact }: { contact: DeskContact }) {
  const recording = RECORDING_WORDS[contact.recording];
  return (
    <Group gap="xs">
      <Badge variant="dot" size="lg" tt="none" color={recording.color}>
        {recording.word}
      </Badge>
      {contact.held && (
        <Badge size="lg" tt="none" color="yellow">
          On hold
        </Badge>
      )}
      {contact.muted && (
        <Badge size="lg" tt="none" color="red">
          Muted
        </Badge>
      )}
    </Group>
  );
}

/** The values that travel with the contact. */
function CallData({ cad }: { cad: Record<string, unknown> }) {
  const entries = Object.entries(cad).filter(([, value]) => value !== null && value !== "");
  if (entries.length === 0) return null;
  return (
    <dl className="facts" data-testid="call-data">
      {entries.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd>{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
